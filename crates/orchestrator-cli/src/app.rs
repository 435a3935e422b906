//! From arguments to an exit code.

use std::time::Duration;

use clap::{CommandFactory as _, FromArgMatches as _};
use orchestrator::{Error, ErrorKind, Result};

use crate::arguments::{Arguments, Command, ConfigCommand, ForgeCommand, LockCommand, SchemaCommand};
use crate::commands::{self, Session};
use crate::environment;
use crate::exit_code::ExitCode;
use crate::interruption;
use crate::output::{Format, Printer, Shown};

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let summary = environment::read(environment::STEP_SUMMARY);
    let parsed = Arguments::command()
        .try_get_matches()
        .and_then(|matches| Ok((command_name(&matches), Arguments::from_arg_matches(&matches)?)));
    let (name, arguments) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse_arguments(&error),
    };
    let printer = Printer { format: arguments.global.format, command: name, summary };
    match execute(arguments) {
        Ok(shown) => printer.print(&shown),
        Err(error) => printer.print_error(&error),
    }
}

/// The words of the command, such as `lock check`.
fn command_name(matches: &clap::ArgMatches) -> String {
    let mut words = Vec::new();
    let mut next = matches.subcommand();
    while let Some((word, matches)) = next {
        words.push(word);
        next = matches.subcommand();
    }
    words.join(" ")
}

/// The words of the command in arguments that cannot be parsed, as far as they name one.
fn command_in(words: &[String]) -> String {
    let mut command = Arguments::command();
    let mut found = Vec::new();
    for word in words.iter().filter(|word| !word.starts_with('-')) {
        let Some(sub) = command.find_subcommand(word).cloned() else { continue };
        found.push(sub.get_name().to_owned());
        command = sub;
    }
    found.join(" ")
}

/// Shows what clap says: help and version are answers, the rest is a usage error, both in the asked-for format.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // Words that are no text are one of the things that clap refuses.
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let json = words.iter().any(|word| word == "--format=json")
        || words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    let is_error = error.use_stderr();
    if !json {
        // A reader that closed the pipe is no error.
        let _gone = error.print();
        return if is_error { ErrorKind::Usage.into() } else { ExitCode::DONE };
    }
    let text = error.render().to_string();
    let printer = Printer { format: Format::Json, command: command_in(&words), summary: None };
    if is_error {
        let message = text.trim_end().strip_prefix("error: ").unwrap_or(text.trim_end());
        printer.print_error(&Error::new(ErrorKind::Usage, message))
    } else {
        printer.print(&Shown::text(text))
    }
}

fn execute(arguments: Arguments) -> Result<Shown> {
    // These need neither a repository nor a runtime.
    let global = &arguments.global;
    match &arguments.command {
        Command::Schema(SchemaCommand::Print(args)) => return Ok(commands::schema::print(args)),
        Command::Reference(args) => return Ok(crate::reference::page(args.page)),
        Command::Completions(args) => return Ok(commands::shell::completions(args)),
        Command::Man(args) => return commands::shell::man(args),
        Command::Demo(args) => return crate::demo::run(args, global),
        Command::Forge(ForgeCommand::Hook(args)) => return commands::forge::hook(args, global),
        Command::Forge(ForgeCommand::Init(args)) => return commands::forge::init(args, global),
        Command::Config(ConfigCommand::Check(args)) => return commands::config::check(args, global),
        Command::Config(ConfigCommand::Show(args)) => return commands::config::show(args, global),
        Command::Lock(LockCommand::Show(args)) => return commands::lock::show(args, global),
        Command::Lock(LockCommand::Compose(args)) => return commands::lock::compose(args, global),
        _ => {}
    }
    interruption::listen()
        .map_err(|error| Error::from_source(ErrorKind::Bug, "signals cannot be listened to", error))?;
    // A second installation only happens in tests, where the first one is the same.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the async runtime does not start", error))?;
    let deadline = arguments.deadline();
    let session = Session { global: arguments.global, deadline };
    let result = runtime.block_on(async {
        tokio::select! {
            result = tokio::time::timeout(deadline, session.dispatch(arguments.command)) => {
                result.unwrap_or_else(|_| Err(too_late(deadline)))
            }
            () = interruption::requested() => Err(interrupted()),
        }
    });
    match result {
        // What a child's end looked like to the command is of no interest: the user asked for it.
        Err(_) if interruption::is_requested() => Err(interrupted()),
        result => result,
    }
}

fn too_late(deadline: Duration) -> Error {
    Error::new(ErrorKind::Deadline, format!("not done after {deadline:?}"))
        .hint("nothing is left half done: run the same command again, with a longer `--deadline` if it needs one")
}

fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "interrupted").hint("run the same command again: it goes on from the ledger")
}
