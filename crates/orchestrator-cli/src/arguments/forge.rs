//! Arguments of the commands that act on the local forge.

use std::path::PathBuf;

use lock_model::{BranchName, CommitPrefix, UserName};
use orchestrator::forge::RefPattern;
use orchestrator::pull_requests::PullRequestName;

/// Commands on the local forge.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ForgeCommand {
    /// Make the folder `forge/` beside a bare repository, with its users, rules and hook.
    Init(ForgeInitArgs),
    /// Open, show, review and merge pull requests.
    #[command(subcommand)]
    Pr(PullRequestCommand),
    /// Judge a push, called by the bare repository's `update` hook.
    Hook(HookArgs),
}

/// How to make a local forge.
#[derive(Debug, clap::Args)]
pub(crate) struct ForgeInitArgs {
    /// A person as `NAME:ROLE` or `NAME:ROLE:MAIL`; roles are `read`, `write`, `admin`. By the address, as git has it in
    /// `user.email`, a person is known without `--as`.
    #[arg(long = "user", value_name = "NAME:ROLE[:MAIL]", required = true)]
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
    Create(PrCreateArgs),
    /// Show a pull request: its text, statuses, reviews and comments.
    View {
        /// Its number, or the branch that it merges; default: the branch that the clone is on.
        #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
        pull_request: Option<PullRequestName>,
    },
    /// List pull requests.
    List(PrListArgs),
    /// Show the statuses of a pull request's head, and those that a merge needs: 1 unless all are successful.
    Checks {
        /// The number of the pull request, or the branch that it merges; default: the branch that the clone is on.
        #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
        pull_request: Option<PullRequestName>,
        /// Only those that a merge needs.
        #[arg(long)]
        required: bool,
    },
    /// Take a pull request out of draft.
    Ready {
        /// Its number, or the branch that it merges.
        #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
        pull_request: PullRequestName,
    },
    /// Review a pull request.
    // What clap writes is wider than a screen.
    #[command(override_usage = "orchestrator forge pr review --approve --expected-head <SHA> <N|BRANCH>\n       \
                                orchestrator forge pr review --request-changes --body <TEXT> <N|BRANCH>\n       \
                                orchestrator forge pr review --comment --body <TEXT> <N|BRANCH>\n       \
                                orchestrator forge pr review --dismiss <N|BRANCH>")]
    Review(PrReviewArgs),
    /// Merge a pull request with a merge commit.
    Merge(PrMergeArgs),
    /// Close a pull request without merging it.
    Close {
        /// Its number, or the branch that it merges.
        #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
        pull_request: PullRequestName,
        /// A comment that says why, in Markdown.
        #[arg(short, long, value_name = "TEXT")]
        comment: Option<String>,
    },
}

/// A new pull request.
#[derive(Debug, clap::Args)]
pub(crate) struct PrCreateArgs {
    /// Its title.
    #[arg(short, long, value_name = "TEXT")]
    pub title: String,
    /// Its text, in Markdown.
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub body: String,
    /// The branch to merge into.
    #[arg(short = 'B', long, value_name = "BRANCH")]
    pub base: BranchName,
    /// The branch to merge; default: the one that the clone is on.
    #[arg(short = 'H', long, value_name = "BRANCH")]
    pub head: Option<BranchName>,
    /// Open it as a draft, which cannot be merged.
    #[arg(short, long)]
    pub draft: bool,
}

/// Which pull requests.
#[derive(Debug, clap::Args)]
pub(crate) struct PrListArgs {
    /// Those in this state.
    #[arg(short, long, value_enum, default_value_t = PrState::Open)]
    pub state: PrState,
    /// Those into this branch.
    #[arg(short = 'B', long, value_name = "BRANCH")]
    pub base: Option<BranchName>,
    /// Those from this branch.
    #[arg(short = 'H', long, value_name = "BRANCH")]
    pub head: Option<BranchName>,
    /// Those that this user opened.
    #[arg(short = 'A', long, value_name = "USER")]
    pub author: Option<UserName>,
    /// At most this many, the newest.
    #[arg(short = 'n', long, value_name = "N", value_parser = super::amount)]
    pub limit: Option<usize>,
}

/// States of pull requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PrState {
    /// Not merged and not closed.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged.
    Merged,
    /// Any.
    All,
}

/// A review.
#[derive(Debug, clap::Args)]
pub(crate) struct PrReviewArgs {
    /// The number of the pull request, or the branch that it merges.
    #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
    pub pull_request: PullRequestName,
    /// What the reviewer says.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// The text, in Markdown; a comment and a request for changes need one.
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub body: String,
    /// The head that was looked at, 7 or more digits; `forge pr view` prints it. An approval needs it.
    #[arg(long, value_name = "SHA")]
    pub expected_head: Option<CommitPrefix>,
}

/// What a reviewer says.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct VerdictArgs {
    /// Approve.
    #[arg(short, long)]
    pub approve: bool,
    /// Ask for changes.
    #[arg(short, long)]
    pub request_changes: bool,
    /// Say something without a verdict.
    #[arg(short, long)]
    pub comment: bool,
    /// Take back the own verdict.
    #[arg(long)]
    pub dismiss: bool,
}

/// A merge.
#[derive(Debug, clap::Args)]
pub(crate) struct PrMergeArgs {
    /// The number of the pull request, or the branch that it merges.
    #[arg(value_name = "N|BRANCH", add = super::completions::pull_requests())]
    pub pull_request: PullRequestName,
    /// Merge only when this is its head, seven digits at least.
    #[arg(long, visible_alias = "match-head-commit", value_name = "SHA")]
    pub expected_head: Option<CommitPrefix>,
    /// Merge with a merge commit, the only kind that keeps what was reviewed; the default.
    #[arg(short, long)]
    pub merge: bool,
    /// Ignore the branch's rules; for administrators, and recorded.
    #[arg(long)]
    pub admin: bool,
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
