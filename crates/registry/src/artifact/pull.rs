use std::time::Instant;

use futures_util::future::try_join_all;
use lock_model::{Digest, ImageRepository};

use super::content::{Part, Pulled};
use super::document::{Descriptor, Manifest};
use super::store::{Name, Store};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::layout::Blob;
use crate::registry::Registry;

impl Registry {
    /// Fetches an artefact by its digest: manifest, configuration and blobs, each hashed and measured.
    ///
    /// Everything comes from the repository: addresses elsewhere that the manifest may name are never looked at.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn pull_artifact(
        &self,
        repository: &ImageRepository,
        digest: &Digest,
        deadline: Instant,
    ) -> Result<Pulled, RegistryError> {
        let pulled = async {
            let store = Store::new(self, repository, deadline)?;
            let (_, document) = store.manifest(Name::Digest(digest)).await?.ok_or(RegistryErrorKind::Missing)?;
            let manifest = Manifest::parse(&document)?;
            let promised: u64 = manifest.layers.iter().map(|layer| layer.size).fold(0, u64::saturating_add);
            let limit = store.limits.blob;
            if promised > limit {
                return Err(RegistryErrorKind::TooLarge { limit });
            }
            let config = fetch(&store, &manifest.config).await?;
            let parts = try_join_all(manifest.layers.iter().map(|layer| async {
                let blob = fetch(&store, layer).await?;
                Ok::<_, RegistryErrorKind>(Part { blob, annotations: layer.annotations.clone().unwrap_or_default() })
            }));
            let parts = parts.await?;
            Ok(Pulled {
                digest: digest.clone(),
                artifact_type: manifest.artifact_type.unwrap_or(manifest.config.media_type),
                config,
                parts,
                annotations: manifest.annotations.unwrap_or_default(),
                subject: manifest.subject.map(|subject| subject.digest),
            })
        };
        pulled.await.map_err(|kind| self.failed(repository, format!("{repository}@{digest}"), kind))
    }
}

async fn fetch(store: &Store<'_>, descriptor: &Descriptor) -> Result<Blob, RegistryErrorKind> {
    let Descriptor { media_type, digest, size, .. } = descriptor;
    let bytes = store.blob(digest, *size).await?;
    Ok(Blob { media_type: media_type.clone(), digest: digest.clone(), bytes })
}
