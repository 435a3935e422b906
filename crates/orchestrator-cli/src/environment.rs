//! Every environment variable that the program reads, in one place.

use std::ffi::OsString;

/// A variable that changes what the program does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it does, for the reference.
    pub description: &'static str,
}

/// Folder of the local forge.
pub(crate) const FORGE: Variable =
    Variable { name: "ORCHESTRATOR_FORGE", description: "Folder of the local forge, as `--forge`." };
/// Acting user.
pub(crate) const ACTOR: Variable = Variable {
    name: "ORCHESTRATOR_AS",
    description: "User of the local forge who acts, as `--as`. The update hook reads it too: it names who pushes.",
};
/// Fixed clock.
pub(crate) const CLOCK: Variable = Variable {
    name: "ORCHESTRATOR_CLOCK",
    description: "A fixed clock for tests and the demo, such as `2026-01-05T09:00:00Z`: it starts there and \
                  advances a second with each record of the ledger. Accepted with the local forge only.",
};
/// Cache folder.
pub(crate) const CACHE: Variable = Variable {
    name: "ORCHESTRATOR_CACHE",
    description: "Folder for fetched submodule commits, as `--cache`. Default: a folder beside the git objects.",
};
/// Run identity given by the CI system.
pub(crate) const RUN_ID: Variable =
    Variable { name: "GITHUB_RUN_ID", description: "Identity of the CI run, written into ledger records." };
/// Attempt of the CI run.
pub(crate) const RUN_ATTEMPT: Variable =
    Variable { name: "GITHUB_RUN_ATTEMPT", description: "Attempt of the CI run, written into ledger records." };
/// Step summary file of GitHub Actions.
pub(crate) const STEP_SUMMARY: Variable = Variable {
    name: "GITHUB_STEP_SUMMARY",
    description: "File that `--format github` adds the report to, in Markdown.",
};
/// Program search path.
pub(crate) const PATH: Variable =
    Variable { name: "PATH", description: "Where `git` and the programs of suites are found." };
/// Home folder.
pub(crate) const HOME: Variable =
    Variable { name: "HOME", description: "Handed to `git`, for its credential helpers." };
/// Colour switch.
pub(crate) const NO_COLOR: Variable =
    Variable { name: "NO_COLOR", description: "No colours, whatever the terminal can do (no-color.org)." };

/// All of them, in the order of the reference.
pub(crate) const ALL: [Variable; 10] =
    [ACTOR, CACHE, CLOCK, FORGE, RUN_ATTEMPT, RUN_ID, STEP_SUMMARY, HOME, NO_COLOR, PATH];

/// What children inherit when it is set: enough for git, ssh, certificates and locale, and nothing that
/// carries a token.
const INHERITED: [&str; 11] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
    "USER",
];

/// Reads a variable; empty counts as unset.
pub(crate) fn read(variable: Variable) -> Option<String> {
    read_named(variable.name)
}

/// Reads a variable that the configuration names (`{ env: NAME }`); empty counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn read_named(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The search path for programs.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn search_path() -> OsString {
    std::env::var_os(PATH.name).unwrap_or_default()
}

/// The named list that every child gets.
#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
pub(crate) fn for_children() -> Vec<(&'static str, OsString)> {
    INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect()
}
