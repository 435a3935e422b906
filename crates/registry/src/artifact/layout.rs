use std::time::Instant;

use lock_model::{Digest, ImageRepository, Tag};
use serde::Deserialize;

use super::content::Pushed;
use super::push::put_manifest;
use super::store::{Name, Store};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::layout::{Blob, LayoutReader};
use crate::media_type::DocumentKind;
use crate::registry::Registry;

/// Indexes in indexes, down from the tag.
const DEEPEST: u32 = 4;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    manifests: Vec<Entry>,
    config: Option<Entry>,
    #[serde(default)]
    layers: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: String,
    digest: Digest,
}

impl Registry {
    /// Puts what a tag of a layout folder stands for under the same name into the registry, every byte as it is: an image
    /// or an index with everything below it. What is there already is not sent again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn push_layout(
        &self,
        layout: &LayoutReader,
        repository: &ImageRepository,
        tag: &Tag,
        deadline: Instant,
    ) -> Result<Pushed, RegistryError> {
        let pushed = async {
            let store = Store::new(self, repository, deadline)?;
            let entry = layout.entry(repository, tag).ok_or(RegistryErrorKind::Missing)?;
            let mut sent = 0;
            let top = read(layout, &store, &entry.digest, &entry.media_type)?;
            send_below(layout, &store, &top, DEEPEST, &mut sent).await?;
            sent += usize::from(put_manifest(&store, Name::Tag(tag), &top).await?.is_some());
            Ok(Pushed { digest: top.digest, sent, listed_by: None })
        };
        pushed.await.map_err(|kind| RegistryError::new(format!("{repository}:{tag}"), kind))
    }
}

/// Sends everything that a document refers to, so that it can come itself.
async fn send_below(
    layout: &LayoutReader,
    store: &Store<'_>,
    document: &Blob,
    levels: u32,
    sent: &mut usize,
) -> Result<(), RegistryErrorKind> {
    let refused = |reason| RegistryErrorKind::NotAnArtifact { reason };
    let Document { manifests, config, layers } = serde_json::from_slice(&document.bytes)
        .map_err(|error| refused(format!("`{}` is not a manifest ({error})", document.digest)))?;
    if levels == 0 {
        return Err(refused("its indexes lie too deep in each other".to_owned()));
    }
    for entry in layers.iter().chain(&config) {
        // One after the other: layers are large, and only one is in memory at a time.
        let blob = read(layout, store, &entry.digest, &entry.media_type)?;
        *sent += usize::from(store.put_blob(&blob).await?);
    }
    for entry in manifests {
        let child = read(layout, store, &entry.digest, &entry.media_type)?;
        if DocumentKind::of(&child.media_type).is_some() {
            Box::pin(send_below(layout, store, &child, levels - 1, sent)).await?;
            *sent += usize::from(put_manifest(store, Name::Digest(&child.digest), &child).await?.is_some());
        } else {
            return Err(refused(format!("its entry `{}` is neither a manifest nor an index", child.digest)));
        }
    }
    Ok(())
}

fn read(
    layout: &LayoutReader,
    store: &Store<'_>,
    digest: &Digest,
    media_type: &str,
) -> Result<Blob, RegistryErrorKind> {
    let bytes = layout.blob(digest, store.limits.blob)?;
    let bytes =
        bytes.ok_or_else(|| RegistryErrorKind::ChildMissing { what: "blob".to_owned(), digest: digest.clone() })?;
    Ok(Blob { media_type: media_type.to_owned(), digest: digest.clone(), bytes })
}
