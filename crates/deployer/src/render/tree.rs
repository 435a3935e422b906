//! A rendered tree: files by path, as a branch or a folder holds them.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, Digest, EnvironmentName, ServiceName};

use super::record::RELEASE_FILE;
use crate::pinned_manifests::SERVICES_FOLDER;
use crate::problem::escaped;

/// What a branch or a folder holds, read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedTree {
    /// The commit it was read from; none for a folder.
    pub commit: Option<CommitId>,
    /// Bytes of each regular file by its path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Entries that are no regular files (links, submodules): a rendered tree has none.
    pub irregular: Vec<String>,
}

impl RenderedTree {
    /// One digest over every path and its bytes; the commit and irregular entries do not count.
    pub fn digest(&self) -> Digest {
        let by_path: BTreeMap<&str, Digest> =
            self.files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes))).collect();
        lock_model::tagged_digest("orchestrator.rendered.v1", &by_path).expect("strings have a canonical form")
    }

    /// Whether it holds exactly these files.
    pub(super) fn holds(&self, files: &BTreeMap<String, Vec<u8>>) -> bool {
        self.files == *files && self.irregular.is_empty()
    }
}

/// What a place holds that is not the environment's own tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// A rendered tree of the environment that its record names, as it is written there.
    Environment(String),
    /// Something that was not rendered: there is no readable record.
    Foreign,
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "the tree of environment `{}`", escaped(name)),
            Self::Foreign => {
                write!(f, "files that were not rendered, since it has no readable `{RELEASE_FILE}`")
            }
        }
    }
}

impl RenderedTree {
    /// Who else's it is; none where it is the environment's own, or empty.
    pub fn occupant(&self, environment: &EnvironmentName) -> Option<Occupant> {
        match self.record() {
            Some(record) if record.environment == environment.as_str() => None,
            Some(record) => Some(Occupant::Environment(record.environment)),
            None if self.files.is_empty() && self.irregular.is_empty() => None,
            None => Some(Occupant::Foreign),
        }
    }
}

/// The service whose folder a path lies in.
pub(super) fn service_of(path: &str) -> Option<ServiceName> {
    let (service, _) = path.strip_prefix(SERVICES_FOLDER)?.strip_prefix('/')?.split_once('/')?;
    service.try_into().ok()
}
