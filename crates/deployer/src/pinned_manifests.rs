//! Plain manifests of services, with namespace and locked images written in: every problem of every service at once.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::ServiceName;
use serde_json::{Map, Value};

use crate::config_digest::ConfigDigests;
use crate::image_fields::Slot;
use crate::image_pinning::{ImageVerdict, Pins, UnpinnedImage, UnpinnedReason, pin_images};
use crate::manifest::{self, ObjectId};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService, UnpinnedImageRule};
use crate::rules::{self, Violation};
use crate::storable;

/// The folder of a rendered tree that holds one folder a service.
pub(crate) const SERVICES_FOLDER: &str = "services";

/// Every object of a request.
pub(crate) struct PinnedManifests<'a> {
    pub(crate) objects: Vec<PinnedObject<'a>>,
    /// Images that the lock does not decide, sorted.
    pub(crate) unpinned_images: Vec<UnpinnedImage>,
    /// Files that are no manifests, sorted: `(service, file)`.
    pub(crate) ignored: Vec<(ServiceName, String)>,
    /// What people should know, a sentence each.
    pub(crate) notes: Vec<String>,
}

/// Reads the manifests of a request for a target of this name, which writes objects of its own besides.
pub(crate) fn pin_manifests<'a>(
    request: &'a DeployRequest,
    target: &'a str,
    is_record: &dyn Fn(&ObjectId) -> bool,
) -> Result<PinnedManifests<'a>, DeployProblems> {
    let mut draft = Draft::new(request, target);
    for service in &request.services {
        draft.read_service(service);
    }
    draft.find_duplicates(is_record);
    if let Some(problems) = DeployProblems::new(std::mem::take(&mut draft.problems)) {
        return Err(problems);
    }
    draft.annotate();
    let Draft { objects, mut unpinned_images, mut ignored, .. } = draft;
    unpinned_images.sort();
    ignored.sort();
    let notes = rules::unused_namespaces(request, objects.iter().map(|one| &one.object));
    Ok(PinnedManifests { objects, unpinned_images, ignored, notes })
}

/// One object, with where it was read.
pub(crate) struct PinnedObject<'a> {
    pub(crate) service: &'a ServiceName,
    source: &'a str,
    number: usize,
    line: u64,
    /// Its file in a rendered tree.
    pub(crate) path: String,
    pub(crate) id: ObjectId,
    pub(crate) object: Map<String, Value>,
}

struct Draft<'a> {
    request: &'a DeployRequest,
    target: &'a str,
    pins: Pins,
    objects: Vec<PinnedObject<'a>>,
    unpinned_images: Vec<UnpinnedImage>,
    ignored: Vec<(ServiceName, String)>,
    problems: Vec<DeployProblem>,
}

