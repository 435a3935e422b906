//! Tests of the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not count as tests")]

mod artifact;
mod auth;
mod broken_wire;
mod cache;
mod check;
mod credentials;
mod layout;
mod patience;
mod real;
mod real_artifact;
mod real_auth;
mod resolve;
mod support;
mod tls;
mod wire;
