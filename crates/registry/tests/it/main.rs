//! Tests of the public API.

#![expect(clippy::unwrap_used, reason = "helpers of tests, which clippy does not count as tests")]

mod artifact;
mod auth;
mod broken_wire;
mod cache;
mod check;
mod credentials;
mod gitea;
mod layout;
mod nginx;
mod patience;
mod peers;
mod real;
mod real_artifact;
mod real_auth;
mod referrers_server;
mod resolve;
mod send;
mod support;
mod tls;
mod toxic;
mod wire;
