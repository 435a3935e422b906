//! Checks whether an environment can take a deployment.
//!
//! A [`Check`] is a [`Probe`] (one request, one conversation in the protocol of a database, one program, …) with a
//! [`Severity`] and a deadline.
//! [`run`] never fails: what a probe could not find out is [`CheckState::Unknown`], and unknown is not healthy.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use std::time::Duration;
//!
//! use healthcheck::{Check, HttpClient, HttpProbe, Probe, Severity, TcpProbe};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let five_seconds = Duration::from_secs(5);
//! let mut checks = [
//!     Check::new("gateway", Probe::Http(HttpProbe::new("https://staging.example.com/healthz")?), five_seconds),
//!     Check::new("database", Probe::Tcp(TcpProbe::new("db.example.com:5432")), five_seconds),
//!     Check::new("search", Probe::Http(HttpProbe::new("https://search.example.com/")?.status(204)), five_seconds),
//! ];
//! checks[2].severity = Severity::Warn;
//! let client = HttpClient::new("my-tool/1.0", five_seconds)?;
//! let report = healthcheck::run(&checks, &client, NonZeroUsize::MIN.saturating_add(7)).await;
//! for check in report.not_healthy() {
//!     println!("{}: {}", check.name, check.detail);
//! }
//! assert!(report.is_healthy());
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `ring` | yes | [`HttpClient::new`] installs ring as the TLS provider where the process has none |
//! | `schema` | no | `schemars::JsonSchema` of [`HealthReport`] and the types in it |
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

mod certificate;
mod check;
mod connection;
mod http;
mod probe;
mod prometheus;
mod report;
mod run;
mod service;
mod text;
mod tls;

pub use certificate::CertificateProbe;
pub use check::{Check, CommandProbe, HttpProbe, NameProbe, Probe, Severity, TcpProbe, UrlError};
pub use connection::{Dial, DialError, Dialling, Endpoint, Stream};
pub use http::HttpExpectation;
pub use http_client::{self, HttpClient, HttpClientError};
/// [`ErrorClass`](lock_model::ErrorClass) is what `class()` of an error says.
pub use lock_model;
pub use probe::late;
/// What a [`CommandProbe`] is made of.
pub use process;
pub use prometheus::{Bound, BoundError, PrometheusProbe};
pub use report::{CheckResult, CheckState, HealthReport, HealthVerdict};
pub use run::{run, until_healthy};
/// The password of a [`Login`] is its type.
pub use secrecy;
/// Values of an [`HttpExpectation`] are its type.
pub use serde_json;
pub use service::{Login, Protocol, ServiceProbe};
pub use tls::{AuthorityError, Tls};
