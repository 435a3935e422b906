use std::time::Instant;

use futures_util::future::try_join_all;
use lock_model::{Digest, ImageRepository, Tag};

use super::content::{Artifact, Pushed, ReferrersBy};
use super::document::descriptor;
use super::store::{Name, Store};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::layout::Blob;
use crate::registry::Registry;

impl Registry {
    /// Puts an artefact into a repository, under a tag or by its digest alone. What is there already is not sent again.
    ///
    /// A subject must be there; the artefact is listed among its referrers, by the registry or under the subject's tag
    /// (see [the module](crate::artifact)).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn push_artifact(
        &self,
        repository: &ImageRepository,
        tag: Option<&Tag>,
        artifact: &Artifact,
        deadline: Instant,
    ) -> Result<Pushed, RegistryError> {
        let pushed = async {
            if let Some(reason) = artifact.unusable() {
                return Err(RegistryErrorKind::NotAnArtifact { reason });
            }
            let store = Store::new(self, repository, deadline)?;
            let subject = match &artifact.subject {
                None => None,
                Some(digest) => {
                    let missing =
                        || RegistryErrorKind::ChildMissing { what: "subject".to_owned(), digest: digest.clone() };
                    let (_, document) = store.manifest(Name::Digest(digest)).await?.ok_or_else(missing)?;
                    Some((digest, descriptor(digest, &document)?))
                }
            };
            let (manifest, blobs) = artifact.build(subject.as_ref().map(|(_, descriptor)| descriptor));
            // As many at once as the host takes.
            let were_sent = try_join_all(blobs.iter().map(|blob| store.put_blob(blob))).await?;
            let mut sent = were_sent.into_iter().filter(|sent| *sent).count();
            let name = tag.map_or(Name::Digest(&manifest.digest), Name::Tag);
            let headers = put_manifest(&store, name, &manifest).await?;
            sent += usize::from(headers.is_some());
            let Some((subject, _)) = subject else {
                return Ok(Pushed { digest: manifest.digest, sent, listed_by: None });
            };
            // A registry that keeps the list says so with its answer; one that had the manifest already is asked.
            let announced = headers
                .is_some_and(|headers| headers.get("oci-subject").is_some_and(|reported| reported == subject.as_str()));
            let listed_by = if announced || store.referrers(subject).await?.is_some() {
                ReferrersBy::Registry
            } else {
                sent += usize::from(self.enlist(&store, subject, &manifest.digest, artifact.entry(&manifest)).await?);
                ReferrersBy::Tag
            };
            Ok(Pushed { digest: manifest.digest, sent, listed_by: Some(listed_by) })
        };
        let reference = tag.map_or_else(|| repository.to_string(), |tag| format!("{repository}:{tag}"));
        pushed.await.map_err(|kind| self.failed(repository, reference, kind))
    }
}

/// Puts a manifest or an index, unless the name stands for it already; gives the headers of the answer.
pub(super) async fn put_manifest(
    store: &Store<'_>,
    name: Name<'_>,
    document: &Blob,
) -> Result<Option<reqwest::header::HeaderMap>, RegistryErrorKind> {
    // By its bytes, and not by what a header says about them: a push that is left out cannot be made up for.
    if store.manifest(name).await?.is_some_and(|(digest, _)| digest == document.digest) {
        return Ok(None);
    }
    store.put_manifest(name, document).await.map(Some)
}

/// The tag under which clients keep the list of what refers to a digest.
pub(super) fn list_tag(subject: &Digest) -> Tag {
    Tag::try_from(format!("sha256-{}", subject.hex())).expect("letters, digits and a hyphen are a tag")
}
