use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lock_model::{Digest, ImageRepository, Tag};
use serde_json::{Value, json};

use super::reader::blob_file;
use super::{
    Blob, BuiltImage, ImageContent, IndexContent, LAYOUT_VERSION, LayoutEntry, LayoutError, LayoutErrorKind,
    LayoutReader, REFERENCE_ANNOTATION,
};
use crate::media_type::{OCI_INDEX, OCI_MANIFEST};

/// Most bytes of a manifest that a tag is moved to.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// Writes a layout folder. The same calls give the same bytes; every call leaves a complete folder behind.
///
/// One writer at a time: two would overwrite each other's `index.json`. Readers may be there at any time.
#[derive(Debug)]
pub struct LayoutWriter {
    reader: LayoutReader,
}

impl LayoutWriter {
    /// Opens a layout folder, or makes an empty one where there is none.
    pub fn create(folder: &Path) -> Result<Self, LayoutError> {
        if !folder.join("oci-layout").exists() {
            fs::create_dir_all(folder.join("blobs/sha256")).map_err(|e| LayoutError::io(folder, "blobs/sha256", e))?;
            replace(folder, "index.json", &index_text([].into_iter()))?;
            replace(folder, "oci-layout", json!({ "imageLayoutVersion": LAYOUT_VERSION }).to_string().as_bytes())?;
        }
        Self::open(folder)
    }

    /// Opens a layout folder that is there.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        Ok(Self { reader: LayoutReader::open(folder)? })
    }

    /// The folder as a reader sees it now.
    pub fn reader(&self) -> &LayoutReader {
        &self.reader
    }

    /// Writes an image for one platform and puts the tag on it, wherever the tag was before.
    pub fn add_image(
        &mut self,
        repository: &ImageRepository,
        tag: &Tag,
        image: &ImageContent,
    ) -> Result<Digest, LayoutError> {
        self.check_names(std::slice::from_ref(image))?;
        let image = image.build();
        self.put_image(&image)?;
        self.point(repository, tag, &image.manifest)
    }

    /// Writes images for several platforms and puts the tag on the index over them, wherever the tag was before.
    pub fn add_index(
        &mut self,
        repository: &ImageRepository,
        tag: &Tag,
        index: &IndexContent,
    ) -> Result<Digest, LayoutError> {
        self.check_names(&index.images)?;
        let built = index.build();
        for image in built.images.iter().chain(&built.attestations) {
            self.put_image(image)?;
        }
        self.put_blob(&built.index.bytes)?;
        self.point(repository, tag, &built.index)
    }

    /// Writes any document and puts the tag on it, with the media type that is given and without a look at the bytes.
    pub fn add_document(
        &mut self,
        repository: &ImageRepository,
        tag: &Tag,
        document: &Blob,
    ) -> Result<Digest, LayoutError> {
        self.put_blob(&document.bytes)?;
        self.point(repository, tag, document)
    }

    /// Puts a tag on a manifest or index that the folder already holds: this is how a tag moves.
    pub fn set_tag(&mut self, repository: &ImageRepository, tag: &Tag, digest: &Digest) -> Result<(), LayoutError> {
        let missing = || LayoutError::new(self.folder(), LayoutErrorKind::Missing { digest: digest.clone() });
        let bytes = self.reader.blob(digest, MANIFEST_LIMIT)?.ok_or_else(missing)?;
        let document: Value = serde_json::from_slice(&bytes).map_err(|source| {
            LayoutError::new(self.folder(), LayoutErrorKind::Json { file: blob_file(digest), source: source.into() })
        })?;
        let guess = if document.get("manifests").is_some() { OCI_INDEX } else { OCI_MANIFEST };
        let media_type = document.get("mediaType").and_then(Value::as_str).unwrap_or(guess).to_owned();
        self.point(repository, tag, &Blob { media_type, digest: digest.clone(), bytes })?;
        Ok(())
    }

    /// Removes a tag and leaves what it pointed at; says whether there was one.
    pub fn remove_tag(&mut self, repository: &ImageRepository, tag: &Tag) -> Result<bool, LayoutError> {
        let mut entries = self.reader.entries().clone();
        let removed = entries.remove(&format!("{repository}:{tag}")).is_some();
        self.save(&entries)?;
        Ok(removed)
    }

    /// Removes a blob and leaves the tags that lead to it; says whether there was one.
    pub fn remove_blob(&mut self, digest: &Digest) -> Result<bool, LayoutError> {
        let file = blob_file(digest);
        match fs::remove_file(self.folder().join(&file)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(LayoutError::io(self.folder(), file, error)),
        }
    }

    /// Writes bytes under their digest.
    pub fn put_blob(&mut self, bytes: &[u8]) -> Result<Digest, LayoutError> {
        let digest = Digest::of(bytes);
        let file = blob_file(&digest);
        if !self.folder().join(&file).exists() {
            replace(self.folder(), &file, bytes)?;
        }
        Ok(digest)
    }

    fn put_image(&mut self, image: &BuiltImage) -> Result<Digest, LayoutError> {
        for blob in image.blobs() {
            self.put_blob(&blob.bytes)?;
        }
        self.put_blob(&image.manifest.bytes)
    }

    fn folder(&self) -> &Path {
        self.reader.folder()
    }

    fn check_names(&self, images: &[ImageContent]) -> Result<(), LayoutError> {
        match images.iter().find_map(ImageContent::unusable_name) {
            None => Ok(()),
            Some(name) => {
                let reason = format!(
                    "`{}` cannot be the name of a file in a layer",
                    lock_model::escaping::escape_terminal(name)
                );
                Err(LayoutError::new(self.folder(), LayoutErrorKind::Content { reason }))
            }
        }
    }

    fn point(&mut self, repository: &ImageRepository, tag: &Tag, document: &Blob) -> Result<Digest, LayoutError> {
        let entry = LayoutEntry {
            media_type: document.media_type.clone(),
            digest: document.digest.clone(),
            size: u64::try_from(document.bytes.len()).expect("a length in memory fits 64 bits"),
        };
        let mut entries = self.reader.entries().clone();
        entries.insert(format!("{repository}:{tag}"), entry);
        self.save(&entries)?;
        Ok(document.digest.clone())
    }

    fn save(&mut self, entries: &std::collections::BTreeMap<String, LayoutEntry>) -> Result<(), LayoutError> {
        replace(self.folder(), "index.json", &index_text(entries.iter()))?;
        self.reader = LayoutReader::open(self.folder())?;
        Ok(())
    }
}

fn index_text<'a>(entries: impl Iterator<Item = (&'a String, &'a LayoutEntry)>) -> Vec<u8> {
    let manifests: Vec<Value> = entries
        .map(|(reference, entry)| {
            json!({
                "mediaType": entry.media_type,
                "digest": entry.digest,
                "size": entry.size,
                "annotations": { REFERENCE_ANNOTATION: reference },
            })
        })
        .collect();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
    let mut text = serde_json::to_vec_pretty(&index).expect("a JSON value can be written");
    text.push(b'\n');
    text
}

/// Writes a file beside its place and renames it there, so that a reader sees the old or the new bytes.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
    let place: PathBuf = folder.join(name);
    let mut beside = place.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &place)
    };
    write().map_err(|error| LayoutError::io(folder, name, error))
}
