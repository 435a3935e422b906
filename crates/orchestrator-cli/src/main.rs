//! The `orchestrator` binary: arguments, environment, clock, composition, output and exit codes.

mod app;
mod arguments;
mod clock;
mod commands;
mod context;
mod demo;
mod digests;
mod engine;
mod environment;
mod error;
mod exit_code;
mod generation;
mod interruption;
mod ledger_store;
mod output;
mod reference;
mod registries;
mod snapshot;
mod sources;
mod submodules;

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(app::run().number())
}
