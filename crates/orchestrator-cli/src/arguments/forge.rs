//! Arguments of the commands that act on the local forge.

use std::path::PathBuf;

use lock_model::{BranchName, CommitId, CommitPrefix, UserName};
use orchestrator::forge::RefPattern;

/// Commands on the local forge.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ForgeCommand {
    /// Make the folder `forge/` beside a bare repository, with its users, rules and hook.
    Init(ForgeInitArgs),
    /// Open, show and list pull requests.
    #[command(subcommand)]
    Pr(PullRequestCommand),
    /// Review a pull request.
    Review(ReviewArgs),
    /// Merge a pull request.
    Merge(ForgeMergeArgs),
    /// Judge a push, called by the bare repository's `update` hook.
    Hook(HookArgs),
}

/// How to make a local forge.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgeInitArgs {
    /// A user as `NAME:ROLE`; roles are `read`, `write`, `admin`.
    #[arg(long = "user", value_name = "NAME:ROLE", required = true)]
    pub users: Vec<String>,
    /// Name of the bot that orchestrator acts as.
    #[arg(long, value_name = "NAME", default_value = "orchestrator")]
    pub bot: UserName,
    /// A protected branch and the statuses that a merge to it needs, as `BRANCH` or `BRANCH=CONTEXT,CONTEXT`.
    #[arg(long, value_name = "RULE")]
    pub protect: Vec<String>,
    /// The protected branch that the bot commits locks to, past its rules [default: staging].
    #[arg(long, value_name = "BRANCH")]
    pub locks_on: Option<BranchName>,
    /// Branches that only bots move, or `tag:PATTERN` for tags; in place of the default patterns.
    #[arg(
        long,
        value_name = "PATTERN",
        default_values = ["deploy/**", "orchestrator/**", "tag:release-*", "tag:migrated-*"]
    )]
    pub reserve: Vec<RefPattern>,
    /// Give the forge that is there these settings, and show what that changes.
    #[arg(long)]
    pub update: bool,
}

/// Commands on pull requests.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PullRequestCommand {
    /// Open a pull request.
    Open(OpenArgs),
    /// Show a pull request with its reviews and statuses.
    Show {
        /// Its number.
        number: u64,
    },
    /// List pull requests.
    List,
    /// Take a pull request out of draft.
    Ready {
        /// Its number.
        number: u64,
    },
}

/// A new pull request.
#[derive(Debug, clap::Args)]
pub(crate) struct OpenArgs {
    /// The branch to merge.
    #[arg(long, value_name = "BRANCH")]
    pub head: BranchName,
    /// The branch to merge into.
    #[arg(long, value_name = "BRANCH")]
    pub base: BranchName,
    /// Its title.
    #[arg(long, value_name = "TEXT")]
    pub title: String,
    /// Its text.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub body: String,
}

/// A review.
#[derive(Debug, clap::Args)]
pub(crate) struct ReviewArgs {
    /// The pull request.
    pub number: u64,
    /// What the reviewer says.
    #[arg(long, value_enum)]
    pub stance: StanceArgument,
    /// The head that was looked at, 7 or more digits; `forge pr show` prints it. An approval needs it.
    #[arg(long, value_name = "SHA")]
    pub expected_head: Option<CommitPrefix>,
}

/// What a reviewer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StanceArgument {
    /// Approve.
    Approve,
    /// Ask for changes.
    RequestChanges,
    /// Say something without a verdict.
    Comment,
    /// Take back the own verdict.
    Dismiss,
}

/// A merge.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgeMergeArgs {
    /// The pull request.
    pub number: u64,
    /// Merge only when this is its head.
    #[arg(long, value_name = "SHA")]
    pub expected_head: Option<CommitId>,
    /// Ignore the branch's rules; for administrators, and recorded.
    #[arg(long)]
    pub bypass: bool,
}

/// What git hands to an `update` hook.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// The bare repository.
    pub bare: PathBuf,
    /// The full name of the ref.
    pub reference: String,
    /// The old object id.
    pub old: String,
    /// The new object id.
    pub new: String,
}
