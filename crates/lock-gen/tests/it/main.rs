//! Repositories made by script, read by us and by the real git.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod assembly;
mod content;
mod history;
mod lock_drift;
mod publication;
mod relative_urls;
mod safety;
mod scan;
mod world;
