//! Images that are made here, put into a registry and taken away again.

use std::time::Instant;

use futures_util::future::try_join_all;
use lock_model::{Digest, ImageRepository, Tag};

use super::content::Pushed;
use super::push::put_manifest;
use super::store::{Name, Store};
use crate::error::RegistryError;
use crate::layout::BuiltImage;
use crate::registry::Registry;

impl Registry {
    /// Puts an image for one platform under a tag, wherever the tag was before. What is there already is not sent again.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn push_image(
        &self,
        repository: &ImageRepository,
        tag: &Tag,
        image: &BuiltImage,
        deadline: Instant,
    ) -> Result<Pushed, RegistryError> {
        let pushed = async {
            let store = Store::new(self, repository, deadline)?;
            let were_sent = try_join_all(image.blobs().map(|blob| store.put_blob(blob))).await?;
            let blobs = were_sent.into_iter().filter(|sent| *sent).count();
            let headers = put_manifest(&store, Name::Tag(tag), &image.manifest).await?;
            let sent = blobs + usize::from(headers.is_some());
            Ok(Pushed { digest: image.manifest.digest.clone(), sent, listed_by: None })
        };
        pushed.await.map_err(|kind| self.failed(repository, format!("{repository}:{tag}"), kind))
    }

    /// Takes a manifest or an index away, with every tag that leads to it; `false` where there is none.
    ///
    /// Blobs stay until the registry collects them. A registry that lets no client delete answers with an error.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn delete_manifest(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<bool, RegistryError> {
        let deleted = async { Store::new(self, repository, deadline)?.delete_manifest(digest).await };
        deleted.await.map_err(|kind| self.failed(repository, format!("{repository}@{digest}"), kind))
    }
}
