//! Reading and writing: the branch first, then the folder.

use git::Git;
use lock_model::BranchName;

use super::branch::Branch;
use super::charts::{RenderedCharts, render_charts};
use super::detail::{BranchChange, FolderChange, RenderApplied, RenderPlan};
use super::folder::RenderFolder;
use super::tree::RenderedTree;
use crate::applied::{Applied, AppliedDetail, ApplyOptions, DeployEvent};
use crate::error::DeployError;
use crate::plan::Plan;
use crate::problem::{DeployProblem, DeployProblems, ProblemKind};
use crate::program_search::ProgramSearch;
use crate::proof::Proof;
use crate::request::{DeployRequest, OccupiedPlace};

/// A branch that holds nothing but the rendered tree of one environment, and perhaps a folder with the same files.
#[derive(Clone, Debug)]
pub struct RenderTarget {
    branch: Branch,
    folder: Option<RenderFolder>,
    helm: ProgramSearch,
}

impl RenderTarget {
    /// `git` is the repository that new objects are written to and pushed from; `remote` has the branch, and is a URL
    /// or a path, as git takes it.
    pub fn new(git: Git, remote: impl Into<String>, branch: BranchName) -> Self {
        Self { branch: Branch { git, remote: remote.into(), name: branch }, folder: None, helm: ProgramSearch::new("") }
    }

    /// Writes a folder as well.
    #[must_use]
    pub fn with_folder(self, folder: RenderFolder) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Renders charts with a helm that is found so; without this there is none.
    #[must_use]
    pub fn with_helm(self, helm: ProgramSearch) -> Self {
        Self { helm, ..self }
    }

    /// Reads what the branch holds now; nothing where there is no branch.
    pub async fn read_stored(&self) -> Result<Option<RenderedTree>, DeployError> {
        let branch = self.branch.clone();
        run_blocking(move || branch.read()).await
    }

    pub(crate) async fn plan(&self, request: &DeployRequest) -> Result<Plan, DeployError> {
        let (target, request) = (self.clone(), request.clone());
        run_blocking(move || {
            let current = target.branch.read()?;
            let folder = target.folder.as_ref().map(RenderFolder::read).transpose()?.flatten();
            let folder_subject = target.folder.as_ref().map(RenderFolder::subject);
            let places = [(Some(target.branch.subject()), current.as_ref()), (folder_subject, folder.as_ref())];
            refuse_occupied(&request, places)?;
            plan_of(&target.helm, &request, current.as_ref())
        })
        .await
    }

    pub(crate) async fn prove(&self, request: &DeployRequest) -> Result<Proof, DeployError> {
        let (branch, helm, request) = (self.branch.clone(), self.helm.clone(), request.clone());
        run_blocking(move || {
            Ok(match branch.read()? {
                Some(tree) => super::proof::prove_stored(&render_charts(&helm, &request)?.request, &tree),
                None => super::proof::missing(&branch.subject()),
            })
        })
        .await
    }

    /// Killed at any point, branch and folder each hold the old tree or the new one; the next call finishes the work.
    pub(crate) async fn apply(
        &self,
        plan: &Plan,
        detail: &RenderPlan,
        options: &ApplyOptions,
        events: &(dyn Fn(DeployEvent) + Sync),
    ) -> Result<Applied, DeployError> {
        let subject = self.branch.subject();
        events(DeployEvent::Started { subject: subject.clone() });
        let (target, stored, options) = (self.branch.clone(), detail.clone(), options.clone());
        let (commit, branch) = run_blocking(move || target.store(&stored, &options)).await?;
        let pushed = branch == BranchChange::Pushed;
        events(DeployEvent::Finished { subject, changed: pushed });

        let mut change = None;
        if let Some(folder) = self.folder.clone() {
            let subject = folder.subject();
            events(DeployEvent::Started { subject: subject.clone() });
            let stored = detail.clone();
            let swapped = run_blocking(move || folder.swap(&stored)).await?;
            events(DeployEvent::Finished { subject, changed: swapped });
            change = Some(if swapped { FolderChange::Swapped } else { FolderChange::Unchanged });
        }
        Ok(Applied {
            not_awaited: Vec::new(),
            changes: if pushed { plan.changes.clone() } else { Vec::new() },
            detail: AppliedDetail::Render(RenderApplied { commit, branch, folder: change }),
        })
    }
}

/// Plans as if nothing were deployed; helm is looked for where a service is a chart.
///
/// # Errors
///
/// [`DeployError::Problems`] with every problem of every service, [`DeployError::Program`] without a helm that is needed.
pub async fn plan_from_nothing(helm: &ProgramSearch, request: &DeployRequest) -> Result<Plan, DeployError> {
    let (helm, request) = (helm.clone(), request.clone());
    run_blocking(move || plan_of(&helm, &request, None)).await
}

fn plan_of(helm: &ProgramSearch, request: &DeployRequest, current: Option<&RenderedTree>) -> Result<Plan, DeployError> {
    let RenderedCharts { request, notes } = render_charts(helm, request)?;
    let plan = super::plan(&request, current)?;
    Ok(Plan { notes: notes.into_iter().chain(plan.notes.iter().cloned()).collect(), ..plan })
}

/// Refuses a branch or folder with files of another environment or another program, unless an administrator gave it to
/// this environment.
fn refuse_occupied(
    request: &DeployRequest,
    places: [(Option<String>, Option<&RenderedTree>); 2],
) -> Result<(), DeployProblems> {
    let occupied = places.into_iter().filter_map(|(subject, tree)| {
        let occupant = tree?.occupant(&request.environment)?;
        Some(DeployProblem::new(ProblemKind::Place, format!("{} holds {occupant}", subject?)))
    });
    match request.occupied {
        OccupiedPlace::TakeOver => Ok(()),
        OccupiedPlace::Refuse => DeployProblems::new(occupied.collect()).map_or(Ok(()), Err),
    }
}

/// git and file systems block: a thread that may block runs them.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DeployError> + Send + 'static,
) -> Result<T, DeployError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
