//! Resolves image references to digests, platforms and labels, from a registry or an OCI layout folder.
//!
//! [`Registry::resolve_all`] turns the places where an image may be into the entry that a lock holds. Nothing of what a
//! registry says is believed: every document is hashed, its type is compared with its form, and a tag is looked at a
//! second time at the end.

mod check;
mod document;
mod error;
mod host;
mod http;
mod inspect;
pub mod layout;
pub mod media_type;
mod options;
mod platform;
mod registry;
mod request;
mod resolve;
mod retry;
mod source;
mod text;

pub use error::{RegistryError, RegistryErrorKind, overall_class};
pub use options::{Limits, Mirror, OptionsError, RegistryOptions};
pub use registry::Registry;
pub use request::{
    Attempt, AttemptOutcome, Candidate, DigestAnswer, DigestRequest, Event, FoundRevision, ImageRequest, Resolution,
    RevisionPolicy, Unresolved, UnresolvedReason, Warning,
};
pub use retry::RetryPolicy;

/// The label in an image's configuration that names the commit it was built from.
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The annotation of a manifest or index that says when the image was made.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