impl<'a> Draft<'a> {
    fn new(request: &'a DeployRequest, target: &'a str) -> Self {
        Self {
            request,
            target,
            pins: Pins::new(request.images()),
            objects: Vec::new(),
            unpinned_images: Vec::new(),
            ignored: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn read_service(&mut self, service: &'a DeployService) {
        let problems_before = self.problems.len();
        let objects_before = self.objects.len();
        let mut targets: BTreeMap<String, &str> = BTreeMap::new();
        let sources = other_sources(service);
        for (file, bytes) in &service.files {
            if sources.iter().any(|folder| *file != folder.file && file.starts_with(&folder.path)) {
                // Part of what is refused as a whole: templates and values are no manifests.
                continue;
            }
            let (kind, message) = match file_kind(file) {
                Ok(FileKind::Other) => {
                    self.ignored.push((service.name.clone(), file.clone()));
                    continue;
                }
                Ok(FileKind::Manifest(target)) => {
                    let Some(other) = targets.insert(target.to_lowercase(), file) else {
                        let path = format!("{SERVICES_FOLDER}/{}/{target}", service.name);
                        self.read_file(service, file, bytes, &path);
                        continue;
                    };
                    let message = format!("`{}` is written to the same file `{}`", escaped(other), escaped(&target));
                    (ProblemKind::Path, message)
                }
                Ok(FileKind::Chart) => (
                    ProblemKind::NeedsHelm,
                    format!("this is a chart, and `{}` writes plain manifests only", self.target),
                ),
                Ok(FileKind::Kustomization) => (
                    ProblemKind::NeedsKustomize,
                    format!("this is a kustomization, and `{}` writes plain manifests only", self.target),
                ),
                Err(reason) => (ProblemKind::Path, reason.to_owned()),
            };
            self.problems.push(DeployProblem::new(kind, message).service(&service.name).file(file));
        }
        if self.problems.len() == problems_before {
            let missing = self.missing_content(service, objects_before);
            self.problems.extend(
                missing.map(|message| DeployProblem::new(ProblemKind::NothingToDeploy, message).service(&service.name)),
            );
        }
    }

    fn read_file(&mut self, service: &'a DeployService, file: &'a str, bytes: &[u8], path: &str) {
        let locate = |problem: DeployProblem| problem.service(&service.name).file(file);
        let documents = match manifest::parse(bytes) {
            Ok(documents) => documents,
            Err(problems) => return self.problems.extend(problems.into_iter().map(locate)),
        };
        for document in documents {
            let manifest::Document { number, line, mut object } = document;
            let problem = |(kind, message)| locate(DeployProblem::new(kind, message).at(Some(number), Some(line)));
            let mut id = match ObjectId::of(&object) {
                Ok(id) => id,
                Err(message) => {
                    self.problems.push(problem((ProblemKind::Unreadable, message)));
                    continue;
                }
            };
            let rule = self.request.rule_of(service);
            let unstorable = storable::violations(&object, &id);
            let mut violations = rules::place_in_namespace(&mut object, &mut id, &self.request.namespace, rule);
            violations.extend(rules::node_privileges(&object, &id, rule));
            violations.extend(self.pin(&mut object, &id, service, path));
            violations.extend(unstorable);
            self.problems.extend(violations.into_iter().map(problem));
            let (service, source, path) = (&service.name, file, path.to_owned());
            self.objects.push(PinnedObject { service, source, number, line, path, id, object });
        }
    }

    /// Writes the locked images, lists unpinned ones, and says what cannot be decided.
    fn pin(
        &mut self,
        object: &mut Map<String, Value>,
        id: &ObjectId,
        service: &DeployService,
        path: &str,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        for image in pin_images(object, service.image.as_ref(), &self.pins) {
            let (place, written) = (&image.place, escaped(&image.before));
            match image.verdict {
                ImageVerdict::Locked(_) | ImageVerdict::Pinned => {}
                ImageVerdict::NotAnImage => violations.push((
                    ProblemKind::Image,
                    format!("`{place}` of {id} is `{written}`, which is not an image reference"),
                )),
                ImageVerdict::Ambiguous(which) => violations.push((
                    ProblemKind::Image,
                    format!(
                        "`{place}` of {id} is `{written}`, and the lock has several images of that repository ({}): \
                         write the tag of the one that is meant",
                        which.join(", ")
                    ),
                )),
                ImageVerdict::Unpinned(reason) => {
                    if self.request.unpinned_images == UnpinnedImageRule::Refuse {
                        let why = match reason {
                            UnpinnedReason::NoDigest => "is neither locked nor written with a digest",
                            UnpinnedReason::LockedElsewhere => "names a locked image without its locked digest",
                        };
                        violations.push((ProblemKind::UnpinnedImage, format!("`{place}` of {id}: `{written}` {why}")));
                    }
                    let unpinned = image.unpinned(reason, &service.name, path, id);
                    self.unpinned_images.push(unpinned);
                }
            }
        }
        violations
    }

    /// Nothing to deploy is not a success: why a service without problems deploys nothing of its own.
    fn missing_content(&mut self, service: &DeployService, objects_before: usize) -> Option<String> {
        let objects = self.objects.get_mut(objects_before..).unwrap_or_default();
        if objects.is_empty() {
            let seen = service.files.len();
            return Some(format!("the service is deployed here, but there is no manifest among its {seen} files"));
        }
        let own = service.image.as_ref()?;
        let images = objects.iter_mut().flat_map(|rendered| pin_images(&mut rendered.object, Some(own), &self.pins));
        let containers: BTreeSet<String> =
            images.filter(|image| image.slot == Slot::Container).map(|image| image.before).collect();
        if containers.contains(&own.to_string()) {
            return None;
        }
        let found = if containers.is_empty() {
            "no container at all".to_owned()
        } else {
            let quoted: Vec<String> = containers.iter().map(|image| format!("`{}`", escaped(image))).collect();
            format!("only {}", quoted.join(", "))
        };
        Some(format!("no container of its image `{}`: its manifests have {found}", own.repository))
    }

    fn find_duplicates(&mut self, is_record: &dyn Fn(&ObjectId) -> bool) {
        let mut first: BTreeMap<&ObjectId, &PinnedObject<'_>> = BTreeMap::new();
        for rendered in &self.objects {
            let message = match first.insert(&rendered.id, rendered) {
                Some(other) => format!(
                    "{} is there twice: also in `{}` of `{}`, document {}",
                    rendered.id,
                    escaped(other.source),
                    other.service,
                    other.number
                ),
                None if is_record(&rendered.id) => {
                    format!("{} is the release's own record: take another name", rendered.id)
                }
                None => continue,
            };
            self.problems.push(
                DeployProblem::new(ProblemKind::Duplicate, message)
                    .service(rendered.service)
                    .file(rendered.source)
                    .at(Some(rendered.number), Some(rendered.line)),
            );
        }
        let mut names = BTreeSet::new();
        for name in self.request.services.iter().map(|service| &service.name) {
            if !names.insert(name) {
                let message = format!("service `{name}` is in the request twice");
                self.problems.push(DeployProblem::new(ProblemKind::Request, message));
            }
        }
    }

    fn annotate(&mut self) {
        let mut digests = ConfigDigests::default();
        for rendered in &self.objects {
            digests.add(&rendered.id, &rendered.object);
        }
        for rendered in &mut self.objects {
            digests.annotate(&rendered.id, &mut rendered.object);
        }
    }
}

/// What a file of a service is to us.
#[derive(Debug, PartialEq, Eq)]
enum FileKind {
    /// A manifest, and the path that it is written to.
    Manifest(String),
    Chart,
    Kustomization,
    /// Not written: a README, a script.
    Other,
}

/// A folder whose files another target would make manifests of.
struct OtherSource<'a> {
    /// Its chart or kustomization.
    file: &'a str,
    /// The folder's path with a `/` at its end; empty at the top.
    path: String,
}

/// The charts and kustomizations of a service, without those that lie within another one.
fn other_sources(service: &DeployService) -> Vec<OtherSource<'_>> {
    let mut sources: Vec<OtherSource<'_>> = service
        .files
        .iter()
        .filter(|(file, _)| matches!(file_kind(file), Ok(FileKind::Chart | FileKind::Kustomization)))
        .map(|(file, _)| {
            let path = file.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
            OtherSource { file, path }
        })
        .collect();
    sources.sort_by_key(|source| source.path.len());
    let mut tops: Vec<OtherSource<'_>> = Vec::new();
    for source in sources {
        if !tops.iter().any(|top| source.path.starts_with(&top.path)) {
            tops.push(source);
        }
    }
    tops
}

