//! The `forge` commands: what people do on the local forge.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use lock_model::{BranchName, UserName};
use orchestrator::forge::simulator::Bypass;
use orchestrator::forge::{ReviewState, Role};
use orchestrator::simulator::{self, ForgeInitRequest, RefPush, ReviewRequest};
use orchestrator::{Context, Error, ErrorKind, Result};

use super::dispatched_earlier;
use crate::arguments::{
    ForgeCommand, ForgeInitArgs, ForgeMergeArgs, GlobalArgs, HookArgs, OpenArgs, PullRequestCommand, ReviewArgs,
    StanceArgument,
};
use crate::clock;
use crate::output::Shown;
use crate::surroundings::surroundings;

pub(crate) async fn run(context: &Context, command: ForgeCommand) -> Result<Shown> {
    match command {
        ForgeCommand::Pr(PullRequestCommand::Open(args)) => open(context, args).await,
        ForgeCommand::Pr(PullRequestCommand::Show { number }) => {
            Ok(Shown::report(&simulator::show_pull_request(context, number).await?))
        }
        ForgeCommand::Pr(PullRequestCommand::List) => Ok(Shown::report(&simulator::list_pull_requests(context).await?)),
        ForgeCommand::Pr(PullRequestCommand::Ready { number }) => {
            Ok(Shown::report(&simulator::ready_pull_request(context, number).await?))
        }
        ForgeCommand::Review(args) => review(context, &args).await,
        ForgeCommand::Merge(args) => merge(context, args).await,
        ForgeCommand::Init(_) | ForgeCommand::Hook(_) => Err(dispatched_earlier()),
    }
}

async fn open(context: &Context, args: OpenArgs) -> Result<Shown> {
    let report = simulator::open_pull_request(context, args.head, args.base, &args.title, &args.body).await?;
    Ok(Shown::report(&report))
}

async fn review(context: &Context, args: &ReviewArgs) -> Result<Shown> {
    let state = match args.stance {
        StanceArgument::Approve => ReviewState::Approved,
        StanceArgument::RequestChanges => ReviewState::ChangesRequested,
        StanceArgument::Comment => ReviewState::Commented,
        StanceArgument::Dismiss => ReviewState::Dismissed,
    };
    let mut request = ReviewRequest::new(args.number, state);
    request.expected_head.clone_from(&args.expected_head);
    request.ask = is_interactive().then_some(&is_yes);
    Ok(Shown::report(&simulator::review_pull_request(context, &request).await?))
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

async fn merge(context: &Context, args: ForgeMergeArgs) -> Result<Shown> {
    let bypass = if args.bypass { Bypass::Yes } else { Bypass::No };
    Ok(Shown::report(&simulator::merge_pull_request(context, args.number, args.expected_head, bypass).await?))
}

pub(crate) fn init(args: &ForgeInitArgs, global: &GlobalArgs) -> Result<Shown> {
    let binary = std::env::current_exe()
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the program does not know where it is", error))?;
    let mut request = ForgeInitRequest::new(args.bot.clone(), binary);
    request.users = args.users.iter().map(|text| parse_user(text)).collect::<Result<_>>()?;
    request.protect = args.protect.iter().map(|text| parse_rule(text)).collect::<Result<_>>()?;
    request.locks_on.clone_from(&args.locks_on);
    request.reserve.clone_from(&args.reserve);
    request.update = args.update;
    Ok(Shown::report(&simulator::init_forge(&global.repository, &request, &surroundings())?))
}

/// Judges a push; git refuses it where this ends with another code than 0.
pub(crate) fn hook(args: &HookArgs, global: &GlobalArgs) -> Result<Shown> {
    let push = RefPush { bare: &args.bare, reference: &args.reference, old: &args.old, new: &args.new };
    let actor = global.actor()?;
    Ok(Shown::report(&simulator::judge_push(push, actor.as_ref(), &surroundings(), Arc::new(clock::clock()?))?))
}

/// `NAME:ROLE`.
fn parse_user(text: &str) -> Result<(UserName, Role)> {
    let wrong = || {
        Error::new(ErrorKind::Usage, format!("`--user {}` is not `NAME:ROLE`", text.escape_default()))
            .hint("roles are `read`, `write`, `admin`")
    };
    let (name, role) = text.split_once(':').ok_or_else(wrong)?;
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        "admin" => Role::Admin,
        _ => return Err(wrong()),
    };
    let name = name.parse().map_err(|error: lock_model::IdentifierError| {
        Error::from_source(ErrorKind::Usage, "`--user` names no user", error)
    })?;
    Ok((name, role))
}

/// `BRANCH` or `BRANCH=CONTEXT,CONTEXT`.
fn parse_rule(text: &str) -> Result<(BranchName, Vec<String>)> {
    let (branch, required) = text.split_once('=').unwrap_or((text, ""));
    let branch = branch.parse().map_err(|error: lock_model::IdentifierError| {
        Error::from_source(ErrorKind::Usage, "`--protect` names no branch", error)
    })?;
    Ok((branch, required.split(',').filter(|context| !context.is_empty()).map(str::to_owned).collect()))
}
