//! The deployment of an environment, as its target plans, applies and proves it.

use std::collections::BTreeSet;

use deployer::render::BranchChange;
use deployer::{
    AppliedDetail, ApplyOptions, DeployError, DeployProblems, DeployRequest, Plan, PlanDetail, Proof, RenderFolder,
    RenderTarget, SameFiles, Target,
};
use lock_model::{BranchName, ServiceName, Timestamp};
use promotion::attempts::Fence;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::hints;
use crate::inputs::Unreadable;

/// What an environment's deployment consists of.
#[derive(Debug)]
pub(crate) struct Deployable {
    pub request: DeployRequest,
    pub branch: BranchName,
    pub folder: Option<RenderFolder>,
    /// Declared skips whose day has passed.
    pub expired: Vec<(ServiceName, String)>,
    /// Services that belong to it and whose manifests cannot be read: they are not in the request.
    pub unread: Vec<Unreadable>,
}

impl Deployable {
    /// Where the target's tree is stored.
    pub(crate) fn target(&self, context: &Context) -> Target {
        let target = RenderTarget::new(context.git.clone(), context.remote.url(), self.branch.clone());
        Target::Render(match &self.folder {
            Some(folder) => target.with_folder(folder.clone()),
            None => target,
        })
    }

    /// The exceptions of `not-deployed` whose last day has passed, as one sentence.
    pub(crate) fn expired_sentence(&self) -> Option<String> {
        if self.expired.is_empty() {
            return None;
        }
        let list: Vec<String> =
            self.expired.iter().map(|(service, until)| format!("{service} (until {until})")).collect();
        Some(format!("`not-deployed` of `{}` has expired for {}", self.request.environment, list.join(", ")))
    }

    /// Compares with what is deployed now.
    pub(crate) async fn compare(&self, context: &Context) -> Result<Plan, DeployError> {
        self.target(context).plan(&self.request).await
    }

    /// Plans the deployment; the error lists every problem of every service.
    pub(crate) async fn plan(&self, context: &Context) -> Result<Plan> {
        self.compare(context).await.map_err(|error| match &error {
            DeployError::Problems(problems) => self.refused(problems),
            DeployError::Unusable { .. } => {
                Error::from_source(ErrorKind::Refused, "the target cannot be written as it is", error)
                    .hint(NOTHING_DEPLOYED)
            }
            _ => not_read(error),
        })
    }

    /// The same where nothing is deployed; no target is asked.
    pub(crate) fn plan_from_nothing(&self) -> Result<Plan> {
        deployer::render::plan(&self.request, None).map_err(|problems| self.refused(&problems))
    }

    fn refused(&self, problems: &DeployProblems) -> Error {
        let needs_other_target = problems.as_slice().iter().any(|problem| {
            matches!(problem.kind, deployer::ProblemKind::NeedsHelm | deployer::ProblemKind::NeedsKustomize)
        });
        let code = if needs_other_target { ErrorKind::Usage } else { ErrorKind::Refused };
        let environment = &self.request.environment;
        let all = problems.as_slice();
        let hints: BTreeSet<String> = all.iter().filter_map(|one| hints::of_manifest(one.kind, environment)).collect();
        let problems = all.iter().map(|problem| {
            let subject = problem.service.as_ref().map_or_else(|| "request".to_owned(), ToString::to_string);
            Problem::new(subject, problem.text())
        });
        let error = Error::new(code, format!("the manifests of `{environment}` cannot be deployed")).problems(problems);
        hints.into_iter().fold(error, Error::hint).hint(NOTHING_DEPLOYED)
    }

    /// Applies a plan, as the deployment that record `number` of the ledger began, and says in one line what changed.
    pub(crate) async fn apply(
        &self,
        context: &Context,
        plan: &Plan,
        now: Timestamp,
        number: u64,
        fence: Fence,
    ) -> Result<String> {
        let mut options = ApplyOptions::new(&context.run.actor, now);
        options.number = Some(number);
        options.same_files = match fence {
            Fence::NotNeeded => SameFiles::Keep,
            Fence::Needed { unless } => SameFiles::Write { unless },
        };
        let applied = self.target(context).apply(plan, &options, &|_| ()).await.map_err(not_stored)?;
        let (PlanDetail::Render(planned), AppliedDetail::Render(applied)) = (&plan.detail, applied.detail);
        Ok(match applied.branch {
            BranchChange::Pushed if plan.changes.is_empty() => {
                format!("no change, in a new commit: {} at {}", self.branch, applied.commit.short(12))
            }
            BranchChange::Pushed => {
                format!(
                    "{} of {} files, {} at {}",
                    plan.changes.len(),
                    planned.tree.files.len(),
                    self.branch,
                    applied.commit.short(12)
                )
            }
            BranchChange::Unchanged => format!("no change, {} at {}", self.branch, applied.commit.short(12)),
        })
    }

    /// Reads back what is stored and compares it with the lock.
    pub(crate) async fn prove(&self, context: &Context) -> Result<Proof> {
        self.target(context).prove(&self.request).await.map_err(not_read)
    }
}

/// A plan is made before anything is written to a target; the run may have committed a lock and written records.
const NOTHING_DEPLOYED: &str = "nothing was deployed";

/// An error of the target while it was written. The render target moves its branch last.
fn not_stored(error: DeployError) -> Error {
    of_target("the rendered tree could not be stored", error)
        .hint("the branch holds the old tree or the new one, nothing between")
}

/// An error of the target while it was read.
fn not_read(error: DeployError) -> Error {
    of_target("what is stored in the target cannot be read", error)
}

fn of_target(context: &str, error: DeployError) -> Error {
    let code = ErrorKind::of(error.class(), ErrorKind::Deploy, ErrorKind::Deploy);
    let hint = hints::of_target(&error);
    hint.into_iter().fold(Error::from_source(code, context, error), Error::hint)
}
