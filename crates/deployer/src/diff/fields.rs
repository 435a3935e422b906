//! The fields in which two objects differ.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::FieldChange;

/// Fields by which the items of a list are told apart, where every item of both lists has it.
const KEYS: [&str; 6] = ["name", "key", "mountPath", "containerPort", "port", "type"];

/// Every field that differs, in the order of the paths. A map or list that only one of them has is one field.
pub(crate) fn changed_fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<FieldChange>) {
    // Null is how JSON writes that there is nothing.
    let (before, after) = (before.filter(|value| !value.is_null()), after.filter(|value| !value.is_null()));
    if before == after {
        return;
    }
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
            for key in keys {
                compare(&field(path, key), before.get(key), after.get(key), changes);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => lists(path, before, after, changes),
        (Some(_) | None, _) => changes.push(FieldChange {
            path: if path.is_empty() { "all of it".to_owned() } else { path.to_owned() },
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn lists(path: &str, before: &[Value], after: &[Value], changes: &mut Vec<FieldChange>) {
    if let Some((key, before_items, after_items)) = by_key(before, after) {
        let known = changes.len();
        for (shown, item) in &before_items {
            compare(&format!("{path}[{key}={shown}]"), Some(item), after_items.get(shown).copied(), changes);
        }
        for (shown, item) in after_items.iter().filter(|(shown, _)| !before_items.contains_key(*shown)) {
            compare(&format!("{path}[{key}={shown}]"), None, Some(item), changes);
        }
        // The same items in another order.
        if changes.len() == known {
            changes.push(whole(path, before, after));
        }
    } else if before.iter().chain(after).any(Value::is_object) {
        for index in 0..before.len().max(after.len()) {
            compare(&format!("{path}[{index}]"), before.get(index), after.get(index), changes);
        }
    } else {
        changes.push(whole(path, before, after));
    }
}

fn whole(path: &str, before: &[Value], after: &[Value]) -> FieldChange {
    let list = |items: &[Value]| Some(Value::Array(items.to_vec()));
    FieldChange { path: path.to_owned(), before: list(before), after: list(after) }
}

type Items<'a> = BTreeMap<String, &'a Value>;

/// The items of two lists by the first field that tells all of them apart.
fn by_key<'a>(before: &'a [Value], after: &'a [Value]) -> Option<(&'static str, Items<'a>, Items<'a>)> {
    KEYS.into_iter().find_map(|key| Some((key, items(before, key)?, items(after, key)?)))
}

fn items<'a>(list: &'a [Value], key: &str) -> Option<Items<'a>> {
    let mut items = Items::new();
    for item in list {
        let shown = match item.as_object()?.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        if items.insert(shown, item).is_some() {
            return None;
        }
    }
    Some(items)
}

/// `metadata.annotations["example.com/team"]`
pub(crate) fn field(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    match (path.is_empty(), is_plain) {
        (true, _) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (false, false) => format!("{path}[{}]", Value::from(key)),
    }
}

/// What is left of an object when helm upgrades it: helm removes the fields that the stored revision has and the new one
/// lacks, which a server-side apply of another manager does not.
pub(crate) fn without_removed(after: &mut Value, stored: &Map<String, Value>, planned: &Map<String, Value>) {
    let Some(after) = after.as_object_mut() else { return };
    for (key, stored) in stored {
        match (planned.get(key), after.get_mut(key)) {
            (None, Some(_)) => drop(after.remove(key)),
            (Some(planned), Some(after)) => below(after, stored, planned),
            (Some(_) | None, None) => {}
        }
    }
}

fn below(after: &mut Value, stored: &Value, planned: &Value) {
    match (stored, planned) {
        (Value::Object(stored), Value::Object(planned)) => without_removed(after, stored, planned),
        (Value::Array(stored), Value::Array(planned)) => {
            let Some((key, stored_items, planned_items)) = by_key(stored, planned) else { return };
            let Some(after) = after.as_array_mut() else { return };
            let shown = |item: &Value| match item.get(key) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
            };
            after.retain(|item| {
                shown(item).is_none_or(|shown| !stored_items.contains_key(&shown) || planned_items.contains_key(&shown))
            });
            for item in after {
                let Some(shown) = shown(item) else { continue };
                if let (Some(stored), Some(planned)) = (stored_items.get(&shown), planned_items.get(&shown)) {
                    below(item, stored, planned);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(before: &Value, after: &Value) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let changes = changed_fields(before, after);
        changes.iter().map(|one| format!("{}: {} → {}", one.path, text(&one.before), text(&one.after))).collect()
    }

    #[test]
    fn items_of_lists_are_told_apart_by_name_wherever_they_stand() {
        let before = json!({ "containers": [
            { "name": "app", "image": "a:1", "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }] },
            { "name": "log", "image": "l:1" },
        ] });
        let after = json!({ "containers": [
            { "name": "new", "image": "n:1" },
            { "name": "app", "image": "a:2", "env": [{ "name": "B", "value": "2" }] },
        ] });
        assert_eq!(
            shown(&before, &after),
            [
                r#"containers[name=app].env[name=A]: {"name":"A","value":"1"} → nothing"#,
                r#"containers[name=app].image: "a:1" → "a:2""#,
                r#"containers[name=log]: {"image":"l:1","name":"log"} → nothing"#,
                r#"containers[name=new]: nothing → {"image":"n:1","name":"new"}"#,
            ]
        );
    }

    #[test]
    fn what_has_no_key_is_compared_by_place_and_an_order_is_a_difference() {
        for (before, after, told) in [
            (json!({ "a": ["x"] }), json!({ "a": ["x", "y"] }), vec![r#"a: ["x"] → ["x","y"]"#]),
            (
                json!({ "a": [{ "name": "x" }, { "name": "y" }] }),
                json!({ "a": [{ "name": "y" }, { "name": "x" }] }),
                vec![r#"a: [{"name":"x"},{"name":"y"}] → [{"name":"y"},{"name":"x"}]"#],
            ),
            (json!({ "a": [{ "v": 1 }, { "v": 2 }] }), json!({ "a": [{ "v": 1 }, { "v": 3 }] }), vec!["a[1].v: 2 → 3"]),
            (
                json!({ "ports": [{ "port": 80 }, { "port": 80 }] }),
                json!({ "ports": [{ "port": 80 }] }),
                vec![r#"ports[1]: {"port":80} → nothing"#],
            ),
            (json!({ "m": { "a.b/c": 1 } }), json!({ "m": {} }), vec![r#"m["a.b/c"]: 1 → nothing"#]),
            (json!({ "a": null }), json!({ "a": null }), vec![]),
        ] {
            assert_eq!(shown(&before, &after), told);
        }
    }

    #[test]
    fn what_helm_removes_is_what_the_stored_revision_has_and_the_next_one_lacks() {
        let map = |value: Value| value.as_object().unwrap().clone();
        let stored = map(json!({ "spec": {
            "replicas": 2, "paused": true,
            "containers": [{ "name": "app", "env": [{ "name": "A" }, { "name": "B" }] }, { "name": "log" }],
        } }));
        let planned =
            map(json!({ "spec": { "replicas": 3, "containers": [{ "name": "app", "env": [{ "name": "B" }] }] } }));
        let mut after = json!({ "spec": {
            "replicas": 3, "paused": true, "byHand": 1,
            "containers": [
                { "name": "app", "env": [{ "name": "A" }, { "name": "B" }, { "name": "C" }] },
                { "name": "log" }, { "name": "injected" },
            ],
        } });
        without_removed(&mut after, &stored, &planned);
        assert_eq!(
            after,
            json!({ "spec": {
                "replicas": 3, "byHand": 1,
                "containers": [{ "name": "app", "env": [{ "name": "B" }, { "name": "C" }] }, { "name": "injected" }],
            } })
        );
    }
}
