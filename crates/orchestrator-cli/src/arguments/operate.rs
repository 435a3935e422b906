//! Arguments of the commands that work on an environment.

use std::time::Duration;

use lock_model::{EnvironmentName, SuiteName};

/// An environment.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EnvironmentArgs {
    /// The environment, as the configuration names it.
    #[arg(value_name = "ENVIRONMENT", add = super::completions::environments())]
    pub name: EnvironmentName,
}

/// The rights of an environment.
#[derive(Debug, clap::Args)]
pub(crate) struct PermissionsArgs {
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Print them as manifests of a Role and a `ClusterRole`, for `kubectl apply`.
    #[arg(long)]
    pub role: bool,
}

/// An environment, or all of them.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AnyEnvironmentArgs {
    /// Only this environment, as the configuration names it.
    #[arg(value_name = "ENVIRONMENT", add = super::completions::environments())]
    pub name: Option<EnvironmentName>,
}

/// How to run.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("reasoned").args(["lift_hold", "break_lease"]).multiple(true)))]
pub(crate) struct RunArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The commit to run; default: the newest of the environment's branch.
    #[arg(long, value_name = "REV", add = super::completions::revisions())]
    pub rev: Option<String>,
    /// How long to wait for another run of the same environment, such as `10m`; default: not at all.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub wait: Option<Duration>,
    /// Lift the environment's hold first; recorded with the reason.
    #[arg(long, requires = "reason")]
    pub lift_hold: bool,
    /// Take the environment's lease from a run that does not give it back, where the environment is in a cluster; recorded with
    /// the reason.
    #[arg(long, requires = "reason")]
    pub break_lease: bool,
    /// Why the hold is lifted, or the lease broken.
    #[arg(long, value_name = "TEXT", requires = "reasoned", value_parser = super::reason)]
    pub reason: Option<String>,
    /// A release that a rollback took out and that may be deployed again: its tag, or at least eight digits of its id.
    #[arg(long, value_name = "RELEASE", requires = "lift_hold")]
    pub accept: Option<String>,
    #[command(flatten)]
    pub on_failure: OnFailureArgs,
}

/// What follows a deployment that fails.
#[derive(Debug, clap::Args)]
pub(crate) struct OnFailureArgs {
    /// What follows a deployment that fails.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = OnFailureArgument::Stop)]
    pub on_failure: OnFailureArgument,
}

/// What follows a deployment that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnFailureArgument {
    /// Nothing: the same command goes on once the cause is gone.
    Stop,
    /// The release before is deployed again, and the environment is held.
    Rollback,
}

impl From<OnFailureArgs> for orchestrator::OnFailure {
    fn from(args: OnFailureArgs) -> Self {
        match args.on_failure {
            OnFailureArgument::Stop => Self::Stop,
            OnFailureArgument::Rollback => Self::Rollback,
        }
    }
}

/// What to plan.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The commit to plan; default: the newest of the environment's branch.
    #[arg(long, value_name = "REV", conflicts_with = "pull_request", add = super::completions::revisions())]
    pub rev: Option<String>,
    /// Plan what merging this pull request would deploy, also where the environment's turn comes later.
    #[arg(long = "pr", value_name = "N", value_parser = super::pull_request, add = super::completions::pull_requests())]
    pub pull_request: Option<u64>,
    /// Write the plan into this file: `deploy --plan` deploys it, or nothing.
    #[arg(long, value_name = "FILE", conflicts_with = "pull_request")]
    pub save: Option<std::path::PathBuf>,
}

/// What to deploy.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("reasoned").multiple(true).args(["break_lease", "take"]))]
pub(crate) struct DeployArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The commit to deploy; default: the newest of the environment's branch.
    #[arg(long, value_name = "REV", add = super::completions::revisions())]
    pub rev: Option<String>,
    /// How long to wait for another run of the same environment; default: not at all.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub wait: Option<Duration>,
    /// Take the environment's lease from a run that does not give it back, where the environment is in a cluster; recorded with
    /// the reason.
    #[arg(long, requires = "reason")]
    pub break_lease: bool,
    /// Take over fields that this manager, such as `kubectl-set`, wrote into objects of target `apply`; recorded with the
    /// reason.
    #[arg(long, value_name = "MANAGER", requires = "reason")]
    pub take: Vec<String>,
    /// Why the lease is broken, or fields are taken over.
    #[arg(long, value_name = "TEXT", requires = "reasoned", value_parser = super::reason)]
    pub reason: Option<String>,
    /// Apply even where the ledger says that it is deployed: puts back what other hands changed.
    #[arg(long)]
    pub again: bool,
    /// Deploy what this file of `plan --save` says, or refuse and name what is another by now.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<std::path::PathBuf>,
    #[command(flatten)]
    pub on_failure: OnFailureArgs,
}

/// Commands about test suites.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TestCommand {
    /// Run an environment's suites.
    Run(TestRunArgs),
}

/// Which suites.
#[derive(Debug, clap::Args)]
pub(crate) struct TestRunArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Only these suites; default: all that the environment lists.
    #[arg(long, value_name = "SUITE", add = super::completions::suites())]
    pub suite: Vec<SuiteName>,
    /// Run them on what merging this pull request gives, and set its status `orchestrator/suites`.
    #[arg(long = "pr", value_name = "N", value_parser = super::pull_request, add = super::completions::pull_requests())]
    pub pull_request: Option<u64>,
    /// Write a `JUnit` report into this file.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<std::path::PathBuf>,
}

