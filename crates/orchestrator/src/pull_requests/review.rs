//! Reviews: an approval names the head that the reviewer looked at.

use std::path::PathBuf;

use forge::{PullRequest, PullRequestState, Review, ReviewState};
use lock_model::escaping::escape_terminal;
use lock_model::{CommitId, CommitPrefix};

use crate::approvals::why_not_counted;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::ledger_store::LedgerStore;
use crate::report::v1::{ForgeReviewReport, review_word};

/// Puts a question to the reviewer and says whether the answer is yes.
pub type Ask<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// A review to give.
#[derive(Clone)]
#[non_exhaustive]
pub struct ReviewRequest<'a> {
    /// Number of the pull request.
    pub pull_request: u64,
    /// What the reviewer says; `Dismissed` takes back the reviewer's own newest verdict.
    pub state: ReviewState,
    /// The text, in Markdown; a comment and a request for changes need one.
    pub body: String,
    /// The head that the reviewer looked at; an approval needs it.
    pub expected_head: Option<CommitPrefix>,
    /// How to ask whether the head that the reviewer was shown last is meant; absent where nobody can be asked.
    pub ask: Option<Ask<'a>>,
}

impl std::fmt::Debug for ReviewRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReviewRequest")
            .field("pull_request", &self.pull_request)
            .field("state", &self.state)
            .field("expected_head", &self.expected_head)
            .finish_non_exhaustive()
    }
}

impl ReviewRequest<'_> {
    /// A review that names no head and has no text.
    pub fn new(pull_request: u64, state: ReviewState) -> Self {
        Self { pull_request, state, body: String::new(), expected_head: None, ask: None }
    }
}

/// Reviews the head of an open pull request.
///
/// # Errors
///
/// [`ErrorKind::Usage`] for an approval that names no head, for other reviews without a text, and where there is no
/// verdict to take back;
/// [`ErrorKind::Refused`] where the head is not the named one any more; where the forge refuses.
pub async fn review_pull_request(context: &Context, request: &ReviewRequest<'_>) -> Result<ForgeReviewReport> {
    let number = request.pull_request;
    if let Some(what) = needs_text(request) {
        return Err(Error::new(ErrorKind::Usage, format!("{what} needs a text")).hint("give it: `--body TEXT`"));
    }
    LedgerStore::check(context).await?;
    let review = if request.state == ReviewState::Dismissed {
        dismiss(context, number).await?
    } else {
        let expected = expected_head(context, request).await?;
        submit(context, request, expected.as_ref()).await?
    };
    let warnings = if review.state == ReviewState::Approved {
        // The review is given: what cannot be found out about it is no failure.
        why_not_counted(context, number)
            .await
            .unwrap_or_else(|error| vec![format!("whether this approval counts is not known: {}", error.message())])
    } else {
        Vec::new()
    };
    Ok(ForgeReviewReport {
        pull_request: number,
        user: review.user.to_string(),
        state: review_word(review.state).to_owned(),
        commit: review.commit,
        tree: review.tree,
        warnings,
    })
}

