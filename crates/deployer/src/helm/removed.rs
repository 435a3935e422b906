//! Releases of services that are not deployed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use cluster::{Connection, Kind, Object, ObjectKey};
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::changes::hooks_of;
use super::chart_folder::ChartFolder;
use super::hooks::{Doing, HooksOf, lost_of};
use super::plan::HelmPlan;
use super::program::{HelmProgram, ReleaseName};
use super::render::{run_blocking, words_of};
use super::stored::{DESCRIPTION, Releases, StoredRelease, stored_releases};
use super::target::{HelmTarget, Progress, subject_of};
use crate::applied::DeployEvent;
use crate::diff::{ChangeReason, DiffedObject, Masking, ServiceChanges, object_change};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::namespace::{Inspection, LeftBehind, Rendering, inspect_last_hooks, live_objects};
use crate::problem::{DeployProblem, escaped};
use crate::proof::{Finding, FindingKind};
use crate::request::{DeployRequest, RemovedServiceRule};
use crate::reserved::HELM_RELEASE;
use crate::volumes::{is_volume, takes_volumes};
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
    /// What is still there of a release that helm calls uninstalled; `None` where it is not uninstalled yet.
    pub(super) remains: Option<Vec<(ObjectKey, String)>>,
}

impl LeftRelease {
    /// Those of a namespace that belong to no service of a request.
    fn of(request: &DeployRequest, stored: &BTreeMap<String, StoredRelease>) -> Vec<Self> {
        let left = stored.iter().filter(|(name, release)| !release.is_foreign && request.has_left(name));
        left.filter_map(|(name, release)| {
            let service = ServiceName::try_from(name.as_str()).ok()?;
            Some(Self { service, revision: release.revision, rendering: release.rendering.clone(), remains: None })
        })
        .collect()
    }

    /// Those of a namespace that are not gone: not uninstalled yet, or with objects that are still there.
    pub(super) async fn find(
        connection: &Connection,
        request: &DeployRequest,
        releases: &Releases,
    ) -> Result<Vec<Self>, DeployError> {
        let mut left = Self::of(request, &releases.stored);
        for uninstalled in Self::of(request, &releases.uninstalled) {
            let remains = uninstalled.live(connection, &request.namespace).await?;
            if !remains.is_empty() {
                left.push(Self { remains: Some(remains), ..uninstalled });
            }
        }
        Ok(left)
    }

    /// Objects that go with it and that are there: name and UID.
    async fn live(&self, connection: &Connection, namespace: &str) -> Result<Vec<(ObjectKey, String)>, DeployError> {
        let goes = self.rendering.objects.iter().filter(|(id, object)| !is_volume(id) && !is_kept(object));
        let keys = goes.map(|(id, object)| {
            let api_version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            let namespace = id.namespace.clone().or_else(|| (!id.is_cluster_scoped()).then(|| namespace.to_owned()));
            ObjectKey { kind: Kind::new(api_version, &id.kind), namespace, name: id.name.clone() }
        });
        let live = live_objects(connection, &keys.collect()).await?;
        let is_of_release = |live: &&Object| live.annotation(HELM_RELEASE) == Some(self.service.as_str());
        let live = live.values().filter(is_of_release);
        Ok(live.filter_map(|live| Some((live.key().clone(), live.uid()?.to_owned()))).collect())
    }

    /// What helm would delete with it and that holds volumes.
    pub(super) fn volumes(&self) -> Vec<String> {
        lost_volumes(self.rendering.objects.iter())
    }

    /// Whether helm is to be told to uninstall it: it is there, and no data goes with it.
    pub(super) fn is_uninstalled_next(&self) -> bool {
        self.remains.is_none() && self.volumes().is_empty()
    }

