//! Rendering through the public API, with real git and real folders.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic, in shared code too")]

mod applying;
mod charts;
mod compose;
mod images;
mod namespaces;
mod plans;
mod proofs;
mod send;
mod shop;
mod stores;
