//! From the flat structs to the domain: every alternative complete, and only one.

use std::collections::BTreeMap;

use super::format::{
    ServiceKind, WireChart, WireImage, WireLock, WireManifests, WireMetadata, WireOrigin, WireService, WireSource,
    WireThirdParty,
};
use crate::{
    Content, GitSource, LockParts, LockProblem, LockedImage, LockedMetadata, Origin, Service, Source, ThirdParty,
    ThirdPartySource,
};

impl WireLock {
    /// Joins the alternatives into their types; all that are incomplete or too much at once.
    pub(crate) fn into_parts(self) -> Result<LockParts, Vec<LockProblem>> {
        let WireSource { repository, pull_request, head, base, tree } = self.source;
        let mut problems = Vec::new();
        let mut services = BTreeMap::new();
        for (name, service) in self.services {
            match service.check() {
                Ok(service) => drop(services.insert(name, service)),
                Err((key, message)) => problems.push(LockProblem::new(&["services", name.as_str(), key], message)),
            }
        }
        let mut third_party = BTreeMap::new();
        for (name, entry) in self.third_party {
            match entry.check() {
                Ok(entry) => drop(third_party.insert(name, entry)),
                Err((key, message)) => {
                    problems.push(LockProblem::new(&["third_party", name.as_str(), key], message));
                }
            }
        }
        if problems.is_empty() {
            let source = Source { repository, pull_request, head, base, tree };
            Ok(LockParts { source, services, third_party, exceptions: self.exceptions })
        } else {
            Err(problems)
        }
    }
}

impl WireService {
    fn check(self) -> Result<Service, (&'static str, &'static str)> {
        let content = match (self.kind, self.image) {
            (ServiceKind::Image, Some(image)) => {
                let WireImage { repository, tag, digest, platforms, created, created_from, revision } = image;
                Content::Image(LockedImage { repository, tag, digest, platforms, created, created_from, revision })
            }
            (ServiceKind::Configuration, None) => Content::Configuration,
            (ServiceKind::Image, None) => return Err(("kind", "a service of kind `image` has an `image`")),
            (ServiceKind::Configuration, Some(_)) => {
                return Err(("image", "a service of kind `configuration` has no image"));
            }
        };
        Ok(Service {
            path: self.path,
            git: GitSource { url: self.git.url, sha: self.git.sha },
            content,
            metadata: self.metadata.map(|WireMetadata { version, api }| LockedMetadata { version, api }),
            origin: match self.origin {
                None => Origin::Resolved,
                Some(WireOrigin::Migrated) => Origin::Migrated,
            },
        })
    }
}

impl WireThirdParty {
    fn check(self) -> Result<ThirdParty, (&'static str, &'static str)> {
        let source = match (self.chart, self.manifests) {
            (Some(WireChart { reference, version, digest }), None) => {
                ThirdPartySource::Chart { reference, version, digest }
            }
            (None, Some(WireManifests { service, path, digest })) => {
                ThirdPartySource::Manifests { service, path, digest }
            }
            (None, None) => return Err(("chart", "a third party has a `chart` or `manifests`")),
            (Some(_), Some(_)) => {
                return Err(("manifests", "a third party has a `chart` or `manifests`, not both"));
            }
        };
        Ok(ThirdParty { source, images: self.images })
    }
}
