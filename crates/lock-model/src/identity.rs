use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    CommitId, Digest, ImageRepository, LockId, LockParts, Service, ServiceName, Tag, ThirdParty, ThirdPartyName,
    ThirdPartySource, TreePath, tagged_digest,
};

/// The line that sets lock ids apart from other digests over canonical JSON.
const TAG: &str = "orchestrator.lock.v1";

/// Computes the id: a digest over what the lock pins and nothing else.
pub(crate) fn lock_id(parts: &LockParts) -> LockId {
    let identity = Identity {
        services: parts.services.iter().map(|(name, service)| (name, service.into())).collect(),
        third_party: parts.third_party.iter().map(|(name, entry)| (name, entry.into())).collect(),
    };
    tagged_digest(TAG, &identity).expect("the identity holds only strings and objects").into()
}

/// What a lock pins; both keys are always there.
#[derive(Serialize)]
struct Identity<'a> {
    services: BTreeMap<&'a ServiceName, ServiceIdentity<'a>>,
    third_party: BTreeMap<&'a ThirdPartyName, ThirdPartyIdentity<'a>>,
}

#[derive(Serialize)]
struct ServiceIdentity<'a> {
    git: GitIdentity<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageIdentity<'a>>,
    kind: &'static str,
    path: &'a TreePath,
}

#[derive(Serialize)]
struct GitIdentity<'a> {
    sha: &'a CommitId,
}

#[derive(Serialize)]
struct ImageIdentity<'a> {
    digest: &'a Digest,
    repository: &'a ImageRepository,
    tag: &'a Tag,
}

/// A chart or manifests, and always the images.
#[derive(Serialize)]
struct ThirdPartyIdentity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<DigestIdentity<'a>>,
    images: &'a BTreeMap<ImageRepository, Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<DigestIdentity<'a>>,
}

#[derive(Serialize)]
struct DigestIdentity<'a> {
    digest: &'a Digest,
}

impl<'a> From<&'a Service> for ServiceIdentity<'a> {
    fn from(service: &'a Service) -> Self {
        let image = service.content.image().map(|image| ImageIdentity {
            digest: &image.digest,
            repository: &image.repository,
            tag: &image.tag,
        });
        Self { git: GitIdentity { sha: &service.git.commit }, image, kind: service.content.kind(), path: &service.path }
    }
}

impl<'a> From<&'a ThirdParty> for ThirdPartyIdentity<'a> {
    fn from(entry: &'a ThirdParty) -> Self {
        let (chart, manifests) = match &entry.source {
            ThirdPartySource::Chart(chart) => (Some(DigestIdentity { digest: &chart.digest }), None),
            ThirdPartySource::Manifests(manifests) => (None, Some(DigestIdentity { digest: &manifests.digest })),
        };
        Self { chart, images: &entry.images, manifests }
    }
}
