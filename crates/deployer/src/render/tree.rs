//! A rendered tree: files by path, as a branch or a folder holds them.

use std::collections::BTreeMap;

use lock_model::{CommitId, Digest, ServiceName};

/// The folder of the tree that holds one folder a service.
pub(super) const SERVICES_FOLDER: &str = "services";

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

/// The service whose folder a path lies in.
pub(super) fn service_of(path: &str) -> Option<ServiceName> {
    let (service, _) = path.strip_prefix(SERVICES_FOLDER)?.strip_prefix('/')?.split_once('/')?;
    service.try_into().ok()
}