/// Why a path of a service's files cannot be written.
pub(crate) fn check_path(file: &str) -> Result<(), &'static str> {
    if file.contains('\\') || file.contains(char::is_control) {
        return Err("a path with a backslash or a control character is not written");
    }
    if file.split('/').any(|part| matches!(part, "" | "." | "..") || lock_model::is_git_folder(part)) {
        return Err("a path with an empty, `.`, `..` or `.git` part is not written");
    }
    Ok(())
}

fn file_kind(file: &str) -> Result<FileKind, &'static str> {
    check_path(file)?;
    let name = file.rsplit('/').next().unwrap_or(file);
    match name {
        "Chart.yaml" | "Chart.yml" => return Ok(FileKind::Chart),
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => return Ok(FileKind::Kustomization),
        _ => {}
    }
    let Some((stem, extension)) = file.rsplit_once('.') else { return Ok(FileKind::Other) };
    let hidden = file.split('/').any(|part| part.starts_with('.'));
    match extension.to_ascii_lowercase().as_str() {
        "yaml" | "yml" | "json" if !hidden => Ok(FileKind::Manifest(format!("{stem}.yaml"))),
        _ => Ok(FileKind::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_paths_that_leave_their_folder_are_refused() {
        let refused = "../a.yaml|/a.yaml|a/../b.yaml|a//b.yaml|.git/a.yaml|a/.GIT/b.yaml||a\\b.yaml|a\tb.yaml|./a";
        for path in refused.split('|') {
            assert!(file_kind(path).is_err(), "{path}");
        }
        assert_eq!(file_kind("a/b.yml"), Ok(FileKind::Manifest("a/b.yaml".to_owned())));
        assert_eq!(file_kind("b.YAML"), Ok(FileKind::Manifest("b.yaml".to_owned())));
        assert_eq!(file_kind("b.Yml"), Ok(FileKind::Manifest("b.yaml".to_owned())));
        assert_eq!(file_kind("b.json"), Ok(FileKind::Manifest("b.yaml".to_owned())));
        assert_eq!(file_kind("README.md"), Ok(FileKind::Other));
        assert_eq!(file_kind(".github/x.yaml"), Ok(FileKind::Other));
        assert_eq!(file_kind("charts/x/Chart.yaml"), Ok(FileKind::Chart));
        assert_eq!(file_kind("base/kustomization.yml"), Ok(FileKind::Kustomization));
    }
}
