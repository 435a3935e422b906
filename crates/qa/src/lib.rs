//! Runs test suites against an environment, and reports their results.
//!
//! A suite is a program ([`CommandSuite`]), a file of HTTP requests ([`HttpSuite`]) or an image that runs as a Job in a
//! cluster ([`ContainerSuite`]). [`run`] never fails: a suite is [passed](Verdict::Passed) only when it ran to its end, had at
//! least one case, and every case passed; what it could
//! not find out is [unknown](Verdict::Unknown). [`to_junit`] and [`to_markdown`] render reports for CI systems.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use process::{EnvVars, Program};
//! use qa::{CommandSuite, HttpClient, HttpRun, HttpSuite, Suite};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let smoke = HttpSuite::parse("tests/smoke.yaml", br#"
//! requests:
//! - name: the cart answers
//!   method: GET
//!   url: "{url}/cart/health"
//!   headers: { accept: application/json }
//!   expect:
//!     status: 200
//!     header: { content-type: application/json }
//!     body-contains: "ok"
//!     json: { /service: cart }
//! "#)?;
//! let client = HttpClient::new("my-tool/1.0", Duration::from_secs(5))?;
//! let mut run = HttpRun::new(smoke, client, Duration::from_secs(60));
//! run.variables.url = Some("https://staging.example.com".to_owned());
//!
//! let mut load = CommandSuite::new(Program::at("/src/shop/tests/load"), "/src/shop", Duration::from_secs(600));
//! load.args = vec!["--users".to_owned(), "10".to_owned()];
//! load.envs = EnvVars::new().set("PATH", "/usr/bin:/bin");
//!
//! let reports = [qa::run("smoke", &Suite::Http(run)).await, qa::run("load", &Suite::Command(load)).await];
//! std::fs::write("report.xml", qa::to_junit(&reports))?;
//! assert!(reports.iter().all(|report| report.is_passed()));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `ring` | yes | [`HttpClient::new`] installs ring as the TLS provider where the process has none |
//! | `schema` | no | `schemars::JsonSchema` of [`SuiteReport`] and the types in it |
//!
//! # Runtime
//!
//! [`run`] needs a tokio runtime with its network and time drivers (`enable_all`), of one thread or several; its future
//! is `Send`. Programs run on the runtime's blocking threads. Without the feature `ring` the program installs
//! a TLS provider of rustls before it makes an [`HttpClient`].
//!
//! # Panics
//!
//! [`run`] panics when it is polled outside of such a runtime.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod command;
mod container;
mod expectation;
mod http;
mod http_file;
mod junit;
mod markdown;
mod report;
mod suite;
mod template;
mod text;

/// What a [`ContainerSuite`] runs in.
pub use cluster;
pub use command::CommandSuite;
pub use container::{Container, ContainerSuite, JobIdentity, container_objects, container_permissions};
pub use http::HttpRun;
pub use http_client::{self, HttpClient, HttpClientError};
pub use http_file::{HttpRequest, HttpSuite, HttpSuiteError, HttpSuiteProblem};
pub use junit::to_junit;
/// [`ErrorClass`](lock_model::ErrorClass) is what `class()` of an error says.
pub use lock_model;
pub use markdown::to_markdown;
/// What a [`CommandSuite`] is made of.
pub use process;
pub use report::{Case, SuiteReport, Verdict};
pub use suite::{Suite, run};
pub use template::Variables;
