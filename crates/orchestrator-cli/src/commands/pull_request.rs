//! The `forge pr` commands: pull requests, as people work on them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{NewPullRequest, PullRequestState, Readiness, ReviewState};
use orchestrator::pull_requests::{self as library, PullRequestFilter, PullRequestName, ReviewRequest};
use orchestrator::{Context, Result};

use crate::arguments::{PrCreateArgs, PrListArgs, PrMergeArgs, PrReviewArgs, PrState, PullRequestCommand, VerdictArgs};
use crate::output::Shown;

pub(super) async fn run(context: &Context, command: PullRequestCommand) -> Result<Shown> {
    match command {
        PullRequestCommand::Create(args) => create(context, args).await,
        PullRequestCommand::View { pull_request } => {
            let number = number_or_present(context, pull_request).await?;
            Ok(Shown::report(&library::view_pull_request(context, number).await?))
        }
        PullRequestCommand::List(args) => list(context, args).await,
        PullRequestCommand::Checks { pull_request, required } => {
            let number = number_or_present(context, pull_request).await?;
            Ok(Shown::report(&library::check_pull_request(context, number, required).await?))
        }
        PullRequestCommand::Ready { pull_request } => {
            let number = library::find_pull_request(context, &pull_request).await?;
            Ok(Shown::report(&library::ready_pull_request(context, number).await?))
        }
        PullRequestCommand::Review(args) => review(context, args).await,
        PullRequestCommand::Merge(args) => merge(context, args).await,
        PullRequestCommand::Close { pull_request, comment } => {
            let number = library::find_pull_request(context, &pull_request).await?;
            Ok(Shown::report(&library::close_pull_request(context, number, comment.as_deref()).await?))
        }
    }
}

/// The number of the pull request that was named, or of the one that merges the branch that the clone is on.
async fn number_or_present(context: &Context, named: Option<PullRequestName>) -> Result<u64> {
    let hint = "name the pull request by its number, or by the branch that it merges";
    let named = named.map_or_else(|| context.present_branch(hint).map(PullRequestName::Head), Ok)?;
    library::find_pull_request(context, &named).await
}

async fn create(context: &Context, args: PrCreateArgs) -> Result<Shown> {
    let head = match args.head {
        Some(head) => head,
        None => context.present_branch("name one: `--head BRANCH`")?,
    };
    let readiness = if args.draft { Readiness::Draft } else { Readiness::Ready };
    let new = NewPullRequest::new(head, args.base, args.title).body(args.body).readiness(readiness);
    Ok(Shown::report(&library::open_pull_request(context, &new).await?))
}

async fn list(context: &Context, args: PrListArgs) -> Result<Shown> {
    let mut filter = PullRequestFilter::default();
    filter.state = match args.state {
        PrState::Open => Some(PullRequestState::Open),
        PrState::Closed => Some(PullRequestState::Closed),
        PrState::Merged => Some(PullRequestState::Merged),
        PrState::All => None,
    };
    filter.base = args.base;
    filter.head = args.head;
    filter.author = args.author;
    filter.limit = args.limit;
    Ok(Shown::report(&library::list_pull_requests(context, &filter).await?))
}

async fn review(context: &Context, args: PrReviewArgs) -> Result<Shown> {
    let state = match args.verdict {
        VerdictArgs { approve: true, .. } => ReviewState::Approved,
        VerdictArgs { request_changes: true, .. } => ReviewState::ChangesRequested,
        VerdictArgs { dismiss: true, .. } => ReviewState::Dismissed,
        VerdictArgs { .. } => ReviewState::Commented,
    };
    let number = library::find_pull_request(context, &args.pull_request).await?;
    let mut request = ReviewRequest::new(number, state);
    request.body = args.body;
    request.expected_head = args.expected_head;
    request.ask = is_interactive().then_some(&is_yes);
    Ok(Shown::report(&library::review_pull_request(context, &request).await?))
}

/// Whether a person reads the question and can answer it.
fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal; everything but a yes is a no.
fn is_yes(question: &str) -> bool {
    let mut errors = std::io::stderr().lock();
    let mut answer = String::new();
    let asked = write!(errors, "{question} [y/N] ").and_then(|()| errors.flush());
    asked.and_then(|()| std::io::stdin().lock().read_line(&mut answer)).is_ok()
        && matches!(answer.trim(), "y" | "Y" | "yes")
}

async fn merge(context: &Context, args: PrMergeArgs) -> Result<Shown> {
    let bypass = if args.admin { Bypass::Yes } else { Bypass::No };
    let number = library::find_pull_request(context, &args.pull_request).await?;
    Ok(Shown::report(&library::merge_pull_request(context, number, args.expected_head, bypass).await?))
}
