//! Which services migrate data when they are deployed, as the labels of their Jobs say.

use std::collections::BTreeMap;

use lock_model::ServiceName;

use crate::apply::rendered;
use crate::diff::is_migration;
use crate::error::DeployError;
use crate::helm::{render_upgrades, run_blocking};
use crate::namespace::{ClusterTargetKind, Rendering};
use crate::pinned_manifests::pin_manifests;
use crate::program_search::ProgramSearch;
use crate::request::DeployRequest;

/// The services of a request with a Job that is labelled `app.kubernetes.io/component=migration` and that their deployment over
/// an earlier version runs, hooks included; `Kind/name` of the first one of each. No cluster is asked.
///
/// # Errors
///
/// [`DeployError::Problems`] with every problem of every service.
pub async fn migrations(
    search: &ProgramSearch,
    request: &DeployRequest,
    kind: ClusterTargetKind,
) -> Result<BTreeMap<ServiceName, String>, DeployError> {
    let found = |services: &DeployRequest, renderings: Vec<Rendering>| {
        let names = services.services.iter().map(|service| service.name.clone());
        names.zip(renderings).filter_map(|(name, rendering)| Some((name, migration_of(&rendering)?))).collect()
    };
    match kind {
        ClusterTargetKind::Helm => {
            let (search, request) = (search.clone(), request.clone());
            run_blocking(move || Ok(found(&request, render_upgrades(&search, &request)?))).await
        }
        ClusterTargetKind::Apply => {
            let request = rendered(search, request).await?;
            let manifests = pin_manifests(&request, "apply", &|_| false)?;
            let renderings = request.services.iter().map(|service| manifests.rendering(&service.name));
            Ok(found(&request, renderings.collect()))
        }
    }
}

fn migration_of(rendering: &Rendering) -> Option<String> {
    let hooks = ["pre-upgrade", "post-upgrade"].into_iter().flat_map(|event| rendering.hooks_of(event));
    rendering.objects.iter().chain(hooks).find(|(id, object)| is_migration(id, object)).map(|(id, _)| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_a_migration_is_a_labelled_job_that_an_upgrade_runs() {
        let job = |own: &str, pods: &str| {
            format!(
                "{{ apiVersion: batch/v1, kind: Job, metadata: {{ name: a{own} }}, spec: {{ template: {{ metadata: {{ {pods} }} }} }} }}"
            )
        };
        let label = "labels: { app.kubernetes.io/component: migration }";
        let hook = |event: &str| job(&format!(", {label}, annotations: {{ helm.sh/hook: {event} }}"), "");
        let found = |text: &str| migration_of(&Rendering::parse([text.as_bytes()], "shop").unwrap());
        let own = job(&format!(", {label}"), "");
        for text in [&own, &job("", label), &hook("pre-upgrade"), &hook("\"post-install, post-upgrade\"")] {
            assert_eq!(found(text).as_deref(), Some("Job/a"), "{text}");
        }
        for text in [
            &job("", ""),
            &own.replace("batch/v1, kind: Job", "v1, kind: Pod"),
            &own.replace("migration", "web"),
            &hook("test"),
            &hook("pre-rollback"),
            &hook("pre-install"),
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
