//! The configuration that a release had when it was deployed before.

use cluster::{Connection, DeployedRelease, Kind, NamespaceState, Object, ObjectKey, StateKey};
use lock_model::ServiceName;
use serde_json::json;

use super::Part;
use super::stored::{data_of, is_own_name};
use super::versions::Version;
use crate::error::DeployError;
use crate::problem::escaped;

/// The configuration of a service that a release had, from the namespace: never that of today in its place.
pub(super) async fn configuration_of(
    connection: &Connection,
    namespace: &str,
    state: Option<&NamespaceState>,
    release: &str,
    service: &ServiceName,
) -> Result<Version, DeployError> {
    let gone = |subject: String, reason: String| DeployError::ConfigurationGone { subject, reason };
    let of_release = |reason: String| gone(format!("the configuration that `{service}` had in the release"), reason);
    let Some(state) = state else {
        return Err(of_release(format!("is not known: Secret/orchestrator-state is not in namespace `{namespace}`")));
    };
    if state.is_history_damaged {
        let reason = format!(
            "is not known: the `history` of Secret/orchestrator-state in namespace `{namespace}` is missing or damaged"
        );
        return Err(of_release(reason));
    }
    let name = name_in(&state.history, release, service).map_err(of_release)?;
    stored(connection, namespace, &state.key, service, Part::Config, name).await?.map_err(|reason| {
        gone(
            format!("ConfigMap/{} of `{service}`", escaped(name)),
            format!("{reason}, and the release was deployed with it"),
        )
    })
}

/// The name that the history has of it; else what is said of the configuration.
fn name_in<'a>(history: &'a [DeployedRelease], release: &str, service: &ServiceName) -> Result<&'a str, String> {
    let Some(deployed) = history.iter().find(|deployed| deployed.release == release) else {
        return Err(format!(
            "is not known: the namespace remembers the last {} deployments, and that of the release is not among them",
            history.len()
        ));
    };
    let name = deployed.configurations.get(service.as_str());
    name.map(String::as_str).ok_or_else(|| "is not known: the namespace remembers the deployment without it".to_owned())
}

/// The version that a service was deployed with last, where the namespace still has it as it was.
pub(super) async fn deployed_version(
    connection: &Connection,
    namespace: &str,
    state: Option<&NamespaceState>,
    service: &ServiceName,
    part: Part,
) -> Result<Option<Version>, DeployError> {
    let Some((state, deployed)) = state.and_then(|state| Some((state, state.deployed.as_ref()?))) else {
        return Ok(None);
    };
    let names = match part {
        Part::Config => &deployed.configurations,
        Part::Secret => &deployed.secrets,
    };
    let Some(name) = names.get(service.as_str()) else { return Ok(None) };
    Ok(stored(connection, namespace, &state.key, service, part, name).await?.ok())
}

async fn stored(
    connection: &Connection,
    namespace: &str,
    key: &StateKey,
    service: &ServiceName,
    part: Part,
    name: &str,
) -> Result<Result<Version, String>, DeployError> {
    let place = ObjectKey::namespaced(Kind::new("v1", part.kind()), namespace, name);
    let Some(found) = connection.find(&place).await? else {
        return Ok(Err(format!("is gone: namespace `{namespace}` has it no more")));
    };
    if !is_own_name(key, service.as_str(), part, &found) {
        return Ok(Err(format!(
            "was replaced in namespace `{namespace}`: its data is not the one that its name stands for"
        )));
    }
    let mut object = json!({
        "apiVersion": "v1",
        "kind": part.kind(),
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": found.at("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
        },
        "immutable": true,
    });
    let data = data_of(&found);
    if !data.is_empty() {
        object["data"] = data.into();
    }
    if part == Part::Secret {
        object["type"] = "Opaque".into();
    }
    Ok(Ok(Version { is_there: true, ..Version::of(service, part, Object::new(object)?) }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn deployed(release: &str, service: &str) -> DeployedRelease {
        let configurations = BTreeMap::from([(service.to_owned(), format!("{service}-config-1"))]);
        DeployedRelease {
            release: release.to_owned(),
            lock: String::new(),
            commit: String::new(),
            inputs: String::new(),
            configurations,
            secrets: BTreeMap::new(),
            revisions: BTreeMap::new(),
        }
    }

    #[test]
    fn b34_a_configuration_that_the_history_does_not_name_is_not_known() {
        let (cart, web) = (ServiceName::try_from("cart").unwrap(), ServiceName::try_from("web").unwrap());
        let history = [deployed("two", "cart"), deployed("one", "cart")];
        assert_eq!(name_in(&history, "one", &cart), Ok("cart-config-1"));
        assert!(name_in(&history, "one", &web).unwrap_err().contains("without it"));
        assert!(name_in(&history, "zero", &cart).unwrap_err().contains("the last 2 deployments"));
    }
}
