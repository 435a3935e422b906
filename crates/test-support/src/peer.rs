//! Other clients of registries, to compare our answers with: `crane` and `regctl`.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::bench::{self, Missing, Part};
use crate::environment;

/// A client with a home of its own.
#[derive(Debug)]
pub struct Peer {
    part: Part,
    home: TempDir,
}

impl Peer {
    /// Finds a client by the name of its part, or says why it is not there.
    pub fn find(name: &str) -> Result<Self, Missing> {
        Ok(Self { part: bench::part(name)?, home: TempDir::new().expect("a temporary folder can be made") })
    }

    /// Finds a client, or reports the running test as skipped.
    pub fn find_or_skip(name: &str) -> Option<Self> {
        bench::or_skip(Self::find(name))
    }

    /// Runs the client and gives its standard output without white space around it; a failure is a panic that shows
    /// everything.
    pub fn run(&self, args: &[&str]) -> String {
        self.try_run(args).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Runs the client; a failure is what it wrote.
    pub fn try_run(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.part.command();
        command.env("HOME", self.home.path());
        let output =
            environment::output(command.args(args)).unwrap_or_else(|error| panic!("{}: {error}", self.part.name()));
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).expect("it prints UTF-8").trim().to_owned());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{} {}`: {}\n{stderr}", self.part.name(), args.join(" "), output.status))
    }

    /// Writes docker's configuration file, where both clients look for logins; the path is where it lies.
    pub fn docker_config(&self, content: &str) -> std::path::PathBuf {
        let folder = self.home().join(".docker");
        fs::create_dir_all(&folder).expect("the folder can be made");
        let path = folder.join("config.json");
        fs::write(&path, content).expect("the file can be written");
        path
    }

    /// Its home folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}
