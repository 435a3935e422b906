//! Noise in an object that is applied: only what another field manager has set is left out of what is sent.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::diff::field;

/// Whose a place of a live object is: the sets of fields below it (`fieldsV1`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners<'a> {
    ours: Option<&'a Value>,
    others: Vec<&'a Value>,
    /// The keys that tell an item of a list from the others: they are always sent.
    keys: BTreeSet<String>,
}

impl<'a> Owners<'a> {
    /// Of a whole object: our set of fields, and those of others.
    pub(crate) fn new(ours: Option<&'a Value>, others: Vec<&'a Value>) -> Self {
        Self { ours, others, keys: BTreeSet::new() }
    }

    /// Of a key below the place.
    pub(super) fn key(&self, name: &str) -> Self {
        self.step(|step| (step.strip_prefix("f:") == Some(name)).then(BTreeSet::new))
    }

    /// Of an item of the list at the place.
    pub(super) fn item(&self, item: &Value) -> Self {
        self.step(|step| {
            let keys: Map<String, Value> = serde_json::from_str(step.strip_prefix("k:")?).ok()?;
            let is_item = keys.iter().all(|(key, value)| item.get(key) == Some(value));
            is_item.then(|| keys.into_iter().map(|(key, _)| key).collect())
        })
    }

    fn step(&self, leads: impl Fn(&str) -> Option<BTreeSet<String>>) -> Self {
        let below = |set: &'a Value| {
            let mut steps = set.as_object()?.iter();
            steps.find_map(|(step, below)| leads(step).map(|keys| (below, keys)))
        };
        let others: Vec<_> = self.others.iter().filter_map(|set| below(set)).collect();
        let keys = others.iter().flat_map(|(_, keys)| keys.clone()).collect();
        let ours = self.ours.and_then(below).map(|(set, _)| set);
        Self { ours, others: others.into_iter().map(|(set, _)| set).collect(), keys }
    }

    /// Whether another manager has all that lies below the place: the API server knows no owner of a part of it.
    pub(super) fn is_whole(&self) -> bool {
        self.others.iter().any(|set| set.as_object().is_none_or(|set| set.keys().all(|step| step == ".")))
    }

    /// Whether another manager has made the item of a list, and we have nothing of it.
    fn is_theirs(&self) -> bool {
        self.ours.is_none() && self.others.iter().any(|set| set.get(".").is_some())
    }

    /// Takes a value out of what is sent that another manager has set. Where it is the same by chance, what we own of it
    /// stays ours.
    pub(super) fn take_out(&self, is_same: bool, wanted: &mut Option<Value>) {
        if !is_same || self.ours.is_none() {
            *wanted = None;
        }
    }
}

/// Takes out of a noisy value what other managers have set; the rest is the manifest's own. Gives the fields that differ.
pub(super) fn leave_out(
    path: &str,
    wanted: &mut Option<Value>,
    live: Option<&Value>,
    owners: &Owners<'_>,
    found: &mut Vec<String>,
) {
    // The API server keeps a field of another manager that is not applied.
    let Some(value) = wanted.as_mut().filter(|_| !owners.others.is_empty()) else { return };
    let is_unit = owners.is_whole() || owners.is_theirs();
    match (value, live) {
        (Value::Object(map), Some(Value::Object(there))) if !is_unit => {
            let names: Vec<String> = map.keys().filter(|name| !owners.keys.contains(*name)).cloned().collect();
            for name in names {
                let mut inner = map.remove(&name);
                leave_out(&field(path, &name), &mut inner, there.get(&name), &owners.key(&name), found);
                map.extend(inner.map(|inner| (name, inner)));
            }
        }
        (Value::Array(items), Some(Value::Array(there))) if !is_unit => {
            *items = std::mem::take(items)
                .into_iter()
                .filter_map(|item| {
                    let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                    let live =
                        name.as_ref().and_then(|_| there.iter().find(|live| live.get("name") == item.get("name")));
                    let path = name.map_or_else(|| path.to_owned(), |name| format!("{path}[name={name}]"));
                    let owners = owners.item(&item);
                    let mut item = Some(item);
                    leave_out(&path, &mut item, live, &owners, found);
                    item
                })
                .collect();
        }
        (value, there) => {
            let is_same = there == Some(&*value);
            if !is_same {
                found.push(crate::problem::escaped(path));
            }
            owners.take_out(is_same, wanted);
        }
    }
}
