use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Content, Digest, ErrorClass, ImageRepository, LockParts, LockedManifests, Problem, ServiceName, Tag,
    ThirdPartySource, TreePath,
};

/// The largest pull request number that every JSON reader keeps exactly.
pub(crate) const MAX_PULL_REQUEST: u64 = (1 << 53) - 1;

/// Parts that contradict each other; all contradictions at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", crate::one_per_line(problems))]
pub struct LockError {
    problems: Vec<Problem>,
}

impl LockError {
    /// The contradictions, in the order of the lock file; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Finds every contradiction between the parts.
pub(crate) fn check(parts: &LockParts) -> Result<(), LockError> {
    let mut problems = Problems::default();
    if parts.source.pull_request.is_some_and(|number| number == 0 || number > MAX_PULL_REQUEST) {
        problems.add(&["source", "pull_request"], &format!("a number from 1 to {MAX_PULL_REQUEST} is expected"));
    }
    check_paths(parts, &mut problems);
    check_tags(parts, &mut problems);
    for (name, service) in &parts.services {
        let mut files = BTreeSet::new();
        for (index, file) in service.metadata.iter().flat_map(|metadata| &metadata.api).enumerate() {
            if !files.insert(&file.path) {
                let at = ["services", name.as_str(), "metadata", "api", &index.to_string(), "path"];
                problems.add(&at, &format!("`{}` is listed twice", file.path));
            }
        }
    }
    for (name, entry) in &parts.third_party {
        if let ThirdPartySource::Manifests(LockedManifests { service, .. }) = &entry.source
            && !parts.services.contains_key(service)
        {
            let at = ["third_party", name.as_str(), "manifests", "service"];
            problems.add(&at, &format!("`{service}` is not a service of this lock"));
        }
    }
    let mut excepted = BTreeSet::new();
    for (index, exception) in parts.exceptions.iter().enumerate() {
        if !excepted.insert((&exception.kind, &exception.subject)) {
            let at = ["exceptions", &index.to_string(), "subject"];
            problems.add(&at, &format!("`{}` is excepted twice as `{}`", exception.subject, exception.kind));
        }
    }
    if problems.0.is_empty() { Ok(()) } else { Err(LockError { problems: problems.0 }) }
}

/// A tree has one gitlink at a path and nothing below it.
fn check_paths(parts: &LockParts, problems: &mut Problems) {
    let mut owners: BTreeMap<&str, &ServiceName> = BTreeMap::new();
    for (name, service) in &parts.services {
        if let Some(first) = owners.insert(service.path.as_str(), name) {
            problems.add(&service_key(name, "path"), &format!("`{}` is the path of `{first}` as well", service.path));
        }
    }
    for (name, service) in &parts.services {
        if let Some((outer, path)) = outer_owner(&owners, &service.path) {
            let text = format!("`{}` lies inside `{path}`, the path of `{outer}`", service.path);
            problems.add(&service_key(name, "path"), &text);
        }
    }
}

fn outer_owner<'a>(
    owners: &BTreeMap<&'a str, &'a ServiceName>,
    path: &'a TreePath,
) -> Option<(&'a ServiceName, &'a str)> {
    let path = path.as_str();
    path.match_indices('/').find_map(|(end, _)| {
        let outer = path.get(..end)?;
        owners.get(outer).map(|&name| (name, outer))
    })
}

/// A tag of a repository had one digest when the lock was made.
fn check_tags(parts: &LockParts, problems: &mut Problems) {
    let mut seen: BTreeMap<(&ImageRepository, &Tag), (&ServiceName, &Digest)> = BTreeMap::new();
    for (name, service) in &parts.services {
        let Content::Image(image) = &service.content else { continue };
        let (first, digest) = *seen.entry((&image.repository, &image.tag)).or_insert((name, &image.digest));
        if *digest != image.digest {
            let at = ["services", name.as_str(), "image", "digest"];
            let reference = image.reference().without_digest();
            let text = format!("`{reference}` has another digest in `{first}`: `{digest}`");
            problems.add(&at, &text);
        }
    }
}

fn service_key<'a>(name: &'a ServiceName, field: &'a str) -> [&'a str; 3] {
    ["services", name.as_str(), field]
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, keys: &[&str], message: &str) {
        self.0.push(Problem::at_keys(keys, message));
    }
}
