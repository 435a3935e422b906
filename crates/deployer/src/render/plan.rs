//! From a request to the files of a rendered tree: pure, and with every problem of every service at once.

use std::collections::{BTreeMap, BTreeSet};

use cluster::ReferenceReport;
use lock_model::{CommitId, ServiceName};
use serde_json::{Map, Value};

use super::detail::RenderPlan;
use super::record::{self, RELEASE_FILE};
use super::tree::{RenderedTree, SERVICES_FOLDER};
use super::{changes, proof};
use crate::config_digest::ConfigDigests;
use crate::image_fields::Slot;
use crate::image_pinning::{ImageVerdict, Pins, UnpinnedImage, UnpinnedReason, pin_images};
use crate::manifest::{self, ObjectId};
use crate::plan::{Plan, PlanDetail};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind, escaped};
use crate::request::{DeployRequest, DeployService, UnpinnedImageRule};
use crate::rules::{self, Violation};
use crate::yaml_writer::to_yaml;

/// Renders a request and compares it with the tree that is there now.
///
/// The rendered tree is read back and proven before the plan is handed out.
pub fn plan(request: &DeployRequest, current: Option<&RenderedTree>) -> Result<Plan, DeployProblems> {
    let mut draft = Draft::new(request);
    for service in &request.services {
        draft.read_service(service);
    }
    draft.find_duplicates();
    fail_with(std::mem::take(&mut draft.problems))?;
    draft.annotate();

    let mut files = draft.write();
    let Draft { mut unpinned_images, mut ignored, .. } = draft;
    let commit = commit_to_record(request, current, &files);
    files.insert(RELEASE_FILE.to_owned(), to_yaml([&record::object(request, &commit)]).into_bytes());

    let tree = RenderedTree { files, ..RenderedTree::default() };
    let findings = proof::prove(request, &tree).findings.into_iter();
    fail_with(findings.map(|finding| DeployProblem::new(ProblemKind::Proof, finding.to_string())).collect())?;
    unpinned_images.sort();
    ignored.sort();
    let base = current.and_then(|tree| tree.commit.clone());
    let message = format!("{}: {}\n\nLock-Id: {}\n", request.environment, request.release, request.lock);
    Ok(Plan {
        digest: tree.digest(),
        changes: changes::between(current, &tree.files),
        unpinned_images,
        notes: Vec::new(),
        references: ReferenceReport::default(),
        detail: PlanDetail::Render(RenderPlan {
            tree,
            base,
            message,
            environment: request.environment.clone(),
            occupied: request.occupied,
            ignored,
        }),
    })
}

fn fail_with(problems: Vec<DeployProblem>) -> Result<(), DeployProblems> {
    DeployProblems::new(problems).map_or(Ok(()), Err)
}

/// The same release from another commit (a README was edited) is no change: the record keeps its first commit.
fn commit_to_record(
    request: &DeployRequest,
    current: Option<&RenderedTree>,
    files: &BTreeMap<String, Vec<u8>>,
) -> CommitId {
    let unchanged = || {
        let current = current?;
        let recorded = current.record()?;
        let same_release = recorded.release == request.release.as_str()
            && recorded.lock == request.lock
            && recorded.environment == request.environment.as_str();
        let same_files = current.files.len() == files.len() + 1
            && files.iter().all(|(path, bytes)| current.files.get(path) == Some(bytes));
        (same_release && same_files).then_some(recorded.commit)
    };
    unchanged().unwrap_or_else(|| request.commit.clone())
}

/// An object on its way from a manifest to the tree.
struct Rendered<'a> {
    service: &'a ServiceName,
    source: &'a str,
    number: usize,
    line: u64,
    path: String,
    id: ObjectId,
    object: Map<String, Value>,
}

struct Draft<'a> {
    request: &'a DeployRequest,
    pins: Pins,
    objects: Vec<Rendered<'a>>,
    unpinned_images: Vec<UnpinnedImage>,
    ignored: Vec<(ServiceName, String)>,
    problems: Vec<DeployProblem>,
}

impl<'a> Draft<'a> {
    fn new(request: &'a DeployRequest) -> Self {
        Self {
            request,
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
                Ok(FileKind::Chart) => {
                    (ProblemKind::NeedsHelm, "this is a chart, and `render` writes plain manifests only".to_owned())
                }
                Ok(FileKind::Kustomization) => (
                    ProblemKind::NeedsKustomize,
                    "this is a kustomization, and `render` writes plain manifests only".to_owned(),
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
            let mut violations = rules::place_in_namespace(&mut object, &mut id, &self.request.namespace, rule);
            violations.extend(rules::node_privileges(&object, &id, rule));
            violations.extend(self.pin(&mut object, &id, service, path));
            self.problems.extend(violations.into_iter().map(problem));
            let (service, source, path) = (&service.name, file, path.to_owned());
            self.objects.push(Rendered { service, source, number, line, path, id, object });
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

    fn find_duplicates(&mut self) {
        let mut first: BTreeMap<&ObjectId, &Rendered<'_>> = BTreeMap::new();
        let record = record::object_id(&self.request.namespace);
        for rendered in &self.objects {
            let message = match first.insert(&rendered.id, rendered) {
                Some(other) => format!(
                    "{} is there twice: also in `{}` of `{}`, document {}",
                    rendered.id,
                    escaped(other.source),
                    other.service,
                    other.number
                ),
                None if rendered.id == record => {
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

    fn write(&self) -> BTreeMap<String, Vec<u8>> {
        let mut by_path: BTreeMap<&str, Vec<&Map<String, Value>>> = BTreeMap::new();
        for rendered in &self.objects {
            by_path.entry(&rendered.path).or_default().push(&rendered.object);
        }
        by_path.into_iter().map(|(path, objects)| (path.to_owned(), to_yaml(objects).into_bytes())).collect()
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
    match extension {
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
        assert_eq!(file_kind("b.json"), Ok(FileKind::Manifest("b.yaml".to_owned())));
        assert_eq!(file_kind("README.md"), Ok(FileKind::Other));
        assert_eq!(file_kind(".github/x.yaml"), Ok(FileKind::Other));
        assert_eq!(file_kind("charts/x/Chart.yaml"), Ok(FileKind::Chart));
        assert_eq!(file_kind("base/kustomization.yml"), Ok(FileKind::Kustomization));
    }
}
