//! From a request to the files of a rendered tree: pure, and with every problem of every service at once.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{CommitId, Digest, ServiceName};
use serde_json::{Map, Value};

use crate::changes::{self, Change};
use crate::config_digest::ConfigDigests;
use crate::image::ImagePin;
use crate::manifest;
use crate::object::ObjectId;
use crate::pin::{self, ImageVerdict, Leftover, LeftoverReason, Pins};
use crate::problem::{PlanProblem, ProblemKind, shown};
use crate::proof::{self, Expectation};
use crate::record::{self, RELEASE_FILE};
use crate::request::{LeftoverRule, RenderRequest, RenderService};
use crate::rules;
use crate::tree::{RenderedTree, digest_of};
use crate::walk::Slot;

/// The folder of the tree that holds one folder a service.
pub(crate) const SERVICES_FOLDER: &str = "services";

/// What a deployment writes: the whole tree, and how it differs from what is there.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every file of the tree.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What differs from the tree that is there now, by path.
    pub changes: Vec<Change>,
    /// Images that the lock does not decide.
    pub leftovers: Vec<Leftover>,
    /// Files of services that are no manifests, and are not written: `(service, file)`.
    pub ignored: Vec<(ServiceName, String)>,
    /// Digest over every path and its bytes.
    pub digest: Digest,
    /// The commit of the tree that is there now: what [`apply`](crate::apply) expects to find.
    pub base: Option<CommitId>,
}

impl Plan {
    /// Whether everything is there already.
    pub fn is_empty_change(&self) -> bool {
        self.changes.is_empty()
    }

    /// The tree as it will be read back.
    pub fn tree(&self) -> RenderedTree {
        RenderedTree { commit: None, files: self.files.clone(), irregular: Vec::new() }
    }
}

/// Renders a request and compares it with the tree that is there now.
///
/// The rendered tree is read back and proven before the plan is handed out.
pub fn plan(request: &RenderRequest, current: Option<&RenderedTree>) -> Result<Plan, Vec<PlanProblem>> {
    let mut draft = Draft::new(request);
    for service in &request.services {
        draft.read_service(service);
    }
    draft.look_for_doubles();
    if !draft.problems.is_empty() {
        draft.problems.sort();
        draft.problems.dedup();
        return Err(draft.problems);
    }
    draft.annotate();

    let mut files = draft.write();
    let commit = commit_to_record(request, current, &files);
    files.insert(RELEASE_FILE.to_owned(), crate::emit::write([&record::object(request, &commit)]).into_bytes());

    let rendered = RenderedTree { commit: None, files, irregular: Vec::new() };
    let proof = proof::prove(&Expectation::of(request), &rendered);
    if !proof.is_proven() {
        return Err(proof.findings.into_iter().map(|finding| request_problem(finding.to_string())).collect());
    }
    draft.leftovers.sort();
    draft.ignored.sort();
    let RenderedTree { files, .. } = rendered;
    Ok(Plan {
        changes: changes::between(current, &files),
        digest: digest_of(&files),
        files,
        leftovers: draft.leftovers,
        ignored: draft.ignored,
        base: current.and_then(|tree| tree.commit.clone()),
    })
}

fn request_problem(message: String) -> PlanProblem {
    PlanProblem { service: None, file: None, document: None, line: None, kind: ProblemKind::Proof, message }
}

