//! From arguments to an exit code.

use clap::Parser as _;

use crate::arguments::{
    Arguments, Command, ConfigCommand, ForgeCommand, ImagesCommand, LockCommand, SchemaCommand, TestCommand,
};
use crate::commands;
use crate::context::Context;
use crate::environment;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::interruption;
use crate::output::{Format, Report, print_error, print_report};

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse_arguments(&error),
    };
    let format = arguments.global.format;
    let summary = environment::read(environment::STEP_SUMMARY);
    match execute(arguments) {
        Ok(report) => print_report(format, &report, summary.as_deref()),
        Err(error) => print_error(format, &error, summary.as_deref()),
    }
}

/// Shows what clap says: help and version are answers, the rest is a usage error, both in the asked-for format.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // Words that are no text are one of the things that clap refuses.
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let json = words.iter().any(|word| word == "--format=json")
        || words.windows(2).any(|pair| pair[0] == "--format" && pair[1] == "json");
    let text = error.render().to_string();
    match (json, error.use_stderr()) {
        (true, true) => {
            let message = text.trim_end().strip_prefix("error: ").unwrap_or(text.trim_end());
            print_error(Format::Json, &CliError::new(ExitCode::Usage, message), None)
        }
        (true, false) => {
            let document = serde_json::json!({ "command": "help", "text": text });
            print_report(Format::Json, &Report::new(ExitCode::Done, text, document), None)
        }
        (false, is_error) => {
            // A reader that closed the pipe is no error.
            let _gone = error.print();
            if is_error { ExitCode::Usage } else { ExitCode::Done }
        }
    }
}

fn execute(arguments: Arguments) -> CliResult<Report> {
    // These need neither a repository nor a runtime.
    match &arguments.command {
        Command::Schema(SchemaCommand::Print(args)) => return commands::schema::print(args),
        Command::Reference(args) => return Ok(crate::reference::page(args.page)),
        Command::Completions(args) => return Ok(commands::shell::completions(args)),
        Command::Man(args) => return commands::shell::man(args),
        Command::Demo(args) => return crate::demo::run(args, &arguments.global),
        Command::Forge(ForgeCommand::Hook(args)) => return commands::forge::hook(args, &arguments.global),
        Command::Forge(ForgeCommand::Init(args)) => return commands::forge::init(args, &arguments.global),
        _ => {}
    }
    interruption::listen()
        .map_err(|error| CliError::from_source(ExitCode::Bug, "signals cannot be listened to", &error))?;
    // A second installation only happens in tests, where the first one is the same.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::from_source(ExitCode::Bug, "the async runtime does not start", &error))?;
    let deadline = arguments.deadline();
    let mut arguments = arguments;
    arguments.global.deadline = Some(deadline);
    let result = runtime.block_on(async {
        tokio::select! {
            result = tokio::time::timeout(deadline, dispatch(arguments)) => match result {
                Ok(result) => result,
                Err(_) => Err(CliError::new(ExitCode::Deadline, format!("not done after {deadline:?}")).hint(
                    "nothing is left half done: run the same command again, with a longer `--deadline` if it needs one",
                )),
            },
            () = interruption::requested() => Err(interrupted()),
        }
    });
    match result {
        // What a child's end looked like to the command is of no interest: somebody asked for it.
        Err(_) if interruption::is_requested() => Err(interrupted()),
        result => result,
    }
}

fn interrupted() -> CliError {
    CliError::new(ExitCode::Interrupted, "interrupted").hint("run the same command again: it goes on from the ledger")
}

async fn dispatch(arguments: Arguments) -> CliResult<Report> {
    let global = &arguments.global;
    match arguments.command {
        Command::Lock(command) => match command {
            LockCommand::Generate(args) => commands::lock::generate(&Context::open(global)?, &args).await,
            LockCommand::Migrate(args) => commands::lock::migrate(&Context::open(global)?, &args).await,
            LockCommand::Compose(args) => commands::lock::compose(global, &args),
            LockCommand::Check(args) => commands::lock::check(&Context::open(global)?, &args).await,
            LockCommand::Diff(args) => commands::lock::diff(global, &args).await,
            LockCommand::Show(args) => commands::lock::show(global, &args),
            LockCommand::Publish(args) => commands::lock::publish(&Context::open(global)?, &args).await,
            LockCommand::Commit(args) => commands::lock::commit(&Context::open(global)?, &args).await,
            LockCommand::Reject(args) => commands::lock::reject(&Context::open(global)?, &args).await,
        },
        Command::Images(ImagesCommand::Explain(args)) => {
            commands::images::explain(&Context::open(global)?, &args).await
        }
        Command::Run(args) => commands::run::run(&Context::open(global)?, &args).await,
        Command::Health(args) => commands::health::run(&Context::open(global)?, &args).await,
        Command::Plan(args) => commands::deploy::plan(&Context::open(global)?, &args).await,
        Command::Deploy(args) => commands::deploy::deploy(&Context::open(global)?, &args).await,
        Command::Verify(args) => commands::deploy::verify(&Context::open(global)?, &args).await,
        Command::Test(TestCommand::Run(args)) => commands::test::run(&Context::open(global)?, &args).await,
        Command::Promote(args) => commands::promotion::promote(&Context::open(global)?, &args).await,
        Command::Approvals(args) => commands::promotion::approvals(&Context::open(global)?, &args).await,
        Command::Release(args) => commands::promotion::release(&Context::open(global)?, &args).await,
        Command::Rollback(args) => commands::run::rollback(&Context::open(global)?, &args).await,
        Command::Hold(args) => commands::hold::hold(&Context::open(global)?, &args).await,
        Command::Unhold(args) => commands::hold::unhold(&Context::open(global)?, &args).await,
        Command::Status => commands::history::status(&Context::open(global)?).await,
        Command::History(args) => commands::history::history(&Context::open(global)?, &args).await,
        Command::Config(ConfigCommand::Check(args)) => commands::config::check(global, &args),
        Command::Config(ConfigCommand::Show(args)) => commands::config::show(global, &args),
        Command::Forge(command) => commands::forge::run(&Context::open(global)?, command).await,
        Command::Schema(_) | Command::Reference(_) | Command::Demo(_) | Command::Completions(_) | Command::Man(_) => {
            Err(CliError::new(ExitCode::Bug, "this command is dispatched earlier"))
        }
    }
}
