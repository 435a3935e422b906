use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{LockId, LockParts, Service, ThirdParty, ThirdPartySource, tagged_digest};

/// The line that sets lock ids apart from other digests over canonical JSON.
const TAG: &str = "orchestrator.lock.v1";

/// Computes the id: a digest over what the lock pins and nothing else.
pub(crate) fn lock_id(parts: &LockParts) -> LockId {
    let services: BTreeMap<_, _> = parts.services.iter().map(|(name, service)| (name, pinned(service))).collect();
    let third_party: BTreeMap<_, _> =
        parts.third_party.iter().map(|(name, entry)| (name, pinned_third_party(entry))).collect();
    let identity = json!({ "services": services, "third_party": third_party });
    tagged_digest(TAG, &identity).expect("the identity holds only strings and objects").into()
}

fn pinned(service: &Service) -> Value {
    let Service { path, git, content, .. } = service;
    let mut identity = json!({ "git": { "sha": git.commit }, "kind": content.kind(), "path": path });
    if let Some(image) = content.image() {
        identity["image"] = json!({ "digest": image.digest, "repository": image.repository, "tag": image.tag });
    }
    identity
}

fn pinned_third_party(entry: &ThirdParty) -> Value {
    let ThirdParty { source, images } = entry;
    match source {
        ThirdPartySource::Chart(chart) => json!({ "chart": { "digest": chart.digest }, "images": images }),
        ThirdPartySource::Manifests(manifests) => {
            json!({ "images": images, "manifests": { "digest": manifests.digest } })
        }
    }
}
