//! From arguments to an exit code.

use std::sync::Arc;
use std::time::Duration;

use clap::{ColorChoice, FromArgMatches as _};
use orchestrator::{Error, ErrorKind, Result};

use crate::arguments::{self, Arguments, Command, ConfigCommand, ForgeCommand, LockCommand, SchemaCommand};
use crate::commands::{self, Session};
use crate::environment;
use crate::exit_code::ExitCode;
use crate::interruption;
use crate::output::{Console, Format, Printer, Progress, Screen, Shown, show_trace};

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    // Ends the process where a shell asks what comes next.
    clap_complete::CompleteEnv::with_factory(arguments::command).var(environment::COMPLETE.name).complete();
    let summary = environment::read(environment::STEP_SUMMARY);
    // Words that are no text are one of the things that clap refuses.
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let parsed = parser(&words)
        .try_get_matches()
        .and_then(|matches| Ok((command_name(&matches), Arguments::from_arg_matches(&matches)?)));
    let (name, arguments) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse_arguments(&error, &words, summary),
    };
    let global = &arguments.global;
    let console = Console::new(global);
    if global.verbose {
        show_trace(console);
    }
    let mut printer = Printer { console, command: name, summary };
    if let Err(error) = printer.check_summary() {
        printer.summary = None;
        return printer.print_error(&error);
    }
    match execute(arguments, console) {
        Ok(shown) => printer.print(&shown),
        Err(error) => printer.print_error(&error),
    }
}

/// The words of the command, such as `lock check`.
pub(crate) fn command_name(matches: &clap::ArgMatches) -> String {
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
    let program = arguments::command();
    let mut command = &program;
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            let options = program.get_arguments().chain(command.get_arguments());
            let named = |option: &clap::Arg| {
                word.strip_prefix("--").is_some_and(|name| option.get_long() == Some(name))
                    || option.get_short().is_some_and(|letter| *word == format!("-{letter}"))
            };
            if options.into_iter().any(|option| option.get_action().takes_values() && named(option)) {
                words.next();
            }
        } else if let Some(sub) = command.find_subcommand(word) {
            found.push(sub.get_name());
            command = sub;
        }
    }
    found.join(" ")
}

/// The help of the command that is named, wherever `--help` stands: clap answers for what stands before it.
fn help_of(words: &[String]) -> Option<clap::Error> {
    let command = command_in(words);
    let asked = std::iter::once("orchestrator").chain(command.split_whitespace()).chain(["--help"]);
    parser(words).try_get_matches_from(asked).err()
}

/// Help for `help COMMAND`, also with options behind it, which clap takes for the name of a command.
fn help_command(words: &[String]) -> Option<clap::Error> {
    let place = words.iter().position(|word| !word.starts_with('-')).filter(|place| words[*place] == "help")?;
    let named = words.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, word)| word.as_str());
    let asked = std::iter::once("orchestrator").chain(named).chain(["--help"]);
    let help = parser(words).try_get_matches_from(asked).err()?;
    (help.kind() == clap::error::ErrorKind::DisplayHelp).then_some(help)
}

/// The same refusal without what variables of the environment give: the usage in it names every argument that has a value,
/// as if the caller had to write it.
fn without_variables(words: &[String]) -> Option<clap::Error> {
    let parser = parser(words).mut_args(|argument| argument.env(None::<&str>));
    let written = std::iter::once("orchestrator").chain(words.iter().map(String::as_str));
    parser.try_get_matches_from(written).err()
}

/// What reads the command line, as these words want it to answer.
fn parser(words: &[String]) -> clap::Command {
    arguments::command().color(colour_in(words)).term_width(help_width())
}

/// The format that the arguments ask for, whatever else is wrong with them.
fn format_in(words: &[String]) -> Format {
    value_in(words, "--format", Some("-o")).unwrap_or(Format::Human)
}

/// When the arguments ask for colours, whatever else is wrong with them.
fn colour_in(words: &[String]) -> ColorChoice {
    value_in(words, "--color", None).unwrap_or(ColorChoice::Auto)
}

/// How wide the text of `--help` is: as the terminal, and no wider than people read.
fn help_width() -> usize {
    const WITHOUT_TERMINAL: usize = 100;
    const WIDEST: usize = 120;
    // clap asks by itself, and takes a terminal that knows its width alone for none.
    Screen::of(&std::io::stdout(), ColorChoice::Never).width.unwrap_or(WITHOUT_TERMINAL).min(WIDEST)
}

/// The first value of an option that is one of its words.
fn value_in<T: clap::ValueEnum>(words: &[String], long: &str, short: Option<&str>) -> Option<T> {
    let joined = |word: &String| {
        let after_long = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let after_short = || short.and_then(|short| word.strip_prefix(short));
        let value = after_long.or_else(|| after_short().map(|value| value.strip_prefix('=').unwrap_or(value)))?;
        T::from_str(value, false).ok()
    };
    let named = |word: &String| word == long || Some(word.as_str()) == short;
    let separate = |pair: &[String]| named(&pair[0]).then(|| T::from_str(&pair[1], false).ok()).flatten();
    words.iter().find_map(joined).or_else(|| words.windows(2).find_map(separate))
}

