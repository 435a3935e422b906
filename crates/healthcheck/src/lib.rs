//! Probes and checks that say whether an environment can take a deployment.
//!
//! A check that cannot be answered is [unknown](CheckState::Unknown), and unknown is not healthy. Nothing here is an
//! error: what could not be found out is part of the report.

mod address;
mod check;
mod client;
mod probe;
mod report;
mod run;
mod text;

pub use address::is_denied;
pub use check::{Check, CommandProbe, HttpProbe, Probe, Severity, TcpProbe};
pub use client::{ClientError, http_client};
pub use report::{CheckResult, CheckState, HealthReport, HealthVerdict};
pub use reqwest::Client;
pub use run::run;
