use std::collections::BTreeMap;

use super::format::{ServiceKind, WireLock, WireOrigin, WireService, WireThirdParty};
use crate::{Content, LockParts, Origin, Problem, Service, ThirdParty, ThirdPartySource};

/// The key at fault, and what is wrong there.
type Incomplete = (&'static str, &'static str);

impl WireLock {
    /// Makes the types of every alternative: each complete, and only one. Finds all that are not.
    pub(crate) fn into_parts(self) -> Result<LockParts, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut parts = LockParts::new(self.source);
        parts.services = checked("services", self.services, WireService::check, &mut problems);
        parts.third_party = checked("third_party", self.third_party, WireThirdParty::check, &mut problems);
        parts.exceptions = self.exceptions;
        if problems.is_empty() { Ok(parts) } else { Err(problems) }
    }
}

fn checked<K: Ord + AsRef<str>, W, T>(
    section: &str,
    entries: BTreeMap<K, W>,
    check: fn(W) -> Result<T, Incomplete>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<K, T> {
    let mut complete = BTreeMap::new();
    for (name, entry) in entries {
        match check(entry) {
            Ok(entry) => drop(complete.insert(name, entry)),
            Err((key, message)) => problems.push(Problem::at_keys(&[section, name.as_ref(), key], message)),
        }
    }
    complete
}

impl WireService {
    fn check(self) -> Result<Service, Incomplete> {
        let Self { kind, path, git, image, metadata, origin } = self;
        let content = match (kind, image) {
            (ServiceKind::Image, Some(image)) => Content::Image(image),
            (ServiceKind::Configuration, None) => Content::Configuration,
            (ServiceKind::Image, None) => return Err(("kind", "a service of kind `image` has an `image`")),
            (ServiceKind::Configuration, Some(_)) => {
                return Err(("image", "a service of kind `configuration` has no image"));
            }
        };
        let origin = match origin {
            None => Origin::Resolved,
            Some(WireOrigin::Migrated) => Origin::Migrated,
        };
        Ok(Service { path, git, content, metadata, origin })
    }
}

impl WireThirdParty {
    fn check(self) -> Result<ThirdParty, Incomplete> {
        let source = match (self.chart, self.manifests) {
            (Some(chart), None) => ThirdPartySource::Chart(chart),
            (None, Some(manifests)) => ThirdPartySource::Manifests(manifests),
            (None, None) => return Err(("chart", "a third party has a `chart` or `manifests`")),
            (Some(_), Some(_)) => return Err(("manifests", "a third party has a `chart` or `manifests`, not both")),
        };
        Ok(ThirdParty { source, images: self.images })
    }
}
