//! The tests' own helpers are tested too: a broken bench makes every other answer worthless.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not count as tests")]

mod backing_servers;
mod cluster;
mod registry;
mod repository;
mod servers;
