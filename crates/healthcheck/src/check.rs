//! What is asked, and how much the answer weighs.

use std::path::PathBuf;
use std::time::Duration;

use process::{EnvVars, Interrupt, Program, Redactor};
use url::Url;

/// One question to an environment.
#[derive(Clone, Debug)]
pub struct Check {
    /// Name of the check, as the configuration has it.
    pub name: String,
    /// How it is asked.
    pub probe: Probe,
    /// What an answer other than "healthy" means.
    pub severity: Severity,
    /// The time for the whole probe.
    pub deadline: Duration,
}

/// What an answer other than "healthy" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is said, and nothing is stopped.
    Warn,
    /// Nothing is deployed.
    #[default]
    Block,
}

/// How a question is asked.
#[derive(Clone, Debug)]
pub enum Probe {
    /// One GET request.
    Http(HttpProbe),
    /// One connection.
    Tcp(TcpProbe),
    /// One program, whose exit status is the answer.
    Command(CommandProbe),
}

/// One GET request; a redirect is an answer, and is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProbe {
    /// Where to ask.
    pub url: Url,
    /// The status that means "healthy".
    pub status: u16,
}

/// One connection, opened and closed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpProbe {
    /// `HOST:PORT`, with or without `tcp://`.
    pub address: String,
}

/// One program; exit status 0 means "healthy", any other "unhealthy", no exit "unknown".
#[derive(Clone, Debug)]
pub struct CommandProbe {
    /// The program.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// The variables it sees.
    pub environment: EnvVars,
    /// Hidden in what is shown of its output.
    pub redactor: Redactor,
    /// Ends it early.
    pub interrupt: Interrupt,
}
