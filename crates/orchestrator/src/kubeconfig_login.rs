//! Starting the login program of a kubeconfig that the configuration allows by name (T23).

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Login, LoginFailed, LoginProgram};
use config::KubeconfigAllow;
use process::{EnvVars, Invocation, Program};

use crate::engine::PROGRAM_HINT;
use crate::error::{Error, ErrorKind, Result};
use crate::workspace::Workspace;
use crate::{input_file, secret_program};

const DEADLINE: Duration = Duration::from_secs(60);
const OUTPUT_LIMIT: usize = 1 << 20;
/// As much of it as Linux reads, in bytes.
const LONGEST_FIRST_LINE: u64 = 256;

/// Finds the program: on the search path, where the kubeconfig names no path.
pub(crate) fn find(context: &Workspace, asked: &LoginProgram) -> Result<Program> {
    let name = lock_model::escaping::escape_short(&asked.command, 200);
    let missing = |what: &str| {
        Error::new(ErrorKind::Usage, format!("login program `{name}` of the kubeconfig {what}")).hint(PROGRAM_HINT)
    };
    let program = if asked.command.starts_with('/') {
        let program = Program::at(&asked.command);
        match (program.is_executable(), program.path().is_file()) {
            (true, _) => program,
            (false, true) => return Err(missing("cannot be started: its file is not executable")),
            (false, false) => return Err(missing("is not on this machine")),
        }
    } else {
        Program::find(&asked.command, &context.surroundings.search_path)
            .map_err(|_| missing("is not on the search path of this job"))?
    };
    match missing_interpreter(program.path()) {
        None => Ok(program),
        Some(interpreter) => Err(missing(&format!(
            "cannot be started: its first line names `{interpreter}`, which this machine has not"
        ))),
    }
}

/// The interpreter that the first line of a script names, where it is not there.
fn missing_interpreter(program: &Path) -> Option<String> {
    let mut head = Vec::new();
    input_file::open(program).ok()?.take(LONGEST_FIRST_LINE).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let interpreter = std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?;
    (!Path::new(interpreter).exists()).then(|| lock_model::escaping::escape_short(interpreter, 200))
}

/// A login that starts the program each time credentials are wanted.
///
/// It sees the home folder, where the tools of cloud providers keep what they log in with, the search path, and the variables
/// that are allowed by name; nothing of what it prints on standard output is shown.
pub(crate) fn login(context: &Workspace, allow: &KubeconfigAllow, asked: &LoginProgram) -> Result<Login> {
    let program = find(context, asked)?;
    let surroundings = &context.surroundings;
    let mut variables = EnvVars::new();
    if let Some(home) = &surroundings.home {
        variables.insert("HOME", home);
    }
    for name in ["LANG", "LC_ALL", "PATH", "TMPDIR"] {
        if let Some(value) = surroundings.children.get(name) {
            variables.insert(name, value);
        }
    }
    let mut redactor = surroundings.redactor.clone();
    for name in &allow.variables {
        if let Some(value) = context.variable(name.as_str()) {
            redactor.add(&value);
            variables.insert(name.as_str(), value);
        }
    }
    for (name, value) in &asked.variables {
        variables.insert(name, value);
    }
    // Tools are given secrets by the kubeconfig too: `--client-secret=…`.
    for secret in asked.own_values() {
        redactor.add(secret);
    }
    let (surroundings, asked, clock) = (surroundings.clone(), asked.clone(), Arc::clone(&context.clock));
    Ok(Login::new(move || {
        let invocation = Invocation::new(&program)
            .args(&asked.arguments)
            .envs(&variables)
            .current_dir("/")
            .deadline(DEADLINE)
            .output_limit(OUTPUT_LIMIT)
            .redact(&redactor);
        let (surroundings, asked, clock) = (surroundings.clone(), asked.clone(), Arc::clone(&clock));
        Box::pin(async move {
            let failed = |reason: String| LoginFailed::new(format!("`{}`: {reason}", asked.command));
            let output = secret_program::run(&surroundings, invocation).await.map_err(failed)?;
            if output.success() {
                return asked.answer(&output.stdout, clock.now()).map_err(failed);
            }
            // Standard output holds the credentials.
            let said = output.stderr_text().trim().is_empty().then(Vec::new);
            let said = said.unwrap_or_else(|| output.last_lines(1)).concat();
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Err(failed(format!("it ended with {}{said}", output.status())))
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_whose_interpreter_is_not_there_is_told_from_what_can_be_started() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("login");
        for (text, expected) in [
            ("#!/no/such/interpreter -x\nexit 0\n", Some("/no/such/interpreter")),
            ("#! /bin/sh\nexit 0\n", None),
            ("\u{7f}ELF", None),
        ] {
            std::fs::write(&program, text).unwrap();
            assert_eq!(missing_interpreter(&program).as_deref(), expected, "{text}");
        }
    }
}
