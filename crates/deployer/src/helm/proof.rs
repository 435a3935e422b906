//! Comparing what helm stored, and what runs, with a request.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{Discovery, Kind, Object, ObjectKey};
use serde_json::Value;

use super::removed::LeftRelease;
use super::stored::{Status, releases, stored_releases};
use super::target::{AppliedRelease, HelmTarget};
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::namespace::{
    Deployed, Foreign, Inspection, Rendering, RunningContainer, content_until_deleted, edited_images, foreign_fields,
    inspect, live_objects, removes_itself, running, still_there, unproven_endpoints,
};
use crate::proof::{Finding, FindingKind, Proof, ProofDetail};
use crate::request::DeployRequest;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct HelmProof {
    /// The namespace.
    pub namespace: String,
    /// The newest revision of each service's release.
    pub releases: Vec<AppliedRelease>,
    /// Every container that runs a locked image.
    pub running: Vec<RunningContainer>,
}

impl HelmTarget {
    /// What others wrote into the objects that helm stored.
    pub(crate) async fn foreign_fields(&self, request: &DeployRequest) -> Result<Foreign, DeployError> {
        let connection = &self.namespace.connection;
        let stored = stored_releases(connection, &self.namespace.name, |name| request.is_here(name)).await?;
        let mut found = Foreign::default();
        for service in &request.services {
            let Some(stored) = stored.get(service.name.as_str()) else { continue };
            found.extend(foreign_fields(connection, request, service, &stored.rendering).await?);
        }
        Ok(found)
    }

    /// Reads what is there; helm is not started.
    pub(crate) async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        let mut findings = self.namespace.prove_release(request).await?;
        let connection = &self.namespace.connection;
        let found = releases(connection, &self.namespace.name, |name| request.is_here(name)).await?;
        let left = LeftRelease::find(connection, request, &found).await?;
        findings.extend(left.iter().map(|left| left.finding(request.removed)));
        let stored = found.stored;
        let pins = Pins::new(request.images());
        let (mut images, mut unpinned) = (Vec::new(), Vec::new());
        let (mut releases, mut renderings) = (Vec::new(), Vec::new());
        for service in &request.services {
            let mut find = |kind, message: String| {
                findings.push(Finding { service: Some(service.name.clone()), path: None, kind, message });
            };
            let Some(stored) = stored.get(service.name.as_str()) else {
                find(FindingKind::NothingDeployed, "is deployed here, but there is no such helm release".to_owned());
                continue;
            };
            if stored.status != Status::Deployed {
                let message = format!("revision {} of its helm release is {}", stored.revision, stored.status);
                find(FindingKind::NothingDeployed, message);
            }
            if stored.is_foreign {
                let message = format!("revision {} of its helm release was made by another program", stored.revision);
                find(FindingKind::Release, message);
            }
            for (kind, message) in inspect(request, service, &pins, &stored.rendering).violations {
                find(FindingKind::of(kind), message);
            }
            releases.push(AppliedRelease { service: service.name.clone(), revision: stored.revision });
            renderings.push((service, &stored.rendering));
        }
        let discovery = connection.discovery().await?;
        let wanted: Vec<_> = renderings
            .iter()
            .map(|(service, stored)| (service, places(&discovery, stored, &self.namespace.name)))
            .collect();
        let live = live_objects(
            connection,
            &wanted.iter().flat_map(|(_, places)| places.values().map(|place| place.key.clone())).collect(),
        )
        .await?;
        let there: Vec<Rendering> = wanted.iter().map(|(_, places)| there(places, &live)).collect();
        for ((service, stored), there) in renderings.iter().zip(&there) {
            // What is live is judged like what is stored; hooks, and Jobs that were removed after their end, only were.
            let mut all = Rendering::clone(stored);
            all.objects.extend(there.objects.clone());
            let Inspection { violations, proven, unpinned: listed, not_started: _ } =
                inspect(request, service, &pins, &all);
            findings.extend(violations.into_iter().map(|(kind, message)| Finding {
                service: Some(service.name.clone()),
                path: None,
                kind: FindingKind::of(kind),
                message,
            }));
            images.extend(proven);
            unpinned.extend(listed);
        }
        let deployed: Vec<_> = renderings
            .iter()
            .zip(&there)
            .map(|((service, declared), live)| Deployed { service, declared, live })
            .collect();
        let mut running = running(connection, request, &pins, &deployed, &live).await?;
        findings.append(&mut running.findings);
        for (service, places) in &wanted {
            for message in missing(places, &live) {
                let (service, kind) = (Some(service.name.clone()), FindingKind::Missing);
                findings.push(Finding { service, path: None, kind, message });
            }
        }
        findings.extend(deployed.iter().flat_map(|deployed| edited_images(*deployed, &pins, request)));
        findings.extend(unproven_endpoints(connection, &pins, &deployed, &running.addresses).await?);
        findings.sort();
        findings.dedup();
        let level = running.level(&findings);
        let detail = HelmProof {
            namespace: self.namespace.name.clone(),
            releases,
            running: std::mem::take(&mut running.containers).into_iter().collect(),
        };
        let proof =
            Proof { images, unpinned_images: unpinned, ..Proof::new(level, ProofDetail::Helm(detail), findings) };
        Ok(running.tell(proof))
    }
}

