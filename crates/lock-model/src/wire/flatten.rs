//! From the domain to the flat structs.

use serde::{Serialize, Serializer};

use super::LOCK_VERSION;
use super::format::{
    ServiceKind, WireChart, WireGit, WireImage, WireLock, WireManifests, WireMetadata, WireOrigin, WireService,
    WireSource, WireThirdParty,
};
use crate::{
    Content, GitSource, Lock, LockedImage, LockedMetadata, Origin, Service, Source, ThirdParty, ThirdPartySource,
};

impl Serialize for Lock {
    /// The same keys in the same order as in the lock file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireLock::from(self).serialize(serializer)
    }
}

impl Serialize for Service {
    /// The same keys in the same order as in the lock file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireService::from(self).serialize(serializer)
    }
}

impl Serialize for ThirdParty {
    /// The same keys in the same order as in the lock file.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireThirdParty::from(self).serialize(serializer)
    }
}

impl From<&Lock> for WireLock {
    fn from(lock: &Lock) -> Self {
        let Source { repository, pull_request, head, base, tree } = lock.source().clone();
        Self {
            version: LOCK_VERSION,
            id: lock.id().clone(),
            source: WireSource { repository, pull_request, head, base, tree },
            services: lock.services().iter().map(|(name, service)| (name.clone(), service.into())).collect(),
            third_party: lock.third_party().iter().map(|(name, entry)| (name.clone(), entry.into())).collect(),
            exceptions: lock.exceptions().to_vec(),
        }
    }
}

impl From<&Service> for WireService {
    fn from(service: &Service) -> Self {
        let Service { path, git: GitSource { url, sha }, content, metadata, origin } = service.clone();
        let (kind, image) = match content {
            Content::Image(image) => (ServiceKind::Image, Some(image.into())),
            Content::Configuration => (ServiceKind::Configuration, None),
        };
        Self {
            kind,
            path,
            git: WireGit { url, sha },
            image,
            metadata: metadata.map(|LockedMetadata { version, api }| WireMetadata { version, api }),
            origin: match origin {
                Origin::Resolved => None,
                Origin::Migrated => Some(WireOrigin::Migrated),
            },
        }
    }
}

impl From<LockedImage> for WireImage {
    fn from(image: LockedImage) -> Self {
        let LockedImage { repository, tag, digest, platforms, created, created_from, revision } = image;
        Self { repository, tag, digest, platforms, created, created_from, revision }
    }
}

impl From<&ThirdParty> for WireThirdParty {
    fn from(entry: &ThirdParty) -> Self {
        let ThirdParty { source, images } = entry.clone();
        let (chart, manifests) = match source {
            ThirdPartySource::Chart { reference, version, digest } => {
                (Some(WireChart { reference, version, digest }), None)
            }
            ThirdPartySource::Manifests { service, path, digest } => {
                (None, Some(WireManifests { service, path, digest }))
            }
        };
        Self { chart, manifests, images }
    }
}
