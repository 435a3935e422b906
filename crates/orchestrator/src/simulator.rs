//! What people do on the local forge: making it, opening, reviewing and merging pull requests.

use std::path::Path;
use std::sync::Arc;

use forge::local::{self, LocalForge};
use forge::simulator::{Bypass, ForgeSettings, HookProgram, MergeOutcome, PushVerdict};
use forge::{
    BranchRules, MergeRef, NewPullRequest, OpenOutcome, PullRequest, PullRequestEdit, PullRequestState, Readiness,
    RefPattern, RequiredStatus, ReviewState, Role, User, WriteOutcome,
};
use git::Git;
use lock_model::{BranchName, CommitId, Timestamp, UserName};

pub use crate::review::{Ask, ReviewRequest, review_pull_request};

use crate::clock::Clock;
use crate::context::{Context, Surroundings, find_git, git_options};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{
    ForgeInitReport, MergeReport, PullRequestList, PullRequestReport, PullRequestSummary, ShownComment, ShownReview,
    ShownStatus, UpdateVerdictReport,
};
use crate::review::show_head;

/// How to make a local forge.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ForgeInitRequest {
    /// The bot that orchestrator acts as.
    pub bot: UserName,
    /// The people.
    pub users: Vec<(UserName, Role)>,
    /// The protected branches, and the statuses that a merge to each needs.
    pub protect: Vec<(BranchName, Vec<String>)>,
    /// The protected branch that the bot commits locks to, past its rules; `None`: `staging`, where it is protected.
    pub locks_on: Option<BranchName>,
    /// The branches and tags that only bots move.
    pub reserve: Vec<RefPattern>,
    /// Change a forge that is there already.
    pub update: bool,
    /// The program that the `update` hook calls, with `forge hook`.
    pub binary: std::path::PathBuf,
}

impl ForgeInitRequest {
    /// A forge whose only user is a bot.
    pub fn new(bot: UserName, binary: impl Into<std::path::PathBuf>) -> Self {
        Self {
            bot,
            users: Vec::new(),
            protect: Vec::new(),
            locks_on: None,
            reserve: RefPattern::defaults(),
            update: false,
            binary: binary.into(),
        }
    }
}

/// Makes the forge's files beside a bare repository and installs its hook, or gives a forge that is there these settings.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where the repository is not bare, and where locks are to be committed to a branch that is not
/// protected.
pub fn init_forge(
    repository: &Path,
    request: &ForgeInitRequest,
    surroundings: &Surroundings,
) -> Result<ForgeInitReport> {
    let program = find_git(surroundings)?;
    let git = Git::open(&program, repository, git_options(surroundings, Some(&request.bot)))
        .map_err(|error| Error::from_source(ErrorKind::Repository, "the bare repository cannot be opened", error))?;
    let root = folder_around(&git)?;
    if git.work_tree().is_some() {
        return Err(Error::new(ErrorKind::Usage, format!("`{}` is no bare repository", repository.display()))
            .hint("make one with `git clone --bare`, and name it with `--repository`"));
    }
    let bot = &request.bot;
    let locks_on = match &request.locks_on {
        Some(branch) if !request.protect.iter().any(|(protected, _)| protected == branch) => {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("locks are to be committed to `{branch}`, which is not protected"),
            )
            .hint(format!("protect it: `--protect {branch}=orchestrator/lock,orchestrator/suites`")));
        }
        Some(branch) => branch.as_str(),
        None => "staging",
    };
    let mut settings = ForgeSettings::default();
    settings.reserved.clone_from(&request.reserve);
    settings.users.push(User::bot(bot.clone(), Role::Write));
    settings.users.extend(request.users.iter().map(|(name, role)| User::person(name.clone(), *role)));
    for (branch, required) in &request.protect {
        let required_statuses =
            required.iter().map(|context| RequiredStatus::new(context.clone(), Some(bot.clone()))).collect();
        let bypass = if branch.as_str() == locks_on { vec![bot.clone()] } else { Vec::new() };
        settings.branches.insert(branch.clone(), BranchRules::new(required_statuses, bypass));
    }
    let (written, changes) = if request.update {
        (WriteOutcome::Updated, forge::simulator::update(&root, &settings)?)
    } else {
        (forge::simulator::init(&root, &settings)?, Vec::new())
    };
    // Nothing that carries a time is written.
    let clock = local::Clock::fixed(Timestamp::from_unix_seconds(0));
    let forge = LocalForge::open(&root, git, Some(bot.clone()), clock)?;
    let hook = HookProgram::new(&request.binary, ["forge", "hook"]);
    forge.simulator().install_hook(&hook)?;
    let created = match written {
        WriteOutcome::Created => true,
        WriteOutcome::Updated | WriteOutcome::Unchanged => false,
    };
    Ok(ForgeInitReport { forge: root.join("forge").display().to_string(), created, changes })
}

