//! The parts of the test bench: real programs that `cargo xtask bench-setup` brought under `target/bench`.
//!
//! `target/bench/parts.tsv` says what is there, one part a line, columns separated by tabs:
//!
//! ```text
//! found    docker-registry  2.8.2+ds1-1  /…/usr/bin/docker-registry
//! found    skopeo           1.9.3+ds1-1  /…/usr/bin/skopeo  LD_LIBRARY_PATH=/…/usr/lib/x86_64-linux-gnu
//! missing  yaml-go          `go` is not on PATH
//! ```

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment;

/// A program of the test bench that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: String,
    version: String,
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl Part {
    /// The name under which tests ask for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that was brought.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the program lies.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command that starts the program with what it needs around it and nothing else.
    pub fn command(&self) -> Command {
        let mut command = environment::command(&self.program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A program of the test bench that this machine lacks, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The part that was asked for.
    pub name: String,
    /// Why it is not there.
    pub reason: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part `{}` is missing: {}", self.name, self.reason)
    }
}

/// Finds a part of the test bench.
pub fn part(name: &str) -> Result<Part, Missing> {
    let missing = |reason: String| Missing { name: name.to_owned(), reason };
    let list = environment::workspace().join("target/bench/parts.tsv");
    let text = std::fs::read_to_string(&list)
        .map_err(|error| missing(format!("{} ({error}): run `cargo xtask bench-setup`", list.display())))?;
    let part = find(&text, name)?;
    if part.program.is_file() {
        Ok(part)
    } else {
        Err(missing(format!("{} is gone: run `cargo xtask bench-setup`", part.program.display())))
    }
}

/// Finds a part, or reports the running test as skipped: the test then returns.
///
/// Where nothing may be skipped (`CI=true`) a missing part is a failure.
///
/// ```ignore
/// let Some(skopeo) = bench::part_or_skip("skopeo") else { return };
/// ```
pub fn part_or_skip(name: &str) -> Option<Part> {
    or_skip(part(name))
}

/// What was made of a part, or the running test is reported as skipped.
pub fn or_skip<T>(outcome: Result<T, Missing>) -> Option<T> {
    match outcome {
        Ok(made) => Some(made),
        Err(missing) => {
            skip(&missing.to_string());
            None
        }
    }
}

/// Reports the running test as skipped.
///
/// The line goes past the capture of the test harness, and into the file that `cargo xtask test` lists at its end.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(!environment::is_ci(), "`{test}` would be skipped, and CI=true forbids it: {reason}");
    let line = format!("skipped\t{test}\t{reason}\n");
    // Not eprintln!: the harness would swallow it.
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is writable");
    if let Some(path) = environment::variable("ORCHESTRATOR_SKIPPED_TESTS") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the list of skips opens");
        file.write_all(line.as_bytes()).expect("the list of skips is writable");
    }
}

/// Finds a part in the text of `parts.tsv`.
fn find(text: &str, name: &str) -> Result<Part, Missing> {
    let missing = |reason: String| Err(Missing { name: name.to_owned(), reason });
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        match columns.as_slice() {
            ["missing", part, reason] if *part == name => return missing((*reason).to_owned()),
            ["found", part, version, program, environment @ ..] if *part == name => {
                let pairs = environment.iter().filter_map(|pair| pair.split_once('='));
                return Ok(Part {
                    name: name.to_owned(),
                    version: (*version).to_owned(),
                    program: PathBuf::from(program),
                    environment: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                });
            }
            _ => {}
        }
    }
    missing("the test bench does not know it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "found\tskopeo\t1.9.3\t/b/skopeo\tLD_LIBRARY_PATH=/b/lib\nmissing\tyaml-go\tno go\n";

    #[test]
    fn a_part_that_is_there_has_program_and_environment() {
        let part = find(LIST, "skopeo").unwrap();
        assert_eq!(part.program(), Path::new("/b/skopeo"));
        assert_eq!(part.version(), "1.9.3");
        assert_eq!(part.environment, [("LD_LIBRARY_PATH".to_owned(), "/b/lib".to_owned())]);
    }

    #[test]
    fn a_missing_part_says_why() {
        assert_eq!(find(LIST, "yaml-go").unwrap_err().to_string(), "part `yaml-go` is missing: no go");
        assert_eq!(find(LIST, "kwok").unwrap_err().reason, "the test bench does not know it");
    }
}
