//! The `forge` commands: the local forge itself.

use std::sync::Arc;

use lock_model::BranchName;
use orchestrator::forge::{Role, User};
use orchestrator::simulator::{self, ForgeInitRequest, RefPush};
use orchestrator::{Actor, Context, Error, ErrorKind, Result};

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
    // A push in a CI job names its user as well: `CI` alone makes nobody the bot here.
    let actor = global.actor()?.map_or(Actor::OfGit, Actor::Named);
    Ok(Shown::report(&simulator::judge_push(push, &actor, &surroundings(), Arc::new(clock::clock()?))?))
}

/// `NAME:ROLE` or `NAME:ROLE:MAIL,MAIL`.
fn parse_user(text: &str) -> Result<User> {
    let wrong = || {
        Error::new(
            ErrorKind::Usage,
            format!("`--user {}` is not `NAME:ROLE` or `NAME:ROLE:MAIL`", text.escape_default()),
        )
        .hint("roles are `read`, `write`, `admin`; several addresses are separated by commas")
    };
    let (name, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (role, mails) = rest.split_once(':').map_or((rest, None), |(role, mails)| (role, Some(mails)));
    let role = match role {
        "read" => Role::Read,
        "write" => Role::Write,
        "admin" => Role::Admin,
        _ => return Err(wrong()),
    };
    let name = name.parse().map_err(|error: lock_model::IdentifierError| {
        Error::from_source(ErrorKind::Usage, "`--user` names no user", error)
    })?;
    let mails: Vec<String> = mails.iter().flat_map(|mails| mails.split(',')).map(str::to_owned).collect();
    let is_mail = |mail: &String| mail.contains('@') && !mail.contains(|c: char| c.is_whitespace() || c.is_control());
    if mails.iter().all(is_mail) { Ok(User::person(name, role).mails(mails)) } else { Err(wrong()) }
}

/// `BRANCH` or `BRANCH=CONTEXT,CONTEXT`.
fn parse_rule(text: &str) -> Result<(BranchName, Vec<String>)> {
    let (branch, required) = text.split_once('=').unwrap_or((text, ""));
    let branch = branch.parse().map_err(|error: lock_model::IdentifierError| {
        Error::from_source(ErrorKind::Usage, "`--protect` names no branch", error)
    })?;
    Ok((branch, required.split(',').filter(|context| !context.is_empty()).map(str::to_owned).collect()))
}
