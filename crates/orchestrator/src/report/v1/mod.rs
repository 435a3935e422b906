//! Version 1 of what commands answer: one plain type a command.
//!
//! A caller that prints them as JSON wraps each in an envelope that names the command. Fields may be added within this
//! version; none is removed or changes its meaning.

mod approvals;
mod configuration;
mod deployment;
mod environment_status;
pub mod evidence;
mod health;
mod history;
mod hold;
mod images;
mod inputs;
mod lock;
mod merge_plan;
mod permissions;
mod plan_marks;
mod policy;
mod pull_requests;
mod pushed;
mod releases;
mod rollback_check;
mod run;
mod schema;
mod simulator;
mod submodules;
mod suites;
mod take_over;
mod verdict;

pub use approvals::{AppliedFallback, ApprovalsReport, CarriedReview, NotCountedReview, UnreviewedLock};
pub use configuration::{
    Approvers, ChartFault, ChartImage, ChartImageValues, ConfigCheckReport, ConfigInitReport, ConfigShowReport,
    SuggestedEnvironment,
};
pub use deployment::{DriftReport, NotDeployedService, PlanReport, VerifyReport};
pub use environment_status::{
    Blocked, Deployed, EnvironmentStatus, LastStep, Next, ProofSummary, StatusReport, status,
};
pub use health::HealthReport;
pub use history::{EvidenceReport, HistoryReport, HistoryRow, RecordReport, history};
pub use hold::{HoldReport, NextRun};
pub use images::{ImageAttempt, ImagesExplainReport, TakenImage};
pub use inputs::{InputChange, InputChanges, Lines, MAX_INPUTS_LISTED};
pub use lock::{
    AdoptedLock, CheckAnswer, LockCheckReport, LockCommitReport, LockComposeReport, LockDiffReport, LockGenerateReport,
    LockMigrateReport, LockPublishReport, LockRejectReport, LockShowReport, LockSource, LockedService, PublishedLock,
    ServiceImage, locked_services,
};
pub use merge_plan::{MergePlan, PlanFinding, PlanVerdict, SharedProblem, WrittenThing};
pub use permissions::{NamespaceRole, PermissionsReport, Rule};
pub use plan_marks::{MarkedObject, PlannedMigration, QuotaUse};
pub use policy::{PolicyAcceptReport, PolicyReport};
pub(crate) use pull_requests::review_word;
pub use pull_requests::{
    ForgeReviewReport, MergeReport, PullRequestChecks, PullRequestList, PullRequestReport, PullRequestSummary,
    PullRequestView, ShownComment, ShownReview, ShownStatus,
};
pub use pushed::PushedRefs;
pub(crate) use releases::rejected;
pub use releases::{ProvenIn, ReleaseRow, ReleasesReport, RollbackChoice};
pub use rollback_check::{CheckedRelease, RollbackCheckReport};
pub use run::{NotRolledBack, Operation, RollbackPlanReport, RunReport, StayCause, StepLine, StepResult};
pub use schema::{evidence_schema, report_schema, saved_plan_schema};
pub use simulator::{ForgeInitReport, UpdateVerdictReport};
pub use submodules::{CommitLine, CommitLines, RiskLine, SubmoduleCommits};
pub use suites::TestReport;
pub use take_over::{TakeOverReport, TakenPlace};
pub use verdict::{NotJudged, Report, Verdict};

pub use deployer::{
    Change, ChangeKind, Dossier, Failure, FailureCause, FieldChange, FindingKind, ImageChange, NoisyField,
    ObjectChange, Proof, ProofLevel, Risk, ServiceChanges, Sidecar, UnpinnedImage,
};
pub use healthcheck::{CheckState, Severity};
pub use qa::{SuiteReport, Verdict as SuiteVerdict};