/// What to promote.
#[derive(Debug, clap::Args)]
pub(crate) struct PromoteArgs {
    /// The environment that holds the proof.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
}

/// Whose approvals.
#[derive(Debug, clap::Args)]
pub(crate) struct ApprovalsArgs {
    /// The environment that asks for them.
    #[arg(value_name = "ENVIRONMENT", default_value = "production", add = super::completions::environments())]
    pub environment: EnvironmentName,
    /// The promotion pull request; default: the open one.
    #[arg(long = "pr", value_name = "N", value_parser = super::pull_request, add = super::completions::pull_requests())]
    pub pull_request: Option<u64>,
}

/// What to release.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleaseArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The commit; default: the newest of the environment's branch.
    #[arg(long, value_name = "REV", add = super::completions::revisions())]
    pub rev: Option<String>,
}

/// What to go back to.
#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The release's tag; default: the release before the present one.
    #[arg(long, value_name = "TAG", add = super::completions::releases())]
    pub to: Option<String>,
    /// Why, for everybody who meets the hold later.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["dry_run", "check"], value_parser = super::reason)]
    pub reason: Option<String>,
    /// Only say what it would go back to, whether the images are there, and what would change.
    #[arg(long)]
    pub dry_run: bool,
    /// Only say of every release whether it could be gone back to: images, files, plan, migrations.
    #[arg(long, conflicts_with_all = ["to", "reason", "dry_run", "reject", "accept_irreversible", "take", "wait", "patience", "break_lease"])]
    pub check: bool,
    /// Reject the lock of the release that it leaves as well, so that no environment deploys it again.
    #[arg(long)]
    pub reject: bool,
    /// Go back although a release in between has a migration that is declared irreversible.
    #[arg(long)]
    pub accept_irreversible: bool,
    /// Take over fields that this manager, such as `kubectl-set`, wrote into objects of target `apply`; recorded with the
    /// reason.
    #[arg(long, value_name = "MANAGER")]
    pub take: Vec<String>,
    /// How long to wait for another run of the same environment; default: not at all.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub wait: Option<Duration>,
    /// Take the environment's lease, for the same reason, from a run that does not stop, where the environment is in a cluster.
    #[arg(long, conflicts_with = "dry_run")]
    pub break_lease: bool,
    /// How long a run that deploys to the environment's cluster may take to stop for the rollback; default: 60s.
    #[arg(long = "yield", value_name = "TIME", value_parser = super::duration)]
    pub patience: Option<Duration>,
}

/// What to hold.
#[derive(Debug, clap::Args)]
pub(crate) struct HoldArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The reason, for the record in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub reason: String,
}

/// What to let go on.
#[derive(Debug, clap::Args)]
pub(crate) struct UnholdArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The reason, for the record in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub reason: String,
    /// A release that a rollback took out and that may be deployed again: its tag, or at least eight digits of its id.
    #[arg(long, value_name = "RELEASE")]
    pub accept: Option<String>,
}

/// Commands about the rules of an environment.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Put the rules of a commit in force where those in force cannot be met or read any more.
    // What clap writes is wider than a screen.
    #[command(override_usage = "orchestrator policy accept --reason <TEXT> <ENVIRONMENT> <COMMIT>")]
    Accept(PolicyAcceptArgs),
    /// Give an environment the places that its target writes, although they belonged to another one.
    TakeOver(PolicyTakeOverArgs),
}

/// Which rules.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyAcceptArgs {
    /// The environment.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// A commit that was a tip of the environment's branch; its configuration has the rules.
    #[arg(value_name = "COMMIT")]
    pub commit: String,
    /// The reason, for the record in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub reason: String,
}

/// Which environment takes its places over.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyTakeOverArgs {
    /// The environment, as the configuration names it now.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// The reason, for the record in the ledger.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub reason: String,
}

/// Which records.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct HistoryArgs {
    /// What to do instead of listing.
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// The environment.
    #[command(flatten)]
    pub environment: AnyEnvironmentArgs,
    /// Only from this day or time on, UTC: `2026-01-05`, or `2026-01-05T09:00:00Z`.
    #[arg(long, value_name = "DATE", value_parser = super::moment)]
    pub since: Option<lock_model::Timestamp>,
    /// Only of this release: its tag, or at least eight digits of its id.
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// At most this many, the newest.
    #[arg(short = 'n', long, value_name = "N", value_parser = super::amount)]
    pub limit: Option<usize>,
}

/// Commands on single records.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum HistoryCommand {
    /// Show everything that one record says.
    Show {
        /// Its number in the ledger.
        #[arg(value_parser = super::record)]
        seq: u64,
    },
    /// Show a document that a record names, such as a suite's report or what the gates answered.
    Evidence {
        /// The record's number in the ledger.
        #[arg(value_parser = super::record)]
        seq: u64,
        /// The document's name; `history show` lists them.
        name: String,
    },
}

/// Which releases.
#[derive(Debug, clap::Args)]
pub(crate) struct ReleasesArgs {
    /// The environment that proved or archived them.
    #[command(flatten)]
    pub environment: AnyEnvironmentArgs,
    /// At most this many, the newest.
    #[arg(short = 'n', long, value_name = "N", value_parser = super::amount)]
    pub limit: Option<usize>,
}