    /// Its hooks, for the questions to the cluster.
    pub(super) fn with_hooks(&self) -> HooksOf<'_> {
        let (service, rendering) = (&self.service, &self.rendering);
        HooksOf { service, rendering, newest: Some(rendering), doing: Doing::Uninstall }
    }

    /// The hooks that its end starts.
    fn last_hooks(&self) -> BTreeMap<&ObjectId, &Map<String, Value>> {
        Doing::Uninstall.events().into_iter().flat_map(|event| self.rendering.hooks_of(event)).collect()
    }

    /// What its last hooks would start and reach, which may be another thing than what was once deployed.
    pub(super) fn inspect_hooks(&self, request: &DeployRequest, pins: &Pins) -> Inspection {
        inspect_last_hooks(request, &self.service, pins, self.last_hooks().into_iter())
    }

    /// The last hooks that helm would delete once they have run, and data with them.
    pub(super) fn lost_with_hooks(&self) -> Vec<DeployProblem> {
        lost_of(&self.service, self.last_hooks().into_iter())
    }

    /// For reviewers: every object of it goes.
    pub(super) fn changes(&self, masking: &Masking) -> ServiceChanges {
        let objects = self.rendering.objects.iter().filter_map(|(id, object)| {
            let before = Value::Object(object.clone());
            object_change(&DiffedObject { id, before: Some(&before), after: None }, masking)
        });
        let (service, reasons) = (self.service.clone(), BTreeSet::from([ChangeReason::Left]));
        let hooks = [("pre-delete", true), ("post-delete", false)];
        let hooks = hooks
            .into_iter()
            .flat_map(|(event, before)| hooks_of(&self.rendering, event, before, &BTreeSet::new()))
            .collect();
        ServiceChanges { service, wave: 1, reasons, objects: objects.collect(), hooks }
    }

    /// How what is stored differs from what was planned. helm uninstalls what is stored, and starts the hooks in it.
    fn moved(&self, stored: &StoredRelease) -> Option<String> {
        if stored.revision != self.revision {
            let (now, then) = (stored.revision, self.revision);
            return Some(format!("it is at revision {now} now, and was to be removed at {then}"));
        }
        let difference = self.rendering.difference(&stored.rendering)?;
        Some(format!(
            "what helm has stored as revision {} was changed since this was planned: {difference}; it is not uninstalled",
            self.revision
        ))
    }

    pub(super) fn finding(&self, rule: RemovedServiceRule) -> Finding {
        let volumes = self.volumes();
        if let Some(remains) = &self.remains {
            let names: Vec<String> = remains.iter().map(|(key, _)| key.to_string()).collect();
            let message = format!(
                "it is not deployed here any more, its helm release is uninstalled, and these of its objects are still there: {}",
                names.join(", ")
            );
            return Finding { service: Some(self.service.clone()), path: None, kind: FindingKind::Left, message };
        }
        let message = format!(
            "it is not deployed here any more, and revision {} of its helm release is there, objects: {}; {}",
            self.revision,
            self.rendering.objects.len(),
            if volumes.is_empty() { rule.way_out().to_owned() } else { kept_volumes(&volumes) }
        );
        Finding { service: Some(self.service.clone()), path: None, kind: FindingKind::Left, message }
    }
}

/// The releases of a namespace that this program made, whatever services there are.
pub(crate) async fn left_releases(connection: &Connection, namespace: &str) -> Result<Vec<LeftBehind>, DeployError> {
    let stored = stored_releases(connection, namespace, |_| false).await?;
    let made_here = stored.iter().filter(|(_, release)| !release.is_foreign);
    Ok(made_here.map(|(name, release)| left_behind(name, release, namespace)).collect())
}

fn left_behind(name: &str, release: &StoredRelease, namespace: &str) -> LeftBehind {
    let (objects, volumes) = (&release.rendering.objects, lost_volumes(release.rendering.objects.iter()));
    let name = escaped(name);
    let mut way_out = format!("`helm uninstall {name} --namespace {namespace}` removes it");
    if !volumes.is_empty() {
        way_out = format!("{way_out}, and {}", kept_volumes(&volumes));
    }
    LeftBehind::new(&name, format!("helm release `{name}` (objects: {})", objects.len()), way_out)
}

/// Why a release stays although its service has left.
pub(super) fn kept_volumes(volumes: &[String]) -> String {
    format!(
        "helm would delete {} with its release; `helm.sh/resource-policy: keep` in the chart keeps a claim, `whenDeleted: \
         Retain` those of a StatefulSet",
        volumes.join(", ")
    )
}

/// The objects that hold volumes, or take them with them, and that helm deletes where they leave a release.
pub(super) fn lost_volumes<'a>(objects: impl Iterator<Item = (&'a ObjectId, &'a Map<String, Value>)>) -> Vec<String> {
    let is_lost =
        |(id, object): &(&ObjectId, &Map<String, Value>)| !is_kept(object) && (is_volume(id) || takes_volumes(object));
    objects.filter(is_lost).map(|(id, _)| id.to_string()).collect()
}

fn is_kept(object: &Map<String, Value>) -> bool {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    annotations.and_then(|annotations| annotations.get(POLICY)?.as_str()) == Some("keep")
}

