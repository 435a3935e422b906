//! `completion`, `man` and `version`: made from the same argument definitions as the program itself.

use std::path::Path;

use clap_complete::env::Shells;

use crate::arguments::{self, CompletionArgs, ManArgs};
use crate::environment;
use crate::output::Shown;
use orchestrator::{Error, ErrorKind, Result};

/// Prints what makes a shell ask this program for completions.
pub(crate) fn completion(args: &CompletionArgs) -> Result<Shown> {
    let (name, variable) = ("orchestrator", environment::COMPLETE.name);
    let failed = |error| Error::from_source(ErrorKind::Bug, "the completions cannot be made", error);
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell.to_string())
        .ok_or_else(|| Error::new(ErrorKind::Bug, format!("there are no completions for {}", args.shell)))?;
    let mut text = Vec::new();
    shell.write_registration(variable, name, name, name, &mut text).map_err(failed)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let result = serde_json::json!({ "shell": args.shell.to_string(), "script": text });
    Ok(Shown::with_result(text, result))
}

/// Prints the version.
pub(crate) fn version() -> Shown {
    let version = env!("CARGO_PKG_VERSION");
    Shown::with_result(format!("orchestrator {version}\n"), serde_json::json!({ "version": version }))
}

/// Writes the manual pages.
pub(crate) fn man(args: &ManArgs) -> Result<Shown> {
    let mut command = arguments::command();
    command.build();
    let Some(folder) = &args.output else {
        let text = page(&command)?;
        let result = serde_json::json!({ "page": text });
        return Ok(Shown::with_result(text, result));
    };
    let mut written = Vec::new();
    write_pages(&command, "orchestrator", folder, &mut written)?;
    let text = format!("{} pages are in {}\n", written.len(), folder.display());
    Ok(Shown::with_result(text, serde_json::json!({ "pages": written })))
}

/// One page a command, named as the command is called: `orchestrator-lock-generate.1`.
fn write_pages(command: &clap::Command, name: &str, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    let file = format!("{name}.1");
    let path = folder.join(&file);
    let text = page(command)?;
    orchestrator::write_output(None, &path, text.as_bytes())?;
    written.push(file);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        write_pages(sub, &format!("{name}-{}", sub.get_name()), folder, written)?;
    }
    Ok(())
}

fn page(command: &clap::Command) -> Result<String> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut bytes)
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the manual page cannot be made", error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