/// The review that says nothing without a text.
fn needs_text(request: &ReviewRequest<'_>) -> Option<&'static str> {
    match request.state {
        _ if !request.body.trim().is_empty() => None,
        ReviewState::Approved | ReviewState::Dismissed => None,
        ReviewState::ChangesRequested => Some("a request for changes"),
        ReviewState::Commented => Some("a comment"),
    }
}

/// The head that the reviewer names, or says yes to.
async fn expected_head(context: &Context, request: &ReviewRequest<'_>) -> Result<Option<CommitPrefix>> {
    if request.expected_head.is_some() || request.state != ReviewState::Approved {
        return Ok(request.expected_head.clone());
    }
    let number = request.pull_request;
    let refused = |message: String, hint: String| Err(Error::new(ErrorKind::Usage, message).hint(hint));
    let unnamed = format!("an approval of pull request {number} has to name the head that was looked at");
    let Some(shown) = last_shown(context, number) else {
        let look = format!("`orchestrator --as {} forge pr view {number}`", context.run.actor);
        return refused(unnamed, format!("{look} shows it, and prints the command that approves it"));
    };
    let ready = format!("if that is what you looked at: `{}`", approval_command(context, number, &shown));
    let Some(ask) = request.ask else {
        let message = format!("{unnamed}; `{}` was shown {}", context.run.actor, shown.short(12));
        return refused(message, ready);
    };
    let title = context.forge.pull_request(number).await?.title;
    let question = format!(
        "`{}` was shown pull request {number} at {} last ({}). Approve this head?",
        context.run.actor,
        shown.short(12),
        escape_terminal(&title)
    );
    if ask(&question) { Ok(Some((&shown).into())) } else { refused("nothing was approved".to_owned(), ready) }
}

async fn submit(context: &Context, request: &ReviewRequest<'_>, expected: Option<&CommitPrefix>) -> Result<Review> {
    let number = request.pull_request;
    let head = context.forge.pull_request(number).await?.head;
    let simulator = context.local_forge().simulator();
    if let Some(expected) = expected {
        is_expected(context, number, &head, expected)?;
    }
    match simulator.submit_review(number, &head, request.state, &request.body) {
        Ok(review) => Ok(review),
        Err(error) => {
            // The head may have moved since it was read.
            let now = context.forge.pull_request(number).await?.head;
            Err(if now == head { error.into() } else { moved(number, head.short(12), &now) })
        }
    }
}

/// Refuses a head that is not the named one, and digits that name other objects as well.
pub(super) fn is_expected(context: &Context, number: u64, head: &CommitId, expected: &CommitPrefix) -> Result<()> {
    if !expected.is_of(head) {
        return Err(moved(number, expected.as_str(), head));
    }
    // A second commit that begins with the same seven digits is made in seconds.
    let meant = context.local_forge().simulator().objects_named(expected)?;
    if meant.len() > 1 {
        let message = format!("`{expected}` names several objects: {}", meant.join(", "));
        return Err(Error::new(ErrorKind::Usage, message).hint("name the whole commit id"));
    }
    Ok(())
}

fn moved(number: u64, expected: &str, now: &CommitId) -> Error {
    let message = format!("the head of pull request {number} is {now}, not {expected}");
    Error::new(ErrorKind::Refused, message)
        .hint(format!("look at what came since: `git diff {expected} {now}`, `orchestrator forge pr view {number}`"))
}

/// Takes back the acting user's newest verdict.
async fn dismiss(context: &Context, number: u64) -> Result<Review> {
    let reviews = context.forge.reviews(number).await?;
    let mine = |review: &Review| review.user.as_str() == context.run.actor && review.state != ReviewState::Commented;
    let Some(mut review) = reviews.into_iter().rfind(mine) else {
        let message = format!("`{}` has given no verdict on pull request {number}", context.run.actor);
        return Err(Error::new(ErrorKind::Usage, message).hint("say whose it is with `--as USER`"));
    };
    let simulator = context.local_forge().simulator();
    simulator.dismiss_review(number, review.seq, "taken back by its author")?;
    review.state = ReviewState::Dismissed;
    Ok(review)
}

/// The command by which the acting user approves the head that is shown, and remembers that it was shown. Absent where
/// an approval of this user could not count.
pub(super) async fn show_head(context: &Context, pull_request: &PullRequest) -> Result<Option<String>> {
    let number = pull_request.number;
    let users = context.forge.users().await?;
    let is_person = users.iter().any(|user| user.name.as_str() == context.run.actor && !user.bot);
    if pull_request.state != PullRequestState::Open || pull_request.author.as_str() == context.run.actor || !is_person {
        return Ok(None);
    }
    let path = memory(context, number);
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&beside, pull_request.head.as_str())?;
        std::fs::rename(&beside, &path)
    });
    if written.is_err() {
        context.note("warning: this clone cannot remember which head was shown");
    }
    Ok(Some(approval_command(context, number, &pull_request.head)))
}

fn approval_command(context: &Context, number: u64, head: &CommitId) -> String {
    let user = &context.run.actor;
    format!("orchestrator --as {user} forge pr review {number} --approve --expected-head {head}")
}

/// The head that this clone showed the acting user last.
fn last_shown(context: &Context, number: u64) -> Option<CommitId> {
    let text = std::fs::read_to_string(memory(context, number)).ok()?;
    CommitId::try_from(text.trim()).ok()
}

fn memory(context: &Context, number: u64) -> PathBuf {
    let folder = context.git.common_dir().join("orchestrator").join("shown").join(&context.run.actor);
    folder.join(number.to_string())
}
