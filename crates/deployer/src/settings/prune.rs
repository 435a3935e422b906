//! Removing versions that nothing needs any more.

use std::collections::{BTreeMap, BTreeSet};

use cluster::health::Permission;
use cluster::{Connection, DeployedRelease, Kind, Object, ObjectKey, Propagation, Selection, references};
use lock_model::ServiceName;

use super::Part;
use super::versions::{PART_LABEL, PlannedSettings, SERVICE_LABEL};
use crate::error::DeployError;

/// How many versions of each service stay at least.
const KEPT: usize = 10;

impl PlannedSettings {
    /// Removes versions of services beyond the newest ten, apart from those that pods, replica sets with pods or releases
    /// of the namespace's history name. With `removed: delete`, none of a service that left is kept for its age.
    pub(crate) async fn prune(
        &self,
        connection: &Connection,
        namespace: &str,
        history: &[DeployedRelease],
    ) -> Result<(), DeployError> {
        if self.parts_of_versions().is_empty() {
            return Ok(());
        }
        let mut kept: BTreeSet<String> =
            history.iter().flat_map(|release| release.configurations.values().cloned()).collect();
        kept.extend(self.versions.iter().map(|version| version.object.key().name.clone()));
        for (version, kind) in [("apps/v1", "ReplicaSet"), ("v1", "Pod")] {
            let found = connection.list(&Kind::new(version, kind), Some(namespace), &Selection::default()).await?;
            let alive = found.iter().filter(|object| object.integer("/spec/replicas") != Some(0));
            kept.extend(alive.flat_map(references).map(|reference| reference.target.name));
        }
        for part in self.parts_of_versions() {
            let selection = Selection { labels: format!("{PART_LABEL}={}", part.word()), fields: String::new() };
            let found = connection.list_metadata(&Kind::new("v1", part.kind()), namespace, &selection).await?;
            for (key, uid) in superfluous(&found, &kept, self.only_of.as_ref()) {
                connection.delete(&key, &uid, Propagation::Background).await?;
            }
        }
        Ok(())
    }

    /// What has to be permitted for it, and to write what is no part of the batch.
    pub(crate) fn permissions(&self, namespace: &str) -> Vec<Permission> {
        let parts = self.parts_of_versions();
        let owners =
            [("apps/v1", "ReplicaSet", "list"), ("v1", "Pod", "list")].into_iter().filter(|_| !parts.is_empty());
        let versions = parts.iter().flat_map(|part| ["list", "delete"].map(|verb| ("v1", part.kind(), verb)));
        let permission = |(version, kind, verb): (&str, &str, &'static str)| Permission {
            kind: Kind::new(version, kind),
            namespace: Some(namespace.to_owned()),
            verb,
            names: BTreeSet::new(),
        };
        // It is applied: changed where it is there, and made where it is not.
        let others = self.others.iter().flat_map(|other| {
            let ObjectKey { kind, namespace, name } = other.key().clone();
            ["create", "patch"].map(|verb| Permission {
                kind: kind.clone(),
                namespace: namespace.clone(),
                verb,
                names: BTreeSet::from([name.clone()]),
            })
        });
        owners.chain(versions).map(permission).chain(others).collect()
    }

    /// The parts of which there are versions to be removed.
    fn parts_of_versions(&self) -> Vec<Part> {
        let is_there =
            |part: &Part| self.only_of.is_some() || self.versions.iter().any(|version| version.part == *part);
        [Part::Config, Part::Secret].into_iter().filter(is_there).collect()
    }
}

/// Versions beyond the newest of each service that are not to be kept; with `only_of`, all versions of other services.
fn superfluous(
    found: &[Object],
    kept: &BTreeSet<String>,
    only_of: Option<&BTreeSet<ServiceName>>,
) -> Vec<(ObjectKey, String)> {
    let mut by_service: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    for object in found {
        if let Some(service) = object.label(SERVICE_LABEL) {
            by_service.entry(service).or_default().push(object);
        }
    }
    let mut superfluous = Vec::new();
    for (service, mut versions) in by_service {
        let has_left = only_of.is_some_and(|here| !here.iter().any(|name| name.as_str() == service));
        versions.sort_by_key(|version| std::cmp::Reverse(version.text("/metadata/creationTimestamp")));
        let old = versions
            .into_iter()
            .skip(if has_left { 0 } else { KEPT })
            .filter(|version| !kept.contains(&version.key().name));
        superfluous.extend(old.filter_map(|version| Some((version.key().clone(), version.uid()?.to_owned()))));
    }
    superfluous
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b34_what_removes_old_versions_is_among_the_permissions() {
        let permissions = |settings: &PlannedSettings| {
            let all = settings.permissions("shop").into_iter();
            all.map(|one| format!("{} {}", one.verb, one.kind.kind)).collect::<Vec<_>>()
        };
        assert_eq!(permissions(&PlannedSettings::default()), [""; 0]);
        let settings = PlannedSettings { only_of: Some(BTreeSet::new()), ..PlannedSettings::default() };
        let pods = ["list ReplicaSet", "list Pod"];
        assert_eq!(
            permissions(&settings),
            [&pods[..], &["list ConfigMap", "delete ConfigMap", "list Secret", "delete Secret"]].concat()
        );
    }

    #[test]
    fn b33_a_pull_secret_is_made_and_changed() {
        let pull = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "pull", "namespace": "shop" } });
        let settings = PlannedSettings { others: vec![Object::new(pull).unwrap()], ..PlannedSettings::default() };
        let all = settings.permissions("shop").into_iter();
        let all: Vec<_> = all.map(|one| format!("{} {} {:?}", one.verb, one.kind.kind, one.names)).collect();
        assert_eq!(all, [r#"create Secret {"pull"}"#, r#"patch Secret {"pull"}"#]);
    }

    #[test]
    fn b34_ten_versions_of_each_service_stay_and_those_that_something_names() {
        let version = |service: &str, number: u32| {
            Object::new(json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {
                    "name": format!("{service}-config-{number}"), "namespace": "shop", "uid": format!("{service}{number}"),
                    "creationTimestamp": format!("2026-01-{number:02}T00:00:00Z"), "labels": { SERVICE_LABEL: service },
                },
            }))
            .unwrap()
        };
        let found: Vec<_> = (1..=13).map(|number| version("cart", number)).chain([version("pay", 1)]).collect();
        let kept = BTreeSet::from(["cart-config-2".to_owned()]);
        let gone = |only_of: Option<&BTreeSet<ServiceName>>| {
            let gone = superfluous(&found, &kept, only_of).into_iter().map(|(key, uid)| (key.name, uid));
            gone.collect::<Vec<_>>()
        };
        let expected = [("cart-config-3", "cart3"), ("cart-config-1", "cart1")];
        let expected = expected.map(|(name, uid)| (name.to_owned(), uid.to_owned()));
        assert_eq!(gone(None), expected);
        let here = |name: &str| BTreeSet::from([ServiceName::try_from(name).unwrap()]);
        let of_pay = ("pay-config-1".to_owned(), "pay1".to_owned());
        assert_eq!(gone(Some(&here("cart"))), [&expected[..], &[of_pay]].concat());
        // What something names stays, also of a service that left.
        assert_eq!(gone(Some(&here("pay"))).len(), 12);
    }
}
