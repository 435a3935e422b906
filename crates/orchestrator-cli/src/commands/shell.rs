//! `completions` and `man`: made from the same argument definitions as the program itself.

use std::path::Path;

use clap::CommandFactory as _;

use crate::arguments::{Arguments, CompletionsArgs, ManArgs};
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::output::Report;

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Report {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "orchestrator", &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let document = serde_json::json!({ "command": "completions", "shell": args.shell.to_string(), "script": text });
    Report::new(ExitCode::Done, text, document)
}

/// Writes the manual pages.
pub(crate) fn man(args: &ManArgs) -> CliResult<Report> {
    let mut command = Arguments::command();
    command.build();
    let Some(folder) = &args.output else {
        let text = page(&command)?;
        let document = serde_json::json!({ "command": "man", "page": text });
        return Ok(Report::new(ExitCode::Done, text, document));
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, &error))?;
    let mut written = Vec::new();
    write_pages(&command, "orchestrator", folder, &mut written)?;
    let document = serde_json::json!({ "command": "man", "pages": written });
    Ok(Report::new(ExitCode::Done, format!("{} pages are in {}\n", written.len(), folder.display()), document))
}

/// One page a command, named as the command is called: `orchestrator-lock-generate.1`.
fn write_pages(command: &clap::Command, name: &str, folder: &Path, written: &mut Vec<String>) -> CliResult<()> {
    let file = format!("{name}.1");
    let path = folder.join(&file);
    let text = page(command)?;
    std::fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
    written.push(file);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        write_pages(sub, &format!("{name}-{}", sub.get_name()), folder, written)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> CliResult<String> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut bytes)
        .map_err(|error| CliError::from_source(ExitCode::Bug, "the manual page cannot be made", &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::from_source(ExitCode::Usage, format!("`{}` cannot be written", path.display()), error)
}