/// Shows what clap says: help and version are answers, the rest is a usage error, both in the asked-for format.
fn refuse_arguments(error: &clap::Error, words: &[String], summary: Option<String>) -> ExitCode {
    let format = format_in(words);
    let help = match error.kind() {
        clap::error::ErrorKind::DisplayHelp => help_of(words),
        clap::error::ErrorKind::InvalidSubcommand => help_command(words),
        // Where a variable of the environment gives an argument, clap lists the commands on one line in place of the help.
        clap::error::ErrorKind::MissingSubcommand => {
            let command = command_in(words);
            let bare = std::iter::once("orchestrator").chain(command.split_whitespace());
            parser(words).mut_args(|argument| argument.env(None::<&str>)).try_get_matches_from(bare).err()
        }
        _ => None,
    };
    let plain = help.or_else(|| without_variables(words).filter(|plain| plain.kind() == error.kind()));
    let error = plain.as_ref().unwrap_or(error);
    let is_error = error.use_stderr();
    if format == Format::Human || (format == Format::Github && !is_error) {
        // A reader that closed the pipe is no error.
        let _gone = error.print();
        return if is_error { ErrorKind::Usage.into() } else { ExitCode::DONE };
    }
    let text = error.render().to_string();
    let console = Console::of(format, colour_in(words));
    let printer = Printer { console, command: command_in(words), summary };
    if is_error {
        let (message, _advice) = text.split_once("\n\nFor more information").unwrap_or((&text, ""));
        let message = message.trim_end();
        printer.print_error(&Error::new(ErrorKind::Usage, message.strip_prefix("error: ").unwrap_or(message)))
    } else {
        printer.print(&Shown::text(text))
    }
}

fn execute(arguments: Arguments, console: Console) -> Result<Shown> {
    // These need neither a repository nor a runtime.
    let global = &arguments.global;
    match &arguments.command {
        Command::Schema(SchemaCommand::Print(args)) => return Ok(commands::schema::print(args)),
        Command::Reference(args) => return Ok(crate::reference::page(args.page)),
        Command::Completion(args) => return commands::shell::completion(args),
        Command::Version => return Ok(commands::shell::version()),
        Command::Man(args) => return commands::shell::man(args),
        Command::Demo(args) => return crate::demo::run(args, global),
        Command::Forge(ForgeCommand::Hook(args)) => return commands::forge::hook(args, global),
        Command::Forge(ForgeCommand::Init(args)) => return commands::forge::init(args, global),
        Command::Config(ConfigCommand::Check(args)) if !args.suggest => return commands::config::check(args, global),
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
    let progress = Arc::new(Progress::new(console));
    let session = Session { global: arguments.global, deadline, progress: Arc::clone(&progress) };
    let result = runtime.block_on(async {
        tokio::select! {
            result = session.dispatch(arguments.command) => result,
            () = interruption::deadline_passed(deadline) => {
                // The end of the runtime waits for programs that run.
                interruption::interrupt().request();
                Err(too_late(deadline))
            }
            () = interruption::requested() => Err(interrupted()),
        }
    });
    progress.end(result.is_ok());
    match result {
        // What a deployment has changed until then is said.
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Deadline) => Err(error),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every command that can be called, as the envelope names it.
    fn runnable(command: &clap::Command, path: &[&str], found: &mut BTreeSet<String>) {
        if !command.is_subcommand_required_set() && !path.is_empty() {
            found.insert(path.join(" "));
        }
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            runnable(sub, &[path, &[sub.get_name()]].concat(), found);
        }
    }

    #[test]
    fn every_command_has_its_form_in_the_schema_of_reports() {
        let mut program = arguments::command();
        program.build();
        let mut commands = BTreeSet::new();
        runnable(&program, &[], &mut commands);
        let schema = orchestrator::report::v1::report_schema();
        let named = |form: &serde_json::Value| form["properties"]["command"]["const"].as_str().map(str::to_owned);
        let forms: BTreeSet<String> = schema["oneOf"].as_array().unwrap().iter().filter_map(named).collect();
        assert_eq!(commands, forms);
    }

    #[test]
    fn help_fits_a_screen_of_80_columns() {
        fn check(command: &mut clap::Command) {
            for line in command.render_help().to_string().lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
            command.get_subcommands_mut().for_each(check);
        }
        let mut program = arguments::command().term_width(80);
        program.build();
        check(&mut program);
    }

    fn refused(line: &str) -> clap::Error {
        let words = std::iter::once("orchestrator").chain(line.split_whitespace());
        arguments::command().try_get_matches_from(words).map(|_| ()).expect_err("it is refused")
    }

    #[test]
    fn help_is_that_of_the_command_wherever_it_is_asked_for() {
        for line in ["lock generate --help", "--help lock generate", "-o json lock --help generate", "lock -h generate"]
        {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let help = help_of(&words).map(|help| help.to_string()).unwrap_or_default();
            assert!(help.contains("Usage: orchestrator lock generate"), "{line}: {help}");
        }
    }

    #[test]
    fn help_takes_options_behind_the_command() {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
        for line in ["help run -o json", "-q help run", "help -o github run"] {
            let help = help_command(&words(line)).map(|help| help.to_string()).unwrap_or_default();
            assert!(help.contains("Usage: orchestrator run"), "{line}: {help}");
        }
        assert!(help_command(&words("help nothing -o json")).is_none());
        assert!(help_command(&words("run help")).is_none());
    }

    #[test]
    fn a_number_that_is_none_gets_an_example() {
        for (line, words) in [
            ("plan staging --pr abc", "such as `7`"),
            ("lock generate --pr x", "such as `7`"),
            ("test run staging --pr 1.5", "such as `7`"),
            ("approvals production --pr abc", "such as `7`"),
            ("history show abc", "such as `42`"),
            ("history evidence abc gates.json", "such as `42`"),
            ("history -n x", "such as `20`"),
            ("releases -n 0", "such as `20`"),
            ("forge pr list -n x", "such as `20`"),
        ] {
            let text = refused(line).to_string();
            assert!(text.contains(words), "{line}: {text}");
        }
        let words = ["orchestrator", "plan", "staging", "--pr", "#7"];
        assert!(arguments::command().try_get_matches_from(words).is_ok(), "as the forge writes it");
    }
}
