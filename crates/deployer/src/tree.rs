//! A rendered tree: files by path, as a branch or a folder holds them.

use std::collections::BTreeMap;

use lock_model::{CommitId, Digest};

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
    /// One digest over every path and its bytes.
    pub fn digest(&self) -> Digest {
        digest_of(&self.files)
    }
}

pub(crate) fn digest_of(files: &BTreeMap<String, Vec<u8>>) -> Digest {
    let by_path: BTreeMap<&str, Digest> =
        files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(bytes))).collect();
    lock_model::tagged_digest("orchestrator.rendered.v1", &by_path).expect("strings have a canonical form")
}
