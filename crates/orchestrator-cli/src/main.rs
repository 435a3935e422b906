//! The `orchestrator` binary: arguments, environment, clock, runtime, output and exit codes.

mod app;
mod arguments;
mod clock;
mod commands;
mod demo;
mod environment;
mod exit_code;
mod interruption;
mod output;
mod reference;
mod surroundings;

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(app::run().number())
}