/// Where an object of a revision is.
#[derive(Debug)]
struct Place {
    key: ObjectKey,
    /// A Job that is deleted some time after its end.
    may_be_gone: bool,
}

/// Where each object of a revision has to be; hooks come and go, and are none of these.
fn places<'a>(discovery: &Discovery, stored: &'a Rendering, namespace: &str) -> BTreeMap<&'a ObjectId, Place> {
    let places = stored.objects.iter().map(|(id, object)| {
        let kind = Kind::new(object.get("apiVersion").and_then(Value::as_str).unwrap_or_default(), &id.kind);
        let is_namespaced = discovery.resource(&kind).is_none_or(|resource| resource.is_namespaced);
        let namespace = is_namespaced.then(|| id.namespace.as_deref().unwrap_or(namespace).to_owned());
        let key = ObjectKey { kind, namespace, name: id.name.clone() };
        (id, Place { key, may_be_gone: removes_itself(object) })
    });
    places.collect()
}

/// What a revision has and the cluster has not.
fn missing(places: &BTreeMap<&ObjectId, Place>, live: &BTreeMap<ObjectKey, Object>) -> BTreeSet<String> {
    let missing = places.iter().filter(|(_, place)| !place.may_be_gone);
    let missing = missing.filter_map(|(id, Place { key, .. })| match live.get(key) {
        None => Some(format!("{id} is not in the cluster")),
        Some(live) => live.is_terminating().then(|| still_there(live)),
    });
    missing.collect()
}

/// The objects of a revision as they are in the cluster.
fn there(places: &BTreeMap<&ObjectId, Place>, live: &BTreeMap<ObjectKey, Object>) -> Rendering {
    let objects = places.iter().filter_map(|(id, place)| match content_until_deleted(live.get(&place.key)?) {
        Value::Object(object) => Some(((*id).clone(), object)),
        _ => None,
    });
    Rendering::of_objects(objects)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_object_of_a_revision_has_to_be_there_but_hooks_and_jobs_that_remove_themselves() {
        let text = "apiVersion: v1
kind: Service
metadata: { name: cart }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: cart }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: made, annotations: { helm.sh/hook: pre-upgrade } }
---
apiVersion: batch/v1
kind: Job
metadata: { name: stays }
---
apiVersion: batch/v1
kind: Job
metadata: { name: goes }
spec: { ttlSecondsAfterFinished: 0 }
";
        let stored = Rendering::parse([text.as_bytes()], "shop").unwrap();
        let places = places(&Discovery::default(), &stored, "shop");
        assert_eq!(places.len(), 4, "{places:?}");
        let names = |live: &[Object]| {
            let live = live.iter().map(|object| (object.key().clone(), object.clone())).collect();
            missing(&places, &live).into_iter().collect::<Vec<_>>()
        };
        let object = |kind: &str, more: &str| {
            let mut metadata = json!({ "name": "cart", "namespace": "shop" });
            metadata[more] = "2026-01-05T09:00:00Z".into();
            Object::new(json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })).unwrap()
        };
        assert_eq!(
            names(&[object("Service", "creationTimestamp"), object("ConfigMap", "deletionTimestamp")]),
            ["ConfigMap/cart was deleted and is still there", "Job/stays is not in the cluster"]
        );
    }
}
