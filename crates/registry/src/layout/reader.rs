use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use lock_model::{Digest, ErrorClass, ImageRepository, Tag};
use serde::Deserialize;

use super::{LAYOUT_VERSION, LayoutError, LayoutErrorKind, REFERENCE_ANNOTATION};

/// Most bytes that `index.json` may have: about 100,000 entries.
const INDEX_LIMIT: u64 = 64 << 20;

/// Where docker and buildx write the full name; the other annotation holds the tag alone then.
const CONTAINERD_ANNOTATION: &str = "io.containerd.image.name";

/// A layout folder as it was when it was opened: `index.json` is read once, blobs when they are asked for.
#[derive(Clone, Debug)]
pub struct LayoutReader {
    folder: PathBuf,
    entries: BTreeMap<String, LayoutEntry>,
}

/// What a tag points at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutEntry {
    /// The media type of the manifest or index.
    pub media_type: String,
    /// The hash of the manifest or index.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutFile {
    image_layout_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexFile {
    #[serde(default)]
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexEntry {
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl LayoutReader {
    /// Opens a folder and reads its `index.json`. Names that stand there twice are an error; all of them are listed.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        let marker = match read_file(folder, "oci-layout", 4096) {
            Err(_) if !folder.is_dir() => return Err(LayoutError::new(folder, LayoutErrorKind::NoFolder)),
            Err(error) if error.class() == ErrorClass::NotFound => {
                return Err(LayoutError::new(folder, LayoutErrorKind::NotALayout));
            }
            other => other?,
        };
        let LayoutFile { image_layout_version: version } = parse(folder, "oci-layout", &marker)?;
        if version != LAYOUT_VERSION {
            return Err(LayoutError::new(folder, LayoutErrorKind::Version { version }));
        }
        let IndexFile { manifests } = parse(folder, "index.json", &read_file(folder, "index.json", INDEX_LIMIT)?)?;
        let mut entries = BTreeMap::new();
        let mut duplicates = BTreeSet::new();
        for IndexEntry { media_type, digest, size, mut annotations } in manifests {
            // An entry without a name is reachable by its digest only.
            let name = annotations.remove(CONTAINERD_ANNOTATION).or_else(|| annotations.remove(REFERENCE_ANNOTATION));
            let Some(reference) = name else { continue };
            let entry = LayoutEntry { media_type, digest, size };
            match entries.get(&reference) {
                // `docker save` names an image once for each name that it was asked for.
                Some(known) if *known == entry => {}
                Some(_) => {
                    duplicates.insert(reference);
                }
                None => {
                    entries.insert(reference, entry);
                }
            }
        }
        if !duplicates.is_empty() {
            let references = duplicates.into_iter().collect();
            return Err(LayoutError::new(folder, LayoutErrorKind::Duplicates { references }));
        }
        Ok(Self { folder: folder.to_owned(), entries })
    }

    /// As it was opened.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All names with what they point at.
    pub fn entries(&self) -> &BTreeMap<String, LayoutEntry> {
        &self.entries
    }

    /// What a tag points at; `None` when there is no such tag.
    pub fn entry(&self, repository: &ImageRepository, tag: &Tag) -> Option<&LayoutEntry> {
        self.entries.get(&format!("{repository}:{tag}"))
    }

    /// As [`entry`](Self::entry), but a folder whose names are all without a repository is an error.
    pub(crate) fn find(&self, repository: &ImageRepository, tag: &Tag) -> Result<Option<&LayoutEntry>, LayoutError> {
        let entry = self.entry(repository, tag);
        if entry.is_none() && !self.entries.is_empty() && self.entries.keys().all(|name| !name.contains('/')) {
            let names = self.entries.keys().cloned().collect();
            return Err(LayoutError::new(&self.folder, LayoutErrorKind::BareTags { names }));
        }
        Ok(entry)
    }

    /// The bytes of a blob, hashed; `None` when there is no such blob.
    pub fn blob(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
        let file = blob_file(digest);
        let bytes = match read_file(&self.folder, &file, limit) {
            Err(error) if error.class() == ErrorClass::NotFound => return Ok(None),
            other => other?,
        };
        let hashed = Digest::of(&bytes);
        if hashed != *digest {
            return Err(LayoutError::new(&self.folder, LayoutErrorKind::Corrupt { digest: digest.clone(), hashed }));
        }
        Ok(Some(bytes))
    }
}

/// Where a blob lies in a layout folder.
pub(super) fn blob_file(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

pub(super) fn read_file(folder: &Path, name: &str, limit: u64) -> Result<Vec<u8>, LayoutError> {
    let io = |source| LayoutError::io(folder, name, source);
    let path = folder.join(name);
    // A pipe would be waited for, and a device read without end.
    if !std::fs::metadata(&path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(LayoutError::new(folder, LayoutErrorKind::TooLarge { file: name.to_owned(), limit }));
    }
    Ok(bytes)
}

fn parse<'a, T: Deserialize<'a>>(folder: &Path, name: &str, bytes: &'a [u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|source| {
        LayoutError::new(folder, LayoutErrorKind::Json { file: name.to_owned(), source: source.into() })
    })
}
