//! Proof of what was stored: every document is read again and compared with the request.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use lock_model::ServiceName;

use super::detail::{RenderPlan, RenderProof};
use super::record::{self, RELEASE_FILE, ReleaseRecord};
use super::tree::{RenderedTree, service_of};
use crate::image_fields::Slot;
use crate::image_pinning::{ImageVerdict, Pins, UnpinnedImage, pin_images};
use crate::manifest::{self, ObjectId};
use crate::plan::{Change, ChangeKind, PlanDetail};
use crate::problem::escaped;
use crate::proof::{Finding, FindingKind, Proof, ProofDetail, ProofLevel, ProvenImage};
use crate::request::{DeployRequest, DeployService, ForeignNamespace, NamespaceRule, UnpinnedImageRule};
use crate::rules;

/// Reads a stored tree and says whether it is what the request asks for.
pub fn prove(request: &DeployRequest, tree: &RenderedTree) -> Proof {
    let mut reader = Reader {
        request,
        services: request.services.iter().map(|service| (&service.name, service)).collect(),
        pins: Pins::new(request.images()),
        objects: BTreeMap::new(),
        served: BTreeSet::new(),
        containers: BTreeSet::new(),
        proven: BTreeSet::new(),
        findings: BTreeSet::new(),
        unpinned_images: BTreeSet::new(),
    };
    for path in &tree.irregular {
        reader.find(service_of(path).as_ref(), Some(path), FindingKind::Unexpected, "is not a regular file");
    }
    reader.read_record(tree);
    for (path, bytes) in tree.files.iter().filter(|(path, _)| path.as_str() != RELEASE_FILE) {
        reader.read_file(path, bytes);
    }
    reader.find_missing_services();

    Proof {
        images: reader.proven.into_iter().collect(),
        unpinned_images: reader.unpinned_images.into_iter().collect(),
        ..proof_of(tree, reader.findings.into_iter().collect())
    }
}

/// The proof where no tree is stored at all.
pub(super) fn missing(subject: &str) -> Proof {
    let message = format!("{subject} holds no rendered tree");
    let finding = Finding { service: None, path: None, kind: FindingKind::Missing, message };
    proof_of(&RenderedTree::default(), vec![finding])
}

/// The same, with the files that were edited since they were rendered.
pub(super) fn prove_stored(request: &DeployRequest, tree: &RenderedTree) -> Proof {
    let mut proof = prove(request, tree);
    let edits = edits(request, tree, &proof.findings);
    proof.findings.extend(edits);
    proof.findings.sort();
    Proof { images: proof.images, unpinned_images: proof.unpinned_images, ..proof_of(tree, proof.findings) }
}

/// The files that are not what the request is rendered to, apart from those that something was found in. A request that
/// cannot be rendered any more, such as after the last day of an exception, says nothing about them.
fn edits(request: &DeployRequest, tree: &RenderedTree, found: &[Finding]) -> Vec<Finding> {
    let Ok(plan) = super::plan(request, Some(tree)) else { return Vec::new() };
    let PlanDetail::Render(RenderPlan { tree: rendered, .. }) = &plan.detail else { return Vec::new() };
    let means = |tree: &RenderedTree, path: &str| {
        let documents = manifest::parse(tree.files.get(path)?).ok()?;
        Some(documents.into_iter().map(|document| document.object).collect::<Vec<_>>())
    };
    let is_known = |path: &str| path == RELEASE_FILE || found.iter().any(|one| one.path.as_deref() == Some(path));
    let edited = plan.changes.into_iter().filter(|change| !is_known(&change.path)).filter_map(|change| {
        let message = match change.kind {
            ChangeKind::Added => "is missing",
            ChangeKind::Removed => "is no file of this release",
            // Only written differently, by another version of this program.
            ChangeKind::Changed if means(tree, &change.path) == means(rendered, &change.path) => return None,
            ChangeKind::Changed => "is not what this release is rendered to",
        };
        let Change { service, path, .. } = change;
        Some(Finding { service, path: Some(path), kind: FindingKind::Edited, message: message.to_owned() })
    });
    edited.collect()
}

fn proof_of(tree: &RenderedTree, findings: Vec<Finding>) -> Proof {
    let detail = RenderProof { commit: tree.commit.clone(), tree: tree.digest() };
    Proof::new(ProofLevel::Stored, ProofDetail::Render(detail), findings)
}

struct Reader<'a> {
    request: &'a DeployRequest,
    services: BTreeMap<&'a ServiceName, &'a DeployService>,
    pins: Pins,
    /// Every object, with the file that it was found in first.
    objects: BTreeMap<ObjectId, String>,
    /// The services that have objects.
    served: BTreeSet<&'a ServiceName>,
    /// The services that have a container, with the locked image that it runs.
    containers: BTreeSet<(&'a ServiceName, String)>,
    proven: BTreeSet<ProvenImage>,
    findings: BTreeSet<Finding>,
    unpinned_images: BTreeSet<UnpinnedImage>,
}

impl<'a> Reader<'a> {
    fn find(
        &mut self,
        service: Option<&ServiceName>,
        path: Option<&str>,
        kind: FindingKind,
        message: impl Into<String>,
    ) {
        let (service, path) = (service.cloned(), path.map(str::to_owned));
        self.findings.insert(Finding { service, path, kind, message: message.into() });
    }