/// The same release from another commit (a README was edited) is no change: the record keeps its first commit.
fn commit_to_record(
    request: &RenderRequest,
    current: Option<&RenderedTree>,
    files: &BTreeMap<String, Vec<u8>>,
) -> CommitId {
    let unchanged = || {
        let current = current?;
        let recorded = current.record()?;
        let same_release = recorded.release == request.release
            && recorded.lock == request.lock
            && recorded.environment == request.environment;
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
    request: &'a RenderRequest,
    pins: Pins,
    objects: Vec<Rendered<'a>>,
    leftovers: Vec<Leftover>,
    ignored: Vec<(ServiceName, String)>,
    problems: Vec<PlanProblem>,
}

impl<'a> Draft<'a> {
    fn new(request: &'a RenderRequest) -> Self {
        let own = request.services.iter().filter_map(|service| service.image.as_ref());
        Self {
            request,
            pins: Pins::new(own.chain(&request.other_images)),
            objects: Vec::new(),
            leftovers: Vec::new(),
            ignored: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, service: &ServiceName, file: Option<&str>, kind: ProblemKind, message: impl Into<String>) {
        self.problems.push(PlanProblem {
            service: Some(service.clone()),
            file: file.map(str::to_owned),
            document: None,
            line: None,
            kind,
            message: message.into(),
        });
    }

    fn read_service(&mut self, service: &'a RenderService) {
        let problems_before = self.problems.len();
        let objects_before = self.objects.len();
        let mut targets: BTreeMap<String, &str> = BTreeMap::new();
        for (file, bytes) in &service.files {
            match file_kind(file) {
                Err(why) => self.problem(&service.name, Some(file), ProblemKind::Path, why),
                Ok(FileKind::Chart) => self.problem(
                    &service.name,
                    Some(file),
                    ProblemKind::NeedsHelm,
                    "this is a chart: needs target helm, render writes plain manifests only",
                ),
                Ok(FileKind::Kustomization) => self.problem(
                    &service.name,
                    Some(file),
                    ProblemKind::NeedsKustomize,
                    "this is a kustomization: needs target manifests, render writes plain manifests only",
                ),
                Ok(FileKind::Other) => self.ignored.push((service.name.clone(), file.clone())),
                Ok(FileKind::Manifest(target)) => {
                    let path = format!("{SERVICES_FOLDER}/{}/{target}", service.name);
                    if let Some(other) = targets.insert(target.to_lowercase(), file) {
                        let message = format!("`{}` is written to the same file `{}`", shown(other), shown(&target));
                        self.problem(&service.name, Some(file), ProblemKind::Path, message);
                    } else {
                        self.read_file(service, file, bytes, &path);
                    }
                }
            }
        }
        if self.problems.len() == problems_before {
            self.look_for_content(service, objects_before);
        }
    }

    fn read_file(&mut self, service: &'a RenderService, file: &'a str, bytes: &[u8], path: &str) {
        let documents = match manifest::read(bytes) {
            Ok(documents) => documents,
            Err(unreadable) => {
                self.problems.extend(unreadable.into_iter().map(|reason| PlanProblem {
                    service: Some(service.name.clone()),
                    file: Some(file.to_owned()),
                    document: reason.document,
                    line: reason.line,
                    kind: ProblemKind::Unreadable,
                    message: reason.message,
                }));
                return;
            }
        };
        for document in documents {
            let manifest::Document { number, line, mut object } = document;
            let problem = |(kind, message)| PlanProblem {
                service: Some(service.name.clone()),
                file: Some(file.to_owned()),
                document: Some(number),
                line: Some(line),
                kind,
                message,
            };
            let mut id = match ObjectId::of(&object) {
                Ok(id) => id,
                Err(message) => {
                    self.problems.push(problem((ProblemKind::Unreadable, message)));
                    continue;
                }
            };
            let namespace = &self.request.namespace;
            let rule = service.namespace_rule.as_ref().unwrap_or(&self.request.namespace_rule);
            let mut violations = rules::place_in_namespace(&mut object, &mut id, namespace, rule);
            violations.extend(rules::node_privileges(&object, &id, rule));
            violations.extend(self.pin(&mut object, &id, service.image.as_ref(), service, path));
            self.problems.extend(violations.into_iter().map(problem));
            let (service, source, path) = (&service.name, file, path.to_owned());
            self.objects.push(Rendered { service, source, number, line, path, id, object });
        }
    }

    /// Writes the locked images, lists what is left over, and says what cannot be decided.
    fn pin(
        &mut self,
        object: &mut Map<String, Value>,
        id: &ObjectId,
        own: Option<&ImagePin>,
        service: &RenderService,
        path: &str,
    ) -> Vec<(ProblemKind, String)> {
        let mut violations = Vec::new();
        for image in pin::pin_images(object, own, &self.pins) {
            let (place, written) = (&image.place, shown(&image.before));
            match image.verdict {
                ImageVerdict::Locked | ImageVerdict::Pinned => {}
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
                ImageVerdict::Leftover(reason) => {
                    if self.request.leftovers == LeftoverRule::Refuse {
                        let why = match reason {
                            LeftoverReason::Unpinned => "is neither locked nor written with a digest",
                            LeftoverReason::LockedElsewhere => "names a locked image without its locked digest",
                        };
                        violations.push((ProblemKind::Leftover, format!("`{place}` of {id}: `{written}` {why}")));
                    }
                    self.leftovers.push(Leftover {
                        service: Some(service.name.clone()),
                        path: path.to_owned(),
                        object: id.to_string(),
                        place: image.place,
                        image: written,
                        reason,
                    });
                }
            }
        }
        violations
    }

    /// Nothing to deploy is not a success.
    fn look_for_content(&mut self, service: &'a RenderService, objects_before: usize) {
        let objects = self.objects.get_mut(objects_before..).unwrap_or_default();
        if objects.is_empty() {
            let seen = service.files.len();
            let message = format!("the service is deployed here, but there is no manifest among its {seen} files");
            self.problem(&service.name, None, ProblemKind::NothingToDeploy, message);
            return;
        }
        let Some(own) = &service.image else { return };
        let mut seen = BTreeSet::new();
        for rendered in objects {
            for image in pin::pin_images(&mut rendered.object, Some(own), &self.pins) {
                if image.slot == Slot::Container {
                    seen.insert(image.before);
                }
            }
        }
        if !seen.contains(&own.reference()) {
            let found = if seen.is_empty() {
                "no container at all".to_owned()
            } else {
                format!(
                    "only {}",
                    seen.iter().map(|image| format!("`{}`", shown(image))).collect::<Vec<_>>().join(", ")
                )
            };
            let message = format!("no container of its image `{}`: its manifests have {found}", own.repository);
            self.problem(&service.name, None, ProblemKind::NothingToDeploy, message);
        }
    }

    fn look_for_doubles(&mut self) {
        let mut first: BTreeMap<&ObjectId, &Rendered<'_>> = BTreeMap::new();
        let record = ObjectId {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(self.request.namespace.clone()),
            name: record::RECORD_NAME.to_owned(),
        };
        let mut doubles = Vec::new();
        for rendered in &self.objects {
            let other = match first.insert(&rendered.id, rendered) {
                Some(other) => format!(
                    "{} is there twice: also in `{}` of `{}`, document {}",
                    rendered.id,
                    shown(other.source),
                    other.service,
                    other.number
                ),
                None if rendered.id == record => {
                    format!("{} is the release's own record: take another name", rendered.id)
                }
                None => continue,
            };
            doubles.push(PlanProblem {
                service: Some(rendered.service.clone()),
                file: Some(rendered.source.to_owned()),
                document: Some(rendered.number),
                line: Some(rendered.line),
                kind: ProblemKind::Duplicate,
                message: other,
            });
        }
        let mut names = BTreeSet::new();
        for service in &self.request.services {
            if !names.insert(&service.name) {
                doubles.push(request_problem(format!("service `{}` is in the request twice", service.name)));
            }
        }
        self.problems.extend(doubles);
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
        by_path.into_iter().map(|(path, objects)| (path.to_owned(), crate::emit::write(objects).into_bytes())).collect()
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

fn file_kind(file: &str) -> Result<FileKind, &'static str> {
    if file.is_empty() || file.starts_with('/') || file.contains(['\\', '\0']) || file.contains(char::is_control) {
        return Err("not a path inside the folder of the manifests");
    }
    if file.split('/').any(|part| matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git")) {
        return Err("a path with an empty, `.`, `..` or `.git` part is not written");
    }
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
        for path in
            ["../a.yaml", "/a.yaml", "a/../b.yaml", "a//b.yaml", ".git/a.yaml", "a/.GIT/b.yaml", "", "a\\b.yaml", "./a"]
        {
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
