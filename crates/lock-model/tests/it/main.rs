//! The lock's and the metadata's formats through the public API.
#![expect(clippy::unwrap_used, reason = "a test's unwrap is its assertion; the lint's own allowance misses helpers")]

mod bounds;
mod consistency;
mod difference;
mod escaping;
mod fixtures;
mod golden;
mod identity;
mod legacy;
mod metadata;
mod properties;
mod sample;
mod schema;
