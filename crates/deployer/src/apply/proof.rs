//! Comparing the stored objects, and what runs, with a request.

use std::collections::{BTreeMap, BTreeSet};

use cluster::{Object, ObjectKey};
use lock_model::ServiceName;
use serde_json::Value;

use super::inventory::Inventory;
use super::kustomization::rendered;
use super::plan::read;
use super::target::ApplyTarget;
use crate::error::DeployError;
use crate::image_pinning::Pins;
use crate::manifest::ObjectId;
use crate::namespace::{
    Deployed, EnvironmentNamespace, Foreign, Inspection, Rendering, RunningContainer, content_until_deleted,
    edited_images, foreign_fields, inspect, live_objects, removes_itself, running, still_there, unproven_endpoints,
};
use crate::problem::ProblemKind;
use crate::proof::{Finding, FindingKind, Proof, ProofDetail};
use crate::request::{DeployRequest, RemovedServiceRule};

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ApplyProof {
    /// The namespace.
    pub namespace: String,
    /// How many objects were read.
    pub objects: usize,
    /// Every container that runs a locked image.
    pub running: Vec<RunningContainer>,
}

impl ApplyTarget {
    /// What others wrote into the objects of the manifests.
    pub(crate) async fn foreign_fields(&self, request: &DeployRequest) -> Result<Foreign, DeployError> {
        let request = &*rendered(&self.search, request).await?;
        let manifests = read(request)?;
        let connection = &self.namespace.connection;
        let mut found = Foreign::default();
        for service in &request.services {
            found.extend(foreign_fields(connection, request, service, &manifests.rendering(&service.name)).await?);
        }
        Ok(found)
    }

    /// Reads what is there: the objects of the manifests, and what inventories have besides.
    pub(crate) async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        let request = &*rendered(&self.search, request).await?;
        let manifests = read(request)?;
        let EnvironmentNamespace { connection, name, .. } = &self.namespace;
        let mut findings = self.namespace.prove_release(request).await?;
        let inventories = Inventory::read_all(connection, name).await?;
        for (left, inventory) in inventories.iter().filter(|(name, _)| request.has_left(name)) {
            let message = match (&inventory.damage, request.removed) {
                (Some(damage), _) => format!("it is not deployed here any more, and {damage}"),
                (None, RemovedServiceRule::Keep) => format!(
                    "it is not deployed here any more, and its objects are there: {}; {}",
                    inventory.entries.len(),
                    request.removed.way_out()
                ),
                (None, RemovedServiceRule::Delete) => {
                    let names: Vec<String> = inventory.entries.iter().map(|entry| entry.id().to_string()).collect();
                    format!(
                        "it is not deployed here any more, and its objects are there: {} ({}); the next deployment deletes \
                         those that no rule keeps",
                        names.len(),
                        names.join(", ")
                    )
                }
            };
            let service = ServiceName::try_from(left.as_str()).ok();
            findings.push(Finding { service, path: None, kind: FindingKind::Left, message });
        }
        let mut wanted: BTreeMap<&str, BTreeSet<ObjectKey>> = BTreeMap::new();
        // Jobs that are deleted after their end.
        let mut ending: BTreeSet<ObjectKey> = BTreeSet::new();
        for pinned in &manifests.objects {
            let key = Object::new(Value::Object(pinned.object.clone()))?.key().clone();
            if removes_itself(&pinned.object) {
                ending.insert(key.clone());
            }
            wanted.entry(pinned.service.as_str()).or_default().insert(key);
        }
        let mut leftovers: BTreeMap<&str, BTreeSet<ObjectKey>> = BTreeMap::new();
        for service in &request.services {
            let name = service.name.as_str();
            let own = wanted.entry(name).or_default();
            let entries = inventories.get(name).into_iter().flat_map(|inventory| &inventory.entries);
            let left =
                entries.filter(|entry| !own.iter().any(|key| entry.is_of(key))).map(super::inventory::Entry::key);
            leftovers.insert(name, left.collect());
        }
        let keys = wanted.values().chain(leftovers.values()).flatten().cloned().collect();
        let live = live_objects(connection, &keys).await?;
        let pins = Pins::new(request.images());
        let (mut images, mut unpinned) = (Vec::new(), Vec::new());
        let mut live_objects_of = Vec::new();
        for service in &request.services {
            let mut find = |kind, message: String| {
                findings.push(Finding { service: Some(service.name.clone()), path: None, kind, message });
            };
            match inventories.get(service.name.as_str()) {
                None => {
                    find(FindingKind::NothingDeployed, "is deployed here, but there is no inventory of it".to_owned());
                }
                Some(inventory) => {
                    inventory.damage.iter().for_each(|damage| find(FindingKind::Unreadable, damage.clone()));
                }
            }
            let wanted = wanted.get(service.name.as_str()).into_iter().flatten();
            let left = leftovers.get(service.name.as_str()).into_iter().flatten();
            let inventory = inventories.get(service.name.as_str());
            let has_run = |key: &ObjectKey| {
                let entry = inventory.and_then(|inventory| inventory.entry(key));
                entry.is_some_and(|entry| entry.manifest.is_some()) && ending.contains(key)
            };
            for key in wanted.clone().filter(|key| !live.contains_key(*key) && !has_run(key)) {
                find(FindingKind::Missing, format!("{key} is not in the cluster"));
            }
            for live in wanted.clone().chain(left.clone()).filter_map(|key| live.get(key)) {
                if live.is_terminating() {
                    find(FindingKind::Missing, still_there(live));
                }
            }
            let objects = wanted.clone().chain(left).filter_map(|key| match content_until_deleted(live.get(key)?) {
                Value::Object(object) => Some((ObjectId::of(&object).ok()?, object)),
                _ => None,
            });
            let there = Rendering::of_objects(objects);
            let Inspection { violations, proven, unpinned: listed, not_started: _ } =
                inspect(request, service, &pins, &there);
            // What of it is gone is told already.
            let is_whole = wanted.clone().all(|key| live.contains_key(key) || has_run(key));
            for (kind, message) in violations {
                if is_whole || kind != ProblemKind::NothingToDeploy {
                    find(FindingKind::of(kind), message);
                }
            }
            images.extend(proven);
            unpinned.extend(listed);
            live_objects_of.push((service, there));
        }
        let declared: Vec<Rendering> =
            request.services.iter().map(|service| manifests.rendering(&service.name)).collect();
        let deployed = live_objects_of.iter().zip(&declared);
        let deployed: Vec<_> =
            deployed.map(|((service, live), declared)| Deployed { service, declared, live }).collect();
        let mut running = running(connection, request, &pins, &deployed, &live).await?;
        findings.extend(deployed.iter().flat_map(|deployed| edited_images(*deployed, &pins, request)));
        findings.extend(unproven_endpoints(connection, &pins, &deployed, &running.addresses).await?);
        findings.append(&mut running.findings);
        findings.sort();
        findings.dedup();
        let level = running.level(&findings);
        let detail = ApplyProof {
            namespace: name.clone(),
            objects: live.len(),
            running: std::mem::take(&mut running.containers).into_iter().collect(),
        };
        let proof =
            Proof { images, unpinned_images: unpinned, ..Proof::new(level, ProofDetail::Apply(detail), findings) };
        Ok(running.tell(proof))
    }
}
