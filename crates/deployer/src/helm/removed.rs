//! Releases of services that are not deployed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::chart_folder::ChartFolder;
use super::plan::HelmPlan;
use super::program::{HelmProgram, ReleaseName};
use super::render::{run_blocking, words_of};
use super::stored::{DESCRIPTION, StoredRelease, stored_releases};
use super::target::{HelmTarget, subject_of};
use crate::applied::DeployEvent;
use crate::diff::{ChangeReason, DiffedObject, Masking, ServiceChanges, object_change};
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::Rendering;
use crate::proof::{Finding, FindingKind};
use crate::request::{DeployRequest, RemovedServiceRule};
use secrecy::ExposeSecret as _;

/// An annotation of what helm leaves in place.
const POLICY: &str = "helm.sh/resource-policy";

/// The newest revision of a release that this program made, and whose service is not deployed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftRelease {
    /// The service; the release has its name.
    pub service: ServiceName,
    /// helm's number of the revision.
    pub revision: u64,
    pub(super) rendering: Rendering,
}

impl LeftRelease {
    /// Those of a namespace that belong to no service of a request.
    pub(super) fn of(request: &DeployRequest, stored: &BTreeMap<String, StoredRelease>) -> Vec<Self> {
        let left = stored.iter().filter(|(name, release)| !release.is_foreign && request.has_left(name));
        left.filter_map(|(name, release)| {
            let service = ServiceName::try_from(name.as_str()).ok()?;
            Some(Self { service, revision: release.revision, rendering: release.rendering.clone() })
        })
        .collect()
    }

    /// The volumes that helm would delete with it.
    pub(super) fn volumes(&self) -> Vec<String> {
        let is_lost = |(id, object): &(&ObjectId, &Map<String, Value>)| {
            let policy = object.get("metadata").and_then(|metadata| metadata.get("annotations")?.get(POLICY)?.as_str());
            id.group.is_empty()
                && matches!(id.kind.as_str(), "PersistentVolumeClaim" | "PersistentVolume")
                && policy != Some("keep")
        };
        self.rendering.objects.iter().filter(is_lost).map(|(id, _)| id.to_string()).collect()
    }

    /// For reviewers: every object of it goes.
    pub(super) fn changes(&self, masking: &Masking) -> ServiceChanges {
        let objects = self.rendering.objects.iter().filter_map(|(id, object)| {
            let before = Value::Object(object.clone());
            object_change(&DiffedObject { id, before: Some(&before), after: None }, masking)
        });
        let (service, reasons) = (self.service.clone(), BTreeSet::from([ChangeReason::Left]));
        ServiceChanges { service, wave: 1, reasons, objects: objects.collect(), hooks: Vec::new() }
    }

    pub(super) fn finding(&self, rule: RemovedServiceRule) -> Finding {
        let volumes = self.volumes();
        let message = format!(
            "it is not deployed here any more, and revision {} of its helm release is there, objects: {}; {}",
            self.revision,
            self.rendering.objects.len(),
            if volumes.is_empty() { rule.way_out().to_owned() } else { kept_volumes(&volumes) }
        );
        Finding { service: Some(self.service.clone()), path: None, kind: FindingKind::Left, message }
    }
}

/// Why a release stays although its service has left.
pub(super) fn kept_volumes(volumes: &[String]) -> String {
    format!(
        "helm would delete {} with its release; `helm.sh/resource-policy: keep` in the chart keeps it",
        volumes.join(", ")
    )
}

impl HelmTarget {
    /// Uninstalls what the plan says, unless another revision is there by now.
    pub(super) async fn uninstall(
        &self,
        plan: &HelmPlan,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<(), DeployError> {
        if plan.removed.is_empty() {
            return Ok(());
        }
        let stored = stored_releases(&self.namespace.connection, &self.namespace.name).await?;
        for left in &plan.removed {
            let subject = subject_of(&left.service);
            match stored.get(left.service.as_str()) {
                // A run that was killed has done it.
                None => continue,
                Some(release) if release.revision == left.revision => {}
                Some(release) => {
                    let reason = format!(
                        "it is at revision {} now, and was to be removed at {}",
                        release.revision, left.revision
                    );
                    return Err(DeployError::NotDeployed { subject, reason, dossier: None });
                }
            }
            events(DeployEvent::Started { subject: subject.clone() });
            let (search, kubeconfig, namespace) =
                (self.search.clone(), self.kubeconfig.clone(), self.namespace.name.clone());
            let (name, deadline) = (left.service.clone(), self.namespace.deadline);
            let description = format!("{DESCRIPTION}{}", plan.request.release);
            let ended = run_blocking(move || {
                let helm = HelmProgram::find(&search)?;
                let folder = ChartFolder::empty()?.with_kubeconfig(kubeconfig.expose_secret())?;
                let release = ReleaseName { name: name.as_str(), namespace: &namespace };
                let patience = deadline.saturating_duration_since(Instant::now());
                let output = helm.uninstall(&folder, release, &description, patience);
                output.map_err(|error| super::render::failed(release.name, "uninstall it", error))
            })
            .await?;
            if let Err(error) = ended.checked() {
                let reason = format!("helm does not uninstall it: {}", words_of(&error));
                return Err(DeployError::NotDeployed { subject, reason, dossier: None });
            }
            events(DeployEvent::Finished { subject, changed: true });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_that_helm_would_delete_are_named() {
        let claim = |name: &str, annotations: &str| {
            format!(
                "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: {name}, annotations: {annotations} }}\n---\n"
            )
        };
        let text = claim("data", "{}") + &claim("kept", "{ helm.sh/resource-policy: keep }");
        let rendering = Rendering::parse([text.as_bytes()], "shop").unwrap();
        let left = LeftRelease { service: "cart".try_into().unwrap(), revision: 1, rendering };
        assert_eq!(left.volumes(), ["PersistentVolumeClaim/data"]);
    }
}
