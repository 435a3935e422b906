//! Tests of the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not count as tests")]

mod broken_wire;
mod check;
mod layout;
mod real;
mod resolve;
mod support;
mod wire;
