use serde_json::{Map, Value, json};

use crate::{Content, LockId, LockParts, Service, ThirdParty, ThirdPartySource, tagged_digest};

/// The line that sets lock ids apart from other digests over canonical JSON.
const TAG: &str = "orchestrator.lock.v1";

/// Computes the id: a digest over what the lock pins and nothing else.
pub(crate) fn lock_id(parts: &LockParts) -> LockId {
    let services: Map<String, Value> =
        parts.services.iter().map(|(name, service)| (name.to_string(), service_identity(service))).collect();
    let third_party: Map<String, Value> =
        parts.third_party.iter().map(|(name, entry)| (name.to_string(), third_party_identity(entry))).collect();
    tagged_digest(TAG, &json!({ "services": services, "third_party": third_party }))
        .expect("the identity holds only strings and objects")
        .into()
}

fn service_identity(service: &Service) -> Value {
    let kind = service.content.kind();
    let git = json!({ "sha": service.git.sha });
    match &service.content {
        Content::Image(image) => json!({
            "git": git,
            "image": { "digest": image.digest, "repository": image.repository, "tag": image.tag },
            "kind": kind,
            "path": service.path,
        }),
        Content::Configuration => json!({ "git": git, "kind": kind, "path": service.path }),
    }
}

fn third_party_identity(entry: &ThirdParty) -> Value {
    let images: Map<String, Value> =
        entry.images.iter().map(|(repository, digest)| (repository.to_string(), json!(digest))).collect();
    match &entry.source {
        ThirdPartySource::Chart { digest, .. } => json!({ "chart": { "digest": digest }, "images": images }),
        ThirdPartySource::Manifests { digest, .. } => json!({ "manifests": { "digest": digest }, "images": images }),
    }
}