fn folder_around(git: &Git) -> Result<std::path::PathBuf> {
    git.common_dir()
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Error::new(ErrorKind::Usage, "the bare repository has no folder around it"))
}

/// A push to one ref, as git hands it to an `update` hook.
#[derive(Clone, Copy, Debug)]
pub struct RefPush<'a> {
    /// The bare repository.
    pub bare: &'a Path,
    /// The full name of the ref.
    pub reference: &'a str,
    /// The old object id.
    pub old: &'a str,
    /// The new object id.
    pub new: &'a str,
}

/// Judges a push to a local forge.
///
/// # Errors
///
/// Where the forge cannot be read; a push that is refused is a report.
pub fn judge_push(
    push: RefPush<'_>,
    actor: Option<&UserName>,
    surroundings: &Surroundings,
    clock: Arc<dyn Clock>,
) -> Result<UpdateVerdictReport> {
    let program = find_git(surroundings)?;
    let git = Git::open(&program, push.bare, git_options(surroundings, actor))
        .map_err(|error| Error::from_source(ErrorKind::Repository, "the bare repository cannot be opened", error))?;
    let root = folder_around(&git)?;
    let clock = local::Clock::new(move || clock.now());
    let forge = LocalForge::open(&root, git, actor.cloned(), clock)?;
    let verdict = forge.simulator().judge_update(push.reference, push.old, push.new)?;
    Ok(UpdateVerdictReport {
        reference: push.reference.to_owned(),
        allowed: !matches!(verdict, PushVerdict::Refused { .. }),
        bypassed: matches!(verdict, PushVerdict::Bypassed { .. }),
        verdict: verdict.to_string(),
    })
}

/// Opens a pull request unless one between the same branches is open.
///
/// # Errors
///
/// Where the forge refuses, or a branch is not there.
pub async fn open_pull_request(
    context: &Context,
    head: BranchName,
    base: BranchName,
    title: &str,
    body: &str,
) -> Result<PullRequestReport> {
    LedgerStore::check(context).await?;
    let new = NewPullRequest::new(head, base, title).body(body);
    let opened = context.forge.open_pull_request(&new).await?;
    let (words, pull_request) = match opened {
        OpenOutcome::Created(made) => ("opened", made),
        OpenOutcome::Exists(other) => ("is open already", other),
    };
    Ok(report(&pull_request, format!("pull request {} {words}", pull_request.number)))
}

/// Takes a pull request out of draft.
///
/// # Errors
///
/// Where the forge refuses, or there is no such pull request.
pub async fn ready_pull_request(context: &Context, number: u64) -> Result<PullRequestReport> {
    LedgerStore::check(context).await?;
    let edit = PullRequestEdit::default().readiness(Readiness::Ready);
    context.forge.edit_pull_request(number, &edit).await?;
    let pull_request = context.forge.pull_request(number).await?;
    Ok(report(&pull_request, format!("pull request {number} is ready")))
}

