//! The git program, run for real.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod in_process;
mod read;
mod remote;
mod safety;
mod sandbox;
mod transport;
mod write;
