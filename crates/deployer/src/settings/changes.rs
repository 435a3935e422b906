//! What a plan changes of settings, key by key.

use std::collections::{BTreeMap, BTreeSet};

use cluster::Object;
use lock_model::ServiceName;
use serde_json::{Map, Value};

use super::Part;
use super::versions::{PlannedSettings, Version};
use crate::diff::{ChangeReason, FieldChange, Masking, ObjectChange};

impl PlannedSettings {
    /// Hides what a plan must not show.
    pub(crate) fn masking(&self) -> Masking {
        Masking::new(self.key.clone(), &self.secrets)
    }

    /// The settings of a service that are others than those of the deployment before: values of configuration, markers of
    /// secrets.
    pub(crate) fn object_changes(
        &self,
        service: &ServiceName,
        masking: &Masking,
    ) -> (BTreeSet<ChangeReason>, Vec<ObjectChange>) {
        let (mut reasons, mut changes) = (BTreeSet::new(), Vec::new());
        for version in self.versions.iter().filter(|version| version.service == *service && version.is_other) {
            reasons.insert(version.part.reason());
            changes.push(change(version, masking));
        }
        (reasons, changes)
    }

    /// The names of all versions of a service, and why a change to one of them changes the service.
    pub(crate) fn named_reasons(&self, service: &ServiceName) -> Vec<(String, ChangeReason)> {
        let own = self.versions.iter().filter(|version| version.service == *service);
        own.map(|version| (version.object.key().name.clone(), version.part.reason())).collect()
    }
}

impl Part {
    fn reason(self) -> ChangeReason {
        match self {
            Self::Config => ChangeReason::Configuration,
            Self::Secret => ChangeReason::Secrets,
        }
    }
}

/// Markers on both sides: the value of before may be in force as well, and nothing but the object itself knows it.
fn marked(change: FieldChange, masking: &Masking) -> FieldChange {
    let marker = |value: Value| Value::String(masking.marker(value.as_str().unwrap_or_default()));
    FieldChange { before: change.before.map(marker), after: change.after.map(marker), path: change.path }
}

fn change(version: &Version, masking: &Masking) -> ObjectChange {
    let key = version.object.key();
    let none = Map::new();
    let data = |object: Option<&Object>| -> BTreeMap<String, Value> {
        let data = object.and_then(|object| object.at("/data")).and_then(Value::as_object).unwrap_or(&none);
        data.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (before, after) = (data(version.earlier.as_ref()), data(Some(&version.object)));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let fields = names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(|name| {
        let path = format!("data.{name}");
        let change = FieldChange { path, before: before.get(name).cloned(), after: after.get(name).cloned() };
        let change = if version.composed.contains(name) { marked(change, masking) } else { change };
        FieldChange { path: name.clone(), ..masking.mask(&key.kind, change) }
    });
    ObjectChange {
        object: format!("{}/{}", key.kind.kind, key.name),
        kind: version.change_kind(),
        fields: fields.collect(),
        risks: BTreeSet::new(),
    }
}
