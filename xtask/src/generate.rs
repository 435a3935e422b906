//! Generated files: the binary prints schemas and references, the names of tests fill the table of cases.

use std::fs;
use std::path::PathBuf;

use crate::{Outcome, cases, picture, program, workspace};

/// Whether files are written or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write what differs.
    Write,
    /// List what differs.
    Check,
}

/// What the binary prints, and the file that holds it.
const PRINTED: &[(&[&str], &str)] = &[
    (&["schema", "print", "lock"], "schemas/lock.schema.json"),
    (&["schema", "print", "metadata"], "schemas/metadata.schema.json"),
    (&["schema", "print", "config"], "schemas/config.schema.json"),
    (&["schema", "print", "ledger-record"], "schemas/ledger-record.schema.json"),
    (&["schema", "print", "report"], "schemas/report.schema.json"),
    (&["schema", "print", "evidence"], "schemas/evidence.schema.json"),
    (&["schema", "print", "plan"], "schemas/plan.schema.json"),
    (&["reference", "cli"], "docs/reference/cli.md"),
    (&["reference", "exit-codes"], "docs/reference/exit-codes.md"),
    (&["reference", "environment"], "docs/reference/environment.md"),
];

/// Builds the binary first. Where that fails, the files that need no binary are written all the same.
pub(crate) fn from_fresh_binary(mode: Mode) -> Outcome {
    let built = program::show(program::cargo().args(["build", "--quiet", "--package", "orchestrator-cli"]));
    handle(mode, built)
}

/// Uses the binary that lies beside this program.
pub(crate) fn from_built_binary(mode: Mode) -> Outcome {
    handle(mode, Ok(()))
}

fn handle(mode: Mode, binary: Outcome) -> Outcome {
    let mut problems: Vec<String> = Vec::new();
    let mut stale = Vec::new();
    let mut files = vec![(cases::PAGE, cases::page(&workspace())), (picture::FILE, picture::svg(&workspace()))];
    match binary {
        Ok(()) => files.extend(PRINTED.iter().map(|(arguments, path)| (*path, print(arguments)))),
        Err(problem) => problems.push(problem),
    }
    for (path, made) in files {
        match made.and_then(|text| put(path, &text, mode)) {
            Ok(Put::Same) => {}
            Ok(Put::Written) => println!("  wrote {path}"),
            Ok(Put::Stale { line }) => stale.push(format!("{path} (line {line})")),
            Err(problem) => problems.push(format!("{path}: {problem}")),
        }
    }
    if !stale.is_empty() {
        problems.push(format!("out of date, run `cargo xtask generate`: {}", stale.join(", ")));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// What the binary prints, at a fixed width.
fn print(arguments: &[&str]) -> Result<String, String> {
    program::text(program::program(binary()).args(arguments).env("COLUMNS", "100"))
}

/// Cargo puts the binaries of one profile into one folder.
fn binary() -> PathBuf {
    let ourselves = std::env::current_exe().expect("a program knows its own path");
    ourselves.with_file_name("orchestrator")
}

/// What became of one file.
enum Put {
    Same,
    Written,
    Stale { line: usize },
}

fn put(path: &str, text: &str, mode: Mode) -> Result<Put, String> {
    let file = workspace().join(path);
    if text.trim().is_empty() {
        return Err("nothing was printed".to_owned());
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    if there == text {
        return Ok(Put::Same);
    }
    if mode == Mode::Check {
        let same = there.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
        return Ok(Put::Stale { line: same + 1 });
    }
    let folder = file.parent().expect("a generated file lies in a folder");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, text));
    written.map(|()| Put::Written).map_err(|error| error.to_string())
}
