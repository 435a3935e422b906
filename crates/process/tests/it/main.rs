//! Programs, run for real.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod invocation;
