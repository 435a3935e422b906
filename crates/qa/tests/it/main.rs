//! Suites against real sockets and real programs, and what is written about them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod commands;
mod http;
mod http_files;
mod reports;
mod server;
