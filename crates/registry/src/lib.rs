//! Resolves image references to digests, platforms and labels, from a registry or an OCI layout folder.

pub mod layout;
pub mod media_type;

/// The label in an image's configuration that names the commit it was built from.
pub const REVISION_LABEL: &str = "org.opencontainers.image.revision";

/// The annotation of a manifest or index that says when the image was made.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";
