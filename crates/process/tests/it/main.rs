//! Programs and git, run for real.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod git_read;
mod git_remote;
mod git_safety;
mod git_write;
mod invocation;
mod sandbox;
