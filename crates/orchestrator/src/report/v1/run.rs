use lock_model::{CommitId, EnvironmentName, LockId, ReleaseId, ServiceName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::plan_marks::PlannedMigration;
use super::verdict::{Report, Verdict};
use crate::error::ErrorKind;

/// Which way through an environment was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Every step.
    Run,
    /// Gates, health, deployment and its proof.
    Deploy,
    /// The promotion alone.
    Promote,
    /// The release alone.
    Release,
    /// Back to an earlier release.
    Rollback,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// The answer was yes, or the work is done.
    Ok,
    /// The answer was no after looking, or the work failed.
    Failed,
    /// The answer was no before any change.
    Refused,
    /// It was done before.
    Done,
}

impl StepResult {
    /// The result in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Done => "done",
        }
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StepLine {
    /// The step, such as `suite smoke`.
    pub step: String,
    /// How it ended.
    pub result: StepResult,
    /// What it says, one line or more.
    pub detail: String,
}

impl StepLine {
    /// A step that was done.
    pub(crate) fn ok(step: &str, detail: impl Into<String>) -> Self {
        Self { step: step.to_owned(), result: StepResult::Ok, detail: detail.into() }
    }
}

/// A way through an environment, as far as it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RunReport {
    /// The operation that was asked for.
    pub operation: Operation,
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// The release; absent where the run was superseded before it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// Id of the release's lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// The commit of the superproject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The revision that was asked for; absent: the newest of the environment's branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The steps, in order.
    pub steps: Vec<StepLine>,
    /// Why another run goes on instead of this one, which changed nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded: Option<String>,
    /// The kind of failure that stopped it; absent where it came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<ErrorKind>,
    /// Lock of the release that a rollback left, where it could be rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<LockId>,
    /// Objects that were deployed and not waited for, since nothing says when they are ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_awaited: Vec<deployer::NotAwaited>,
    /// What the rollback that followed a failed deployment by itself did not take back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_rolled_back: Vec<NotRolledBack>,
    /// Whether a rollback followed by itself, so that the same command is refused.
    #[serde(skip)]
    pub rolled_back: bool,
    /// Whether what was deployed already was to be deployed again.
    #[serde(skip)]
    pub again: bool,
    /// What people should know although nothing failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A service that a rollback after a failed deployment leaves as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct NotRolledBack {
    /// The service.
    pub service: ServiceName,
    /// What kind of reason it is.
    pub cause: StayCause,
    /// Why, as a sentence.
    pub reason: String,
}

/// Why a rollback after a failed deployment leaves a service as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StayCause {
    /// The release that failed has migrated its data.
    Migration,
    /// The same, and the configuration declares it irreversible.
    IrreversibleMigration,
    /// The release that is gone back to does not have the service.
    CameSince,
}

impl NotRolledBack {
    /// One line about it.
    pub fn sentence(&self) -> String {
        let Self { service, cause, reason } = self;
        match cause {
            StayCause::Migration => format!("`{service}` is not rolled back, since it has a migration: {reason}"),
            StayCause::IrreversibleMigration => {
                format!("`{service}` is not rolled back, since its migration is irreversible: {reason}")
            }
            StayCause::CameSince => format!("`{service}`: {reason}"),
        }
    }
}

impl RunReport {
    /// A run that something newer overtook: no failure, nothing done.
    pub(crate) fn superseded(environment: EnvironmentName, note: String) -> Self {
        Self {
            operation: Operation::Run,
            environment,
            release: None,
            lock: None,
            commit: None,
            revision: None,
            steps: Vec::new(),
            superseded: Some(note),
            stopped: None,
            left: None,
            not_awaited: Vec::new(),
            not_rolled_back: Vec::new(),
            rolled_back: false,
            again: false,
            warnings: Vec::new(),
        }
    }
}

impl Report for RunReport {
    fn verdict(&self) -> Verdict {
        self.stopped.map_or(Verdict::Positive, Verdict::Negative)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// What a rollback would do: `rollback --dry-run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct RollbackPlanReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// The release that it would go back to.
    pub release: ReleaseId,
    /// The tag of that release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Id of its lock.
    pub lock: LockId,
    /// The commit that lock, configuration and manifests are taken from.
    pub commit: CommitId,
    /// When it was proven there.
    pub since: Timestamp,
    /// Whether that rollback is done already, so that the command would change nothing.
    pub is_done: bool,
    /// The images of its lock; the registry has all of those that are deployed.
    pub images: Vec<String>,
    /// The release that it would leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves: Option<ReleaseId>,
    /// Id of that release's lock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaves_lock: Option<LockId>,
    /// What would change.
    pub changes: Vec<deployer::Change>,
    /// Services that it would take back behind a migration, declared or told by the label of a Job; the warnings name the release.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<PlannedMigration>,
    /// Images that no lock decides: they stop no rollback.
    pub unpinned: Vec<deployer::UnpinnedImage>,
    /// What people should know before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for RollbackPlanReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
