//! From a request to the files of a rendered tree: pure, and with every problem of every service at once.

use std::collections::BTreeMap;

use cluster::ReferenceReport;
use lock_model::CommitId;
use serde_json::{Map, Value};

use super::detail::RenderPlan;
use super::record::{self, RELEASE_FILE};
use super::tree::RenderedTree;
use super::{changes, proof};
use crate::pinned_manifests::{PinnedManifests, PinnedObject, pin_manifests};
use crate::plan::{Plan, PlanDetail};
use crate::problem::{DeployProblem, DeployProblems, ProblemKind};
use crate::request::DeployRequest;
use crate::yaml_writer::to_yaml;

/// Renders a request and compares it with the tree that is there now.
///
/// The rendered tree is read back and proven before the plan is handed out.
pub fn plan(request: &DeployRequest, current: Option<&RenderedTree>) -> Result<Plan, DeployProblems> {
    let record = record::object_id(&request.namespace);
    let PinnedManifests { objects, unpinned_images, ignored, notes } =
        pin_manifests(request, "render", &|id| *id == record)?;
    let mut files = write(&objects);
    let commit = commit_to_record(request, current, &files);
    files.insert(RELEASE_FILE.to_owned(), to_yaml([&record::object(request, &commit)]).into_bytes());

    let tree = RenderedTree { files, ..RenderedTree::default() };
    let findings = proof::prove(request, &tree).findings.into_iter();
    fail_with(findings.map(|finding| DeployProblem::new(ProblemKind::Proof, finding.to_string())).collect())?;
    let base = current.and_then(|tree| tree.commit.clone());
    let message = format!("{}: {}\n\nLock-Id: {}\n", request.environment, request.release, request.lock);
    Ok(Plan {
        digest: tree.digest(),
        changes: changes::between(current, &tree.files),
        services: Vec::new(),
        unpinned_images,
        noise: Vec::new(),
        notes,
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

/// The objects of each file, in the order in which they were read.
fn write(objects: &[PinnedObject<'_>]) -> BTreeMap<String, Vec<u8>> {
    let mut by_path: BTreeMap<&str, Vec<&Map<String, Value>>> = BTreeMap::new();
    for pinned in objects {
        by_path.entry(&pinned.path).or_default().push(&pinned.object);
    }
    by_path.into_iter().map(|(path, objects)| (path.to_owned(), to_yaml(objects).into_bytes())).collect()
}
