//! Resolves image references to digests, platforms and labels, from a registry or an OCI layout folder.
//!
//! [`Registry::resolve`] answers for one image; [`Registry::resolve_all`] for many at once, each with several places where
//! it may be and the commit that it must have been built from. A registry is not trusted: every
//! document is hashed, its type is compared with its form, and a tag is looked at a second time at the end.
//! [`Registry::resolve_all_waiting`] waits for images that are still being built, [`Registry::check_digests`] asks whether
//! what was pinned is still there, and [`artifact`] is for everything in a registry that is no image.
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use registry::layout::{ImageContent, LayoutWriter};
//! use registry::lock_model::{ImageReference, Platform};
//! use registry::{DigestRequest, ImageRequest, Mirror, Registry, RegistryOptions, RevisionPolicy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A folder with one image stands for ghcr.io here; without the mirror, ghcr.io itself is asked.
//! let folder = tempfile::tempdir()?;
//! let cart: ImageReference = "ghcr.io/shop/cart:main-1111111".parse()?;
//! let platform: Platform = "linux/amd64".parse()?;
//! let commit = "1111111111111111111111111111111111111111".parse()?;
//! let content = ImageContent::new(platform.clone()).revision(&commit);
//! LayoutWriter::create(folder.path())?.add_image(&cart.repository, &"main-1111111".parse()?, &content)?;
//! let options = RegistryOptions::default().mirror("ghcr.io", Mirror::OciLayout(folder.path().to_owned()));
//! let registry = Registry::new(options)?;
//! let deadline = Instant::now() + Duration::from_secs(300);
//!
//! // One image: which digest does it have for this platform?
//! let image = registry.resolve(&cart, &[platform.clone()], deadline).await?.image;
//! println!("{}", image.reference()); // ghcr.io/shop/cart:main-1111111@sha256:…
//!
//! // Many: the first candidate that exists, if it was built from this commit.
//! let request = ImageRequest::new([cart]).platforms([platform]).built_from(commit, RevisionPolicy::Require);
//! for answer in registry.resolve_all(&[request], deadline, &|_| ()).await {
//!     assert_eq!(answer?.image.digest, image.digest);
//! }
//!
//! // Later: is it still there, with all its platforms?
//! for answer in registry.check_digests(&[DigestRequest::from(&image)], deadline, &|_| ()).await {
//!     assert!(answer?.is_complete());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Registries that ask for a login are given one from [`RegistryOptions::credentials`]; [`credentials`] says where
//! logins may be, and [`Registry::logins`] which of them were used. `examples/resolve.rs` does all of this from a command
//! line.
//!
//! # Features
//!
//! | feature | default | what it does |
//! |---|---|---|
//! | `ring` | yes | installs [ring] as the TLS provider of the process before the first request over HTTP, where the program has not installed another one |
//!
//! Without `ring` and without an installed provider, the first request fails with [`RegistryErrorKind::NoTlsProvider`],
//! plain HTTP included. A layout folder needs no provider.
//!
//! [ring]: https://docs.rs/ring
//!
//! # Runtime
//!
//! Requests over HTTP need a tokio runtime with time and IO enabled (`enable_all`), of any flavour: they panic outside
//! one. Every future is `Send`. What a layout folder answers needs no runtime, but for the waiting of
//! [`Registry::resolve_all_waiting`]; its files are read on the thread that polls.

pub mod artifact;
mod auth;
mod backend;
mod cache;
mod check;
mod clients;
mod connection;
pub mod credentials;
mod document;
mod error;
mod first_looks;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod http;
mod inspect;
pub mod layout;
pub mod media_type;
mod options;
mod options_error;
mod own_certificate;
mod platform;
mod proxy;

mod records;
mod registry;
mod remote;
mod request;
mod resolve;
mod retry;
mod search;
mod text;
mod tls_fault;
mod wait_policy;

pub use lock_model;
pub use secrecy::SecretString;
/// JSON, as it stands in [`layout::Blob`].
pub use serde_json;
pub use url::Url;

pub use connection::{ClientCertificate, HostOptions, PemAuthority, Proxies};
pub use credentials::{CredentialSources, Credentials};
pub use error::{RegistryError, RegistryErrorKind, overall_class};
pub use options::{Limits, Mirror, RegistryOptions};
pub use options_error::OptionsError;
pub use proxy::ProxyFault;
pub use registry::{LoginUse, Registry};
pub use request::{
    Attempt, AttemptOutcome, DigestAnswer, DigestRequest, Event, FoundRevision, ImageDate, ImageRequest, Resolution,
    ResolvedImage, RevisionPolicy, Unresolved, UnresolvedReason, Warning,
};
pub use retry::RetryPolicy;
pub use tls_fault::CertificateFault;
pub use wait_policy::WaitPolicy;

/// The label in an image's configuration that names the commit it was built from.
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The annotation of a manifest or index that says when the image was made.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
