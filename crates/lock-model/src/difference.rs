use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    Content, Exception, Lock, LockedChart, LockedManifests, Origin, Service, ServiceName, ThirdParty, ThirdPartyName,
    ThirdPartySource,
};

/// What differs between two locks; `source` is left out, since it differs always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LockDiff {
    /// The services that differ.
    pub services: BTreeMap<ServiceName, ServiceChange>,
    /// The third parties that differ.
    pub third_party: BTreeMap<ThirdPartyName, ThirdPartyChange>,
    /// The exceptions that only the later lock has.
    pub exceptions_added: Vec<Exception>,
    /// The exceptions that only the earlier lock has.
    pub exceptions_removed: Vec<Exception>,
}

/// How a service differs.
pub type ServiceChange = Change<Service>;

/// How a third party differs.
pub type ThirdPartyChange = Change<ThirdParty>;

/// How an entry of two locks differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change<T> {
    /// Only the later lock has it.
    Added {
        /// The entry of the later lock.
        entry: Box<T>,
    },
    /// Only the earlier lock has it.
    Removed {
        /// The entry of the earlier lock.
        entry: Box<T>,
    },
    /// Both have it, with these differences, in the order of the file.
    Changed {
        /// Each field that differs; at least one.
        fields: Vec<FieldChange>,
    },
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// The field's keys below the entry, such as `git.sha` or `image.platforms.linux/amd64`.
    pub field: String,
    /// Whether the field is part of what the lock pins, so that the id changes with it.
    pub pinned: bool,
    /// The earlier value; absent where the earlier entry has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The later value; absent where the later entry has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl LockDiff {
    /// Whether the locks have the same services, third parties and exceptions.
    pub fn is_empty(&self) -> bool {
        let Self { services, third_party, exceptions_added, exceptions_removed } = self;
        services.is_empty() && third_party.is_empty() && exceptions_added.is_empty() && exceptions_removed.is_empty()
    }

    /// Whether something that is pinned differs: exactly then the ids differ.
    pub fn is_pinned(&self) -> bool {
        self.services.values().any(Change::is_pinned) || self.third_party.values().any(Change::is_pinned)
    }
}

impl<T> Change<T> {
    /// Whether something that is pinned differs.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Added { .. } | Self::Removed { .. } => true,
            Self::Changed { fields } => fields.iter().any(|change| change.pinned),
        }
    }

    /// The change of one field, such as `image.digest`.
    pub fn field(&self, field: &str) -> Option<&FieldChange> {
        match self {
            Self::Added { .. } | Self::Removed { .. } => None,
            Self::Changed { fields } => fields.iter().find(|change| change.field == field),
        }
    }
}

/// Compares two locks: what was added, what was removed, and what exactly changed.
///
/// ```
/// # fn example(before: &lock_model::Lock, after: &lock_model::Lock) {
/// for (name, change) in &lock_model::diff(before, after).services {
///     if let Some(commit) = change.field("git.sha") {
///         println!("{name}: {:?} -> {:?}", commit.before, commit.after);
///     }
/// }
/// # }
/// ```
pub fn diff(before: &Lock, after: &Lock) -> LockDiff {
    let only_in = |one: &Lock, other: &Lock| {
        one.exceptions().iter().filter(|exception| !other.exceptions().contains(exception)).cloned().collect()
    };
    LockDiff {
        services: entries(before.services(), after.services(), service_fields),
        third_party: entries(before.third_party(), after.third_party(), third_party_fields),
        exceptions_added: only_in(after, before),
        exceptions_removed: only_in(before, after),
    }
}

fn entries<N: Ord + Clone, T: Clone + PartialEq>(
    before: &BTreeMap<N, T>,
    after: &BTreeMap<N, T>,
    fields: fn(&T) -> Vec<Field>,
) -> BTreeMap<N, Change<T>> {
    let mut changes = BTreeMap::new();
    for (name, earlier) in before {
        let change = match after.get(name) {
            None => Change::Removed { entry: Box::new(earlier.clone()) },
            Some(later) if later == earlier => continue,
            Some(later) => Change::Changed { fields: changed(fields(earlier), fields(later)) },
        };
        changes.insert(name.clone(), change);
    }
    for (name, later) in after {
        if !before.contains_key(name) {
            changes.insert(name.clone(), Change::Added { entry: Box::new(later.clone()) });
        }
    }
    changes
}

/// A field of an entry, with its place in the file's order.
struct Field {
    rank: usize,
    name: String,
    value: String,
    pinned: bool,
}

#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn pinned(&mut self, rank: usize, name: &str, value: &str) {
        self.0.push(Field { rank, name: name.to_owned(), value: value.to_owned(), pinned: true });
    }

    fn described(&mut self, rank: usize, name: impl Into<String>, value: impl Into<String>) {
        self.0.push(Field { rank, name: name.into(), value: value.into(), pinned: false });
    }
}

fn changed(before: Vec<Field>, after: Vec<Field>) -> Vec<FieldChange> {
    let mut pairs = BTreeMap::new();
    for Field { rank, name, value, pinned } in before {
        let change = FieldChange { field: name.clone(), pinned, before: Some(value), after: None };
        pairs.insert((rank, name), change);
    }
    for Field { rank, name, value, pinned } in after {
        let change = FieldChange { field: name.clone(), pinned, before: None, after: None };
        pairs.entry((rank, name)).or_insert(change).after = Some(value);
    }
    pairs.into_values().filter(|change| change.before != change.after).collect()
}

fn service_fields(service: &Service) -> Vec<Field> {
    let Service { path, git, content, metadata, origin } = service;
    let mut fields = Fields::default();
    fields.pinned(0, "kind", content.kind());
    fields.pinned(1, "path", path.as_str());
    fields.described(2, "git.url", git.url.as_str());
    fields.pinned(3, "git.sha", git.commit.as_str());
    if let Content::Image(image) = content {
        fields.pinned(4, "image.repository", image.repository.as_str());
        fields.pinned(5, "image.tag", image.tag.as_str());
        fields.pinned(6, "image.digest", image.digest.as_str());
        for (platform, digest) in &image.platforms {
            fields.described(7, format!("image.platforms.{platform}"), digest.as_str());
        }
        fields.described(8, "image.created", image.created);
        fields.described(9, "image.created_from", image.created_from.as_str());
        fields.described(10, "image.revision", image.revision.as_str());
    }
    if let Some(metadata) = metadata {
        fields.described(11, "metadata.version", metadata.version.as_str());
        for file in &metadata.api {
            let value = format!("{} {}", file.kind, file.digest);
            fields.described(12, format!("metadata.api.{}", file.path), value);
        }
    }
    match origin {
        Origin::Resolved => {}
        Origin::Migrated => fields.described(13, "origin", origin.as_str()),
    }
    fields.0
}

fn third_party_fields(entry: &ThirdParty) -> Vec<Field> {
    let ThirdParty { source, images } = entry;
    let mut fields = Fields::default();
    match source {
        ThirdPartySource::Chart(LockedChart { reference, version, digest }) => {
            fields.described(0, "chart.reference", reference.as_str());
            fields.described(1, "chart.version", version.as_str());
            fields.pinned(2, "chart.digest", digest.as_str());
        }
        ThirdPartySource::Manifests(LockedManifests { service, path, digest }) => {
            fields.described(3, "manifests.service", service.as_str());
            fields.described(4, "manifests.path", path.as_str());
            fields.pinned(5, "manifests.digest", digest.as_str());
        }
    }
    for (repository, digest) in images {
        fields.pinned(6, &format!("images.{repository}"), digest.as_str());
    }
    fields.0
}
