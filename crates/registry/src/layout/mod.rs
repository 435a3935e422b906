//! [OCI image layout] folders: a registry that is a folder.
//!
//! ```text
//! DIR/oci-layout            {"imageLayoutVersion":"1.0.0"}
//! DIR/index.json            one entry a tag, named by its full `repository:tag`
//! DIR/blobs/sha256/HEX      manifests, configurations and layers
//! ```
//!
//! The name of an entry (annotation `org.opencontainers.image.ref.name`) is the whole `repository:tag`, so that one
//! folder holds many repositories.
//!
//! [OCI image layout]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

mod archive;
mod content;
mod error;
mod reader;
mod writer;

pub use content::{Blob, BuiltImage, BuiltIndex, ImageContent, IndexContent};
pub use error::{LayoutError, LayoutErrorKind};
pub use reader::{LayoutEntry, LayoutReader};
pub use writer::LayoutWriter;

/// The annotation that names an entry of `index.json`.
pub const REFERENCE_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// The version that an `oci-layout` file declares.
const LAYOUT_VERSION: &str = "1.0.0";
