//! Resolves image references to digests, platforms and labels, from a registry or an OCI layout folder.
//!
//! [`Registry::resolve_all`] turns the places where an image may be into the entry that a lock holds. Nothing of what a
//! registry says is believed: every document is hashed, its type is compared with its form, and a tag is looked at a
//! second time at the end. [`Registry::resolve_all_patiently`] waits for images that are still being built,
//! [`Registry::check_digests`] asks whether what was pinned is still there, and [`artifact`] is for everything in a
//! registry that is no image.
//!
//! ```no_run
//! use std::path::PathBuf;
//! use std::time::{Duration, Instant};
//!
//! use registry::{
//!     Candidate, CredentialSources, Credentials, DigestRequest, ImageRequest, Registry, RegistryOptions, RevisionPolicy,
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Once in a program, before the first `Registry`: who does the cryptography of TLS.
//! rustls::crypto::ring::default_provider().install_default().ok();
//!
//! // The logins that docker keeps. Nothing is looked for: where they are is said.
//! let files = vec![PathBuf::from("/home/me/.docker/config.json")];
//! let sources = CredentialSources { files, ..CredentialSources::default() };
//! let credentials = Credentials::load(sources).map_err(|errors| format!("{errors:?}"))?;
//! let cache = Some(PathBuf::from("/home/me/.cache/shop"));
//! let registry = Registry::new(RegistryOptions { credentials, cache, ..RegistryOptions::default() })?;
//!
//! // Which image is it, and was it built from this commit?
//! let request = ImageRequest {
//!     service: "cart".parse()?,
//!     candidates: vec![Candidate { repository: "ghcr.io/shop/cart".parse()?, tag: "main-1111111".parse()? }],
//!     platforms: vec!["linux/amd64".parse()?],
//!     commit: "1111111111111111111111111111111111111111".parse()?,
//!     revision: RevisionPolicy::Require,
//!     commit_time: "2025-11-20T21:14:07Z".parse()?,
//! };
//! let deadline = Instant::now() + Duration::from_secs(300);
//! let mut pinned = Vec::new();
//! for (service, answer) in registry.resolve_all(&[request], deadline, &|_| ()).await {
//!     match answer {
//!         Ok(resolution) => {
//!             // `ghcr.io/shop/cart:main-1111111@sha256:…`: a name for people, a digest for machines.
//!             println!("{service}: {}", resolution.image.reference());
//!             pinned.push((service, resolution.image));
//!         }
//!         Err(unresolved) => println!("{service}: {}, tried {:?}", unresolved.reason, unresolved.tried),
//!     }
//! }
//!
//! // Later: is it still there, with all its platforms?
//! let questions = pinned.into_iter().map(|(service, image)| DigestRequest {
//!     service,
//!     repository: image.repository,
//!     digest: image.digest,
//!     platforms: image.platforms,
//! });
//! let questions: Vec<DigestRequest> = questions.collect();
//! for (service, answer) in registry.check_digests(&questions, deadline, &|_| ()).await {
//!     println!("{service}: complete is {}", answer?.is_complete());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Registries that ask for a login are given one from [`RegistryOptions::credentials`]; [`credentials`] says where
//! logins may be, and [`Registry::logins`] which of them were used. `examples/resolve.rs` does all of this from a command
//! line.

pub mod artifact;
mod auth;
mod cache;
mod check;
mod clients;
mod connection;
pub mod credentials;
mod document;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod http;
mod inspect;
pub mod layout;
pub mod media_type;
mod options;
mod patience;
mod platform;
mod prune;
mod registry;
mod request;
mod resolve;
mod retry;
mod source;
mod text;

pub use connection::{ClientCertificate, HostOptions, PemAuthority, Proxies};
pub use credentials::{CredentialSources, Credentials};
pub use error::{RegistryError, RegistryErrorKind, overall_class};
pub use options::{Limits, Mirror, OptionsError, RegistryOptions};
pub use patience::Patience;
pub use registry::{LoginUse, Registry};
pub use request::{
    Attempt, AttemptOutcome, Candidate, DigestAnswer, DigestRequest, Event, FoundRevision, ImageRequest, Resolution,
    RevisionPolicy, Unresolved, UnresolvedReason, Warning,
};
pub use retry::RetryPolicy;

/// The label in an image's configuration that names the commit it was built from.
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The annotation of a manifest or index that says when the image was made.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
