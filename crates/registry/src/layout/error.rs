use std::fmt;
use std::path::{Path, PathBuf};

use lock_model::escaping::escape_terminal;
use lock_model::{Digest, ErrorClass};

use crate::text::list;

/// Most names of entries that a message lists.
const MOST_NAMES: usize = 10;

/// A layout folder that cannot be used.
#[derive(Debug)]
pub struct LayoutError {
    folder: PathBuf,
    kind: LayoutErrorKind,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image layout `{}`: {}", self.folder.display(), self.kind)
    }
}

impl std::error::Error for LayoutError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

impl LayoutError {
    pub(super) fn new(folder: &Path, kind: LayoutErrorKind) -> Self {
        Self { folder: folder.to_owned(), kind }
    }

    pub(super) fn io(folder: &Path, file: impl Into<String>, source: std::io::Error) -> Self {
        Self::new(folder, LayoutErrorKind::Io { file: file.into(), source })
    }

    /// As the caller named it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &LayoutErrorKind {
        &self.kind
    }

    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match &self.kind {
            LayoutErrorKind::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorClass::NotFound,
                _ => ErrorClass::of_io(source, ErrorClass::Invalid),
            },
            LayoutErrorKind::Missing { .. } => ErrorClass::NotFound,
            LayoutErrorKind::NoFolder
            | LayoutErrorKind::NotALayout
            | LayoutErrorKind::Version { .. }
            | LayoutErrorKind::Json { .. }
            | LayoutErrorKind::Duplicates { .. }
            | LayoutErrorKind::BareTags { .. }
            | LayoutErrorKind::Corrupt { .. }
            | LayoutErrorKind::TooLarge { .. }
            | LayoutErrorKind::Content { .. } => ErrorClass::Invalid,
        }
    }
}

/// What is wrong with a layout folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutErrorKind {
    /// The folder is not there.
    #[error("there is no such folder")]
    NoFolder,
    /// The folder has no `oci-layout` file.
    #[error("not an image layout: it has no `oci-layout` file")]
    NotALayout,
    /// The `oci-layout` file declares a version that is not known.
    #[error("layout version `{version}` is not supported, only `1.0.0`")]
    Version {
        /// The version it declares.
        version: String,
    },
    /// A file cannot be read or written.
    #[error("`{file}` cannot be used")]
    Io {
        /// The file, relative to the folder.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not the JSON that it should be.
    #[error("`{file}` is not what an image layout holds there")]
    Json {
        /// The file, relative to the folder.
        file: String,
        /// What the parser says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Several entries have the same name, so that it does not say which image it stands for.
    #[error("more than one entry is named {}", names_of(references))]
    Duplicates {
        /// Each once, sorted.
        references: Vec<String>,
    },
    /// No entry is named by its full `repository:tag`, as tools write them that know of one image in a folder.
    #[error("no entry is named by its full `repository:tag`: there is {}", listed(names))]
    BareTags {
        /// What the entries are named.
        names: Vec<String>,
    },
    /// The bytes of a blob are not the ones that its name promises.
    #[error("blob `{digest}` holds other bytes, which hash to `{hashed}`")]
    Corrupt {
        /// The digest that the file is named after.
        digest: Digest,
        /// The digest of what it holds.
        hashed: Digest,
    },
    /// A blob that should be there is missing.
    #[error("blob `{digest}` is missing")]
    Missing {
        /// What its file would be named after.
        digest: Digest,
    },
    /// A file is larger than what is read.
    #[error("`{file}` is larger than {limit} bytes")]
    TooLarge {
        /// The file, relative to the folder.
        file: String,
        /// In bytes.
        limit: u64,
    },
    /// Content that cannot be written as an image.
    #[error("{reason}")]
    Content {
        /// The whole message.
        reason: String,
    },
}

/// The first names, and how many more there are.
fn listed(names: &[String]) -> String {
    match names.split_at_checked(MOST_NAMES) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", names_of(first), rest.len()),
        Some(_) | None => names_of(names),
    }
}

fn names_of(entries: &[String]) -> String {
    list(entries.iter().map(|name| escape_terminal(name)))
}