impl HelmTarget {
    /// Uninstalls what the plan says, unless another revision is there by now.
    pub(super) async fn uninstall(
        &self,
        plan: &HelmPlan,
        progress: &mut Progress,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<(), DeployError> {
        if plan.removed.is_empty() {
            return Ok(());
        }
        let is_ours = |name: &str| plan.removed.iter().any(|left| left.service.as_str() == name);
        let stored = stored_releases(&self.namespace.connection, &self.namespace.name, is_ours).await?;
        for left in &plan.removed {
            let subject = subject_of(&left.service);
            if let Some(remains) = &left.remains {
                progress.begun(std::slice::from_ref(&left.service));
                self.namespace.until_gone(|| subject_of(&left.service), remains).await?;
                continue;
            }
            match stored.get(left.service.as_str()) {
                // A run that was killed has done it.
                None => continue,
                Some(release) => {
                    if let Some(reason) = left.moved(release) {
                        return Err(DeployError::NotDeployed { subject, reason, dossier: None });
                    }
                }
            }
            // The cluster may have got an object with the name of a hook since it was planned.
            let facts = self.look_at_hooks(&[left.with_hooks()]).await?;
            if let Some(problem) = facts.problems.into_iter().next() {
                let reason = format!("it is not uninstalled: {}", problem.message);
                return Err(DeployError::NotDeployed { subject, reason, dossier: None });
            }
            events(DeployEvent::Started { subject: subject.clone() });
            let goes = left.live(&self.namespace.connection, &self.namespace.name).await?;
            let (search, kubeconfig, namespace) =
                (self.search.clone(), self.kubeconfig.to_json(), self.namespace.name.clone());
            let (name, deadline) = (left.service.clone(), self.namespace.deadline);
            let description = format!("{DESCRIPTION}{}", plan.request.release);
            self.namespace.may_write().await?;
            progress.begun(std::slice::from_ref(&left.service));
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
                let error = DeployError::NotDeployed { subject, reason, dossier: None };
                let hooks = left.last_hooks().into_iter().map(|hook| self.expected_of(&left.service, hook, true));
                return Err(self.namespace.explain(error, &hooks.collect::<Vec<_>>()).await);
            }
            self.namespace.until_gone(|| subject_of(&left.service), &goes).await?;
            events(DeployEvent::Finished { subject, changed: true });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(revision: u64, text: &str) -> StoredRelease {
        StoredRelease::of_rendering(revision, Rendering::parse([text.as_bytes()], "shop").unwrap())
    }

    fn left(text: &str) -> LeftRelease {
        let rendering = Rendering::parse([text.as_bytes()], "shop").unwrap();
        LeftRelease { service: "cart".try_into().unwrap(), revision: 3, rendering, remains: None }
    }

    const HOOK: &str = "apiVersion: v1\nkind: Pod\nmetadata: { name: bye, annotations: { helm.sh/hook: 'EVENT' } }\n\
                        spec: { containers: [{ name: a, image: IMAGE }] }\n";

    #[test]
    fn t17_what_is_uninstalled_is_what_was_planned() {
        let hook = HOOK.replace("EVENT", "pre-delete").replace("IMAGE", "busybox");
        let planned = left(&hook);
        assert_eq!(planned.moved(&stored(3, &hook)), None);
        let later = planned.moved(&stored(4, &hook)).unwrap();
        assert_eq!(later, "it is at revision 4 now, and was to be removed at 3");
        let edited = planned.moved(&stored(3, &hook.replace("busybox", "evil"))).unwrap();
        assert!(
            edited.starts_with("what helm has stored as revision 3 was changed since this was planned: `spec"),
            "{edited}"
        );
        let added = planned.moved(&stored(3, &format!("{hook}---\n{}", hook.replace("bye", "more")))).unwrap();
        assert!(added.contains("planned: Pod/more;"), "{added}");
    }

    #[test]
    fn t17_images_of_last_hooks_have_digests_or_are_said() {
        let digest = format!("busybox@sha256:{}", "a".repeat(64));
        let mut request = DeployRequest::of_test();
        let found = |request: &DeployRequest, event: &str, image: &str| {
            let hook = HOOK.replace("EVENT", event).replace("IMAGE", image);
            let found = left(&hook).inspect_hooks(request, &Pins::new(request.images()));
            (found.violations.len(), found.unpinned.len())
        };
        for event in ["pre-delete", "post-delete", "pre-install,Post-Delete"] {
            assert_eq!(found(&request, event, "busybox:1"), (0, 1), "{event}");
            assert_eq!(found(&request, event, &digest), (0, 0), "{event}");
        }
        // Nothing starts it any more.
        assert_eq!(found(&request, "pre-install", "busybox:1"), (0, 0));
        request.unpinned_images = crate::request::UnpinnedImageRule::Refuse;
        assert_eq!(found(&request, "pre-delete", "busybox:1"), (1, 1));
        assert_eq!(found(&request, "pre-delete", &digest), (0, 0));
    }

    #[test]
    fn volumes_that_helm_would_delete_are_named() {
        let claim = |name: &str, annotations: &str| {
            format!(
                "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{ name: {name}, annotations: {annotations} }}\n---\n"
            )
        };
        let text = claim("data", "{}") + &claim("kept", "{ helm.sh/resource-policy: keep }");
        let stateful = |name: &str, rule: &str| {
            format!(
                "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{ name: {name} }}\nspec: {{ \
                 persistentVolumeClaimRetentionPolicy: {{ whenDeleted: {rule} }} }}\n---\n"
            )
        };
        let text = text + &stateful("db", "Delete") + &stateful("kept-db", "Retain");
        let rendering = Rendering::parse([text.as_bytes()], "shop").unwrap();
        let left = LeftRelease { service: "cart".try_into().unwrap(), revision: 1, rendering, remains: None };
        assert_eq!(left.volumes(), ["PersistentVolumeClaim/data", "StatefulSet/db"]);
    }
}
