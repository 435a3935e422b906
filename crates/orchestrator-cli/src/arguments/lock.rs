//! Arguments of the `lock` commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use lock_model::{EnvironmentName, ServiceName};

use super::EnvironmentArgs;

/// Commands about locks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum LockCommand {
    /// Resolve every service of a tree to digests and write the lock.
    Generate(LockGenerateArgs),
    /// Judge a lock: its form, the tree, the ledger, the registry. Never rewrites.
    Check(LockCheckArgs),
    /// Make a lock from one of the older pipeline: somewhere to go back to, never a promotion.
    Migrate(LockMigrateArgs),
    /// Write an override file for `docker compose` with the images of a lock.
    Compose(LockComposeArgs),
    /// Show what changes between two locks (files or revisions).
    Diff(LockDiffArgs),
    /// Show a lock as a table.
    Show(LockShowArgs),
    /// Make the lock of a pull request and publish it: artefact, comment, status.
    Publish(LockPublishArgs),
    /// Commit the lock of a merged pull request to its branch.
    Commit(LockCommitArgs),
    /// Say that a lock must never be deployed (again).
    Reject(LockRejectArgs),
}

/// What to lock.
#[derive(Debug, clap::Args)]
pub(crate) struct LockGenerateArgs {
    /// Lock what merging this pull request gives.
    #[arg(long = "pr", value_name = "N", conflicts_with = "rev", value_parser = super::pull_request, add = super::completions::pull_requests())]
    pub pull_request: Option<u64>,
    /// Lock this commit or branch.
    #[arg(long, value_name = "REV", default_value = "HEAD", add = super::completions::revisions())]
    pub rev: String,
    /// Resolve only this service and keep the other entries of the earlier lock; can be given several times.
    #[arg(long, value_name = "SERVICE", add = super::completions::services())]
    pub service: Vec<ServiceName>,
    /// The earlier lock; default: the one in the tree.
    #[arg(long, value_name = "FILE", requires = "service")]
    pub previous: Option<PathBuf>,
    /// How long to wait for images that are still being built, such as `15m`; default: not at all.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub wait: Option<Duration>,
    /// Ask the remote of every submodule whether its commit is on a branch; also where the configuration does not.
    #[arg(long)]
    pub check_pushed: bool,
    /// Write `lock.yaml`, `schema.json` and `.gitattributes` into this folder instead of the lock to stdout.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Which lock to take over.
#[derive(Debug, clap::Args)]
pub(crate) struct LockMigrateArgs {
    /// The older lock, or `-` for standard input: JSON, whatever its name ends with.
    pub file: PathBuf,
    /// The commit that it was made for; default: the newest before `HEAD` whose gitlinks are the lock's.
    #[arg(long, value_name = "REV", add = super::completions::revisions())]
    pub rev: Option<String>,
    /// Where `orchestrator.yaml` is taken from when that commit has none; default: the branch of `--adopt`, else `HEAD`.
    #[arg(long, value_name = "REV", add = super::completions::revisions())]
    pub rules: Option<String>,
    /// What images must say about their commit; default: what the configuration says.
    #[arg(long, value_name = "POLICY", value_enum)]
    pub revision: Option<RevisionArgument>,
    /// Write `lock.yaml`, `schema.json` and `.gitattributes` into this folder instead of the lock to stdout.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Let this environment go back to it: a tagged commit and a record of the ledger.
    #[arg(long, value_name = "ENVIRONMENT", requires = "reason", add = super::completions::environments())]
    pub adopt: Option<EnvironmentName>,
    /// Why it may be gone back to.
    #[arg(long, value_name = "TEXT", requires = "adopt", value_parser = super::reason)]
    pub reason: Option<String>,
}

/// What an image must say about the commit that it was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RevisionArgument {
    /// Its commit; without it there is no lock.
    Require,
    /// Its commit; one that says nothing is taken and marked.
    Warn,
}

/// What to run with locked images.
#[derive(Debug, clap::Args)]
pub(crate) struct LockComposeArgs {
    /// The compose file, or `-` for standard input: read, never changed.
    pub file: PathBuf,
    /// A lock file, or a revision that holds one.
    #[arg(long, value_name = "LOCK", default_value = "HEAD")]
    pub lock: String,
    /// What the compose file calls a service of the lock: `{name}`, `{short}`, `{short_}`, `{path}`.
    #[arg(long, value_name = "TEMPLATE", default_value = "{short}")]
    pub service: String,
    /// Write the override into this file instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Which lock to judge.
#[derive(Debug, clap::Args)]
pub(crate) struct LockCheckArgs {
    /// A lock file, or `-` for standard input; default: `locks/lock.yaml` of the revision.
    pub file: Option<PathBuf>,
    /// The commit or branch whose tree the lock must belong to.
    #[arg(long, value_name = "REV", default_value = "HEAD", add = super::completions::revisions())]
    pub rev: String,
    /// Ask the remote of every submodule, too, whether its commit is on a branch.
    #[arg(long)]
    pub check_pushed: bool,
}

/// Two locks.
#[derive(Debug, clap::Args)]
pub(crate) struct LockDiffArgs {
    /// The older lock: a file, `-` for standard input, or a revision that holds one.
    #[arg(value_hint = ValueHint::FilePath)]
    pub before: String,
    /// The newer lock: a file, `-` for standard input, or a revision that holds one.
    #[arg(value_hint = ValueHint::FilePath)]
    pub after: String,
    /// Show the commits of the services that moved, too; asks their remotes where the commits are not at hand.
    #[arg(long)]
    pub commits: bool,
}

/// One lock.
#[derive(Debug, clap::Args)]
pub(crate) struct LockShowArgs {
    /// A lock file, `-` for standard input, or a revision that holds one.
    #[arg(default_value = "HEAD", value_hint = ValueHint::FilePath)]
    pub lock: String,
}

/// Whose lock to publish.
#[derive(Debug, clap::Args)]
pub(crate) struct LockPublishArgs {
    /// The pull request.
    #[arg(long = "pr", value_name = "N", value_parser = super::pull_request, add = super::completions::pull_requests())]
    pub pull_request: u64,
    /// Ask the remote of every submodule whether its commit is on a branch; also where the configuration does not.
    #[arg(long)]
    pub check_pushed: bool,
    /// How long to wait for images that are still being built, such as `15m`; default: not at all.
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub wait: Option<Duration>,
}

/// Which commit to lock for good.
#[derive(Debug, clap::Args)]
pub(crate) struct LockCommitArgs {
    /// Environment whose branch it is.
    #[command(flatten)]
    pub environment: EnvironmentArgs,
    /// Take the registry's present answer where a tag moved since the review; recorded as unreviewed.
    #[arg(long, requires = "reason")]
    pub accept_new: bool,
    /// The reason, for the record in the ledger.
    #[arg(long, value_name = "TEXT", requires = "accept_new", value_parser = super::reason)]
    pub reason: Option<String>,
}

/// Which lock is bad.
#[derive(Debug, clap::Args)]
pub(crate) struct LockRejectArgs {
    /// A lock id or at least eight digits of it, a lock file, or a revision that holds one.
    #[arg(value_hint = ValueHint::FilePath)]
    pub lock: String,
    /// Why, for everybody who meets it later.
    #[arg(long, value_name = "TEXT", value_parser = super::reason)]
    pub reason: String,
}
