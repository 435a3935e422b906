//! The `orchestrator` binary: arguments, environment, clock, runtime, output and exit codes.

mod app;
mod arguments;
mod child;
mod clock;
mod command_line;
mod commands;
mod demo;
mod environment;
mod exit_code;
mod interruption;
mod output;
mod reference;
mod surroundings;

fn main() -> std::process::ExitCode {
    if let Some(ended) = child::of_words(std::env::args_os().skip(1)) {
        return ended;
    }
    hide_own_environment();
    std::process::ExitCode::from(app::run().number())
}

/// Closes `/proc/PID/environ`, which holds our logins, to the programs of suites and probes. Root may read it nevertheless.
#[cfg(target_os = "linux")]
fn hide_own_environment() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // A kernel without this call has other ways in, too: the command works all the same.
    let _unsupported = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Other systems show the environment of a process to its own user only.
#[cfg(not(target_os = "linux"))]
fn hide_own_environment() {}
