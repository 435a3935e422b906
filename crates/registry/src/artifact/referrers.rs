use std::time::Instant;

use lock_model::{Digest, ImageRepository};
use serde_json::Value;

use super::content::Referrer;
use super::document::List;
use super::push::list_tag;
use super::store::{Name, Store};
use crate::error::{RegistryError, RegistryErrorKind};
use crate::registry::Registry;

/// How often the list under a tag is written anew because another client was faster.
const ROUNDS: u32 = 5;

impl Registry {
    /// What refers to a manifest or an index, of one type or of all, sorted by type and digest: from the registry's own
    /// list, or where it keeps none from the one under the tag `sha256-HEX`. A subject that does not exist has none.
    ///
    /// A registry that gives no answer is an error, never an empty list.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time and IO enabled, unless a layout folder answers.
    pub async fn referrers(
        &self,
        repository: &ImageRepository,
        subject: &Digest,
        artifact_type: Option<&str>,
        deadline: Instant,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let listed = async {
            let store = Store::new(self, repository, deadline)?;
            let lists = match store.referrers(subject).await? {
                Some(pages) => pages.iter().map(List::parse).collect::<Result<Vec<_>, _>>()?,
                None => vec![list_under_tag(&store, subject).await?.1],
            };
            Ok(lists.into_iter().flat_map(List::into_referrers))
        };
        let listed = listed.await.map_err(|kind| self.failed(repository, format!("{repository}@{subject}"), kind))?;
        // Registries need not understand the question for one type, and may say so or not.
        let wanted =
            |referrer: &Referrer| artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted));
        let mut referrers: Vec<Referrer> = listed.filter(wanted).collect();
        referrers.sort_by(|a, b| (&a.artifact_type, &a.digest).cmp(&(&b.artifact_type, &b.digest)));
        referrers.dedup();
        Ok(referrers)
    }

    /// Adds an entry to the list under a subject's tag; `false` when it is there already.
    pub(super) async fn enlist(
        &self,
        store: &Store<'_>,
        subject: &Digest,
        digest: &Digest,
        entry: Value,
    ) -> Result<bool, RegistryErrorKind> {
        let tag = list_tag(subject);
        let _turn = self.list_turn().await;
        let mut written = false;
        for round in 0..ROUNDS {
            let (before, list) = list_under_tag(store, subject).await?;
            if list.contains(digest) {
                return Ok(written);
            }
            let list = list.with(entry.clone());
            // The shorter the time between the look and the write, the less can be lost in it.
            let now = store.manifest(Name::Tag(&tag)).await?.map(|(digest, _)| digest);
            if now == before {
                store.put_manifest(Name::Tag(&tag), &list).await?;
                written = true;
                if list_under_tag(store, subject).await?.1.contains(digest) {
                    return Ok(true);
                }
            }
            store.rest(round).await;
        }
        Err(RegistryErrorKind::ListChanged { tag: tag.to_string(), rounds: ROUNDS })
    }
}

/// The list that clients keep, with its digest; empty when there is none.
async fn list_under_tag(store: &Store<'_>, subject: &Digest) -> Result<(Option<Digest>, List), RegistryErrorKind> {
    match store.manifest(Name::Tag(&list_tag(subject))).await? {
        None => Ok((None, List::empty())),
        Some((digest, document)) => Ok((Some(digest), List::parse(&document)?)),
    }
}