    fn read_record(&mut self, tree: &RenderedTree) {
        let path = Some(RELEASE_FILE);
        let Some(bytes) = tree.files.get(RELEASE_FILE) else {
            return self.find(None, path, FindingKind::Release, "is missing: nothing says which release this is");
        };
        let Some(record) = ReleaseRecord::parse(bytes) else {
            return self.find(None, path, FindingKind::Release, "does not say which release this is");
        };
        let request = self.request;
        for (what, found, wanted) in [
            ("environment", record.environment.as_str(), request.environment.as_str()),
            ("release", record.release.as_str(), request.release.as_str()),
            ("lock", record.lock.as_str(), request.lock.as_str()),
        ] {
            if found != wanted {
                let message = format!("says {what} `{}`, expected is `{wanted}`", escaped(found));
                self.find(None, path, FindingKind::Release, message);
            }
        }
        self.objects.insert(record::object_id(&request.namespace), RELEASE_FILE.to_owned());
    }

    fn read_file(&mut self, path: &str, bytes: &[u8]) {
        let name = service_of(path);
        let Some(service) = name.as_ref().and_then(|name| self.services.get(name).copied()) else {
            let message = "belongs to no service that is deployed here";
            return self.find(name.as_ref(), Some(path), FindingKind::Unexpected, message);
        };
        let find = |reader: &mut Self, kind, message| reader.find(Some(&service.name), Some(path), kind, message);
        let documents = match manifest::parse(bytes) {
            Ok(documents) => documents,
            Err(problems) => {
                for problem in problems {
                    let line = problem.line.map(|line| format!(" (line {line})")).unwrap_or_default();
                    find(self, FindingKind::Unreadable, format!("{}{line}", problem.message));
                }
                return;
            }
        };
        for document in documents {
            let manifest::Document { number, line: _, mut object } = document;
            let id = match ObjectId::of(&object) {
                Ok(id) => id,
                Err(message) => {
                    find(self, FindingKind::Unreadable, format!("document {number}: {message}"));
                    continue;
                }
            };
            self.served.insert(&service.name);
            for message in self.reach(service, &id, &object) {
                find(self, FindingKind::Reach, message);
            }
            for (kind, message) in self.read_images(service, path, &id, &mut object) {
                find(self, kind, message);
            }
            if let Some(other) = self.objects.insert(id.clone(), path.to_owned()) {
                find(self, FindingKind::Duplicate, format!("{id} is there twice: also in `{}`", escaped(&other)));
            }
        }
    }

    /// What is stored must stand in the namespace by itself: nothing is filled in or moved any more.
    fn reach(&self, service: &DeployService, id: &ObjectId, object: &Map<String, Value>) -> Vec<String> {
        let rule = self.request.rule_of(service).clone();
        let rule = NamespaceRule { foreign: ForeignNamespace::Refuse, ..rule };
        let is_unplaced = id.namespace.is_none() && !id.is_cluster_scoped();
        let unplaced = is_unplaced.then(|| format!("{id} names no namespace"));
        let (mut object, mut placed) = (object.clone(), id.clone());
        let privileges = rules::node_privileges(&object, id, &rule);
        let violations = rules::place_in_namespace(&mut object, &mut placed, &self.request.namespace, &rule);
        unplaced.into_iter().chain(violations.into_iter().chain(privileges).map(|(_, message)| message)).collect()
    }

    fn read_images(
        &mut self,
        service: &'a DeployService,
        path: &str,
        id: &ObjectId,
        object: &mut Map<String, Value>,
    ) -> Vec<(FindingKind, String)> {
        let mut findings = Vec::new();
        for image in pin_images(object, service.image.as_ref(), &self.pins) {
            let found = format!("`{}` of {id} is `{}`", image.place, escaped(&image.before));
            let image_finding = match image.verdict {
                ImageVerdict::Locked(wanted) if wanted == image.before => {
                    if image.slot == Slot::Container {
                        self.containers.insert((&service.name, image.before.clone()));
                    }
                    let (service, object) = (Some(service.name.clone()), id.to_string());
                    self.proven.insert(ProvenImage { service, object, place: image.place, image: image.before });
                    continue;
                }
                ImageVerdict::Unpinned(reason) => {
                    if self.request.unpinned_images == UnpinnedImageRule::Refuse {
                        let message = format!("{found}, which the lock does not decide");
                        findings.push((FindingKind::UnpinnedImage, message));
                    }
                    self.unpinned_images.insert(image.unpinned(reason, &service.name, path, id));
                    continue;
                }
                ImageVerdict::Pinned => continue,
                ImageVerdict::Locked(wanted) => format!("{found}, locked is `{wanted}`"),
                ImageVerdict::Ambiguous(which) => format!("{found}, locked are {}", which.join(", ")),
                ImageVerdict::NotAnImage => format!("{found}, which is not an image reference"),
            };
            findings.push((FindingKind::Image, image_finding));
        }
        findings
    }

    fn find_missing_services(&mut self) {
        for service in &self.request.services {
            let message = match &service.image {
                _ if !self.served.contains(&service.name) => "is deployed here, but has no objects".to_owned(),
                Some(own) if !self.containers.contains(&(&service.name, own.to_string())) => {
                    format!("is deployed here, but no container runs `{own}`")
                }
                Some(_) | None => continue,
            };
            self.find(Some(&service.name), None, FindingKind::NothingDeployed, message);
        }
    }
}