/// A pull request with its statuses, reviews and comments, and with the command that approves the head that it shows.
///
/// # Errors
///
/// Where there is no such pull request.
pub async fn show_pull_request(context: &Context, number: u64) -> Result<PullRequestReport> {
    let pull_request = context.forge.pull_request(number).await?;
    let summary = match &pull_request.merge {
        Some(merge) => format!("pull request {number} was merged by {} as {}", merge.by, merge.commit.short(12)),
        None => format!("pull request {number} is {}", state_word(&pull_request)),
    };
    let mut shown = report(&pull_request, summary);
    shown.approve = show_head(context, &pull_request).await?;
    if let MergeRef::Conflict { paths, .. } = context.forge.merge_ref(number).await?
        && pull_request.merge.is_none()
    {
        shown.conflicts = paths;
    }
    let statuses = context.forge.statuses(&pull_request.head).await?;
    shown.statuses = statuses
        .into_iter()
        .map(|status| ShownStatus {
            context: status.context,
            state: status.state.to_string(),
            description: status.description,
        })
        .collect();
    let reviews = context.forge.reviews(number).await?;
    shown.reviews = reviews
        .into_iter()
        .map(|review| ShownReview {
            user: review.user.to_string(),
            state: state_of(review.state).to_owned(),
            commit: review.commit,
        })
        .collect();
    let comments = context.local_forge().simulator().comments(number)?;
    shown.comments = comments
        .into_iter()
        .map(|comment| ShownComment { user: comment.user.to_string(), body: comment.body })
        .collect();
    Ok(shown)
}

/// All pull requests.
///
/// # Errors
///
/// Where the forge cannot be read.
pub async fn list_pull_requests(context: &Context) -> Result<PullRequestList> {
    let all = context.forge.pull_requests(None).await?;
    Ok(PullRequestList { pull_requests: all.iter().map(summary).collect() })
}

/// Merges a pull request whose head is `expected_head`, or whatever it is now.
///
/// # Errors
///
/// [`ErrorKind::Refused`] with every rule that speaks against it.
pub async fn merge_pull_request(
    context: &Context,
    number: u64,
    expected_head: Option<CommitId>,
    bypass: Bypass,
) -> Result<MergeReport> {
    let expected = match expected_head {
        Some(expected) => expected,
        None => context.forge.pull_request(number).await?.head,
    };
    LedgerStore::check(context).await?;
    let outcome = context.local_forge().simulator().merge(number, &expected, bypass)?;
    match outcome {
        MergeOutcome::Merged(merge) | MergeOutcome::AlreadyMerged(merge) => Ok(MergeReport {
            pull_request: number,
            commit: merge.commit,
            by: merge.by.to_string(),
            bypassed: merge.bypassed,
        }),
        MergeOutcome::Refused { reasons } => {
            Err(Error::new(ErrorKind::Refused, format!("pull request {number} cannot be merged"))
                .problems(reasons.into_iter().map(|reason| Problem::new("rule", reason))))
        }
    }
}

fn report(pull_request: &PullRequest, summary_line: String) -> PullRequestReport {
    PullRequestReport {
        pull_request: summary(pull_request),
        summary: summary_line,
        approve: None,
        conflicts: Vec::new(),
        statuses: Vec::new(),
        reviews: Vec::new(),
        comments: Vec::new(),
    }
}

fn summary(pull_request: &PullRequest) -> PullRequestSummary {
    PullRequestSummary {
        number: pull_request.number,
        title: pull_request.title.clone(),
        author: pull_request.author.to_string(),
        state: state_word(pull_request).to_owned(),
        head_branch: pull_request.head_branch.to_string(),
        base_branch: pull_request.base_branch.to_string(),
        head: pull_request.head.clone(),
        base: pull_request.base.clone(),
        merge_commit: pull_request.merge.as_ref().map(|merge| merge.commit.clone()),
        merged_by: pull_request.merge.as_ref().map(|merge| merge.by.to_string()),
    }
}

fn state_word(pull_request: &PullRequest) -> &'static str {
    match (pull_request.state, pull_request.draft) {
        (PullRequestState::Open, true) => "draft",
        (PullRequestState::Open, false) => "open",
        (PullRequestState::Merged, _) => "merged",
        (PullRequestState::Closed, _) => "closed",
    }
}

pub(crate) fn state_of(state: ReviewState) -> &'static str {
    match state {
        ReviewState::Approved => "approved",
        ReviewState::ChangesRequested => "changes_requested",
        ReviewState::Commented => "commented",
        ReviewState::Dismissed => "dismissed",
    }
}
