//! The `forge` commands: the local forge itself.

use std::sync::Arc;

use lock_model::{BranchName, UserName};
use orchestrator::forge::Role;
use orchestrator::simulator::{self, ForgeInitRequest, RefPush};
use orchestrator::{Context, Error, ErrorKind, Result};

use super::{dispatched_earlier, pull_request};
use crate::arguments::{ForgeCommand, ForgeInitArgs, GlobalArgs, HookArgs};
use crate::clock;
use crate::output::Shown;
use crate::surroundings::surroundings;

pub(crate) async fn run(context: &Context, command: ForgeCommand) -> Result<Shown> {
    match command {
        ForgeCommand::Pr(command) => pull_request::run(context, command).await,
        ForgeCommand::Init(_) | ForgeCommand::Hook(_) => Err(dispatched_earlier()),
    }
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
