//! Differences that an environment calls noise: other programs write these fields, and neither a plan nor a comparison names
//! them. What a proof rests on is never noise.

mod owners;

use lock_model::ServiceName;
use serde_json::{Map, Value};

use crate::diff::field;
use crate::manifest::ObjectId;

pub(crate) use owners::Owners;

/// What a proof rests on, and what decides what a container does, wherever it stands.
const PROVEN: [&str; 4] = ["image", "command", "args", "securityContext"];

/// Fields of a service's objects that are noise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseRule {
    /// `Kind/name` of the object; `None`: all of the service.
    pub object: Option<String>,
    /// The path of each field; what lies below it is noise too.
    pub fields: Vec<Vec<PathPart>>,
}

/// One part of the path of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPart {
    /// A key of a map.
    Key(String),
    /// The item of a list that has this value at this key.
    Item(String, String),
    /// Every key of a map, and every item of a list.
    Any,
}

/// A field that differs, and that a plan or a comparison leaves out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct NoisyField {
    /// The service that the object belongs to.
    pub service: ServiceName,
    /// `Kind/name` of the object.
    pub object: String,
    /// The field, such as `spec.template.metadata.annotations["example.com/seen"]`.
    pub field: String,
}

/// What becomes of a noisy field of an object that is to be written.
#[derive(Clone, Debug)]
pub(crate) enum Noisy<'a> {
    /// It gets the value that is there.
    AsLive,
    /// It is not sent where another field manager has set what is there.
    Sent(Owners<'a>),
}

impl Noisy<'_> {
    fn key(&self, name: &str) -> Self {
        match self {
            Self::AsLive => Self::AsLive,
            Self::Sent(owners) => Self::Sent(owners.key(name)),
        }
    }

    fn item(&self, item: Option<&Value>) -> Self {
        match self {
            Self::AsLive => Self::AsLive,
            Self::Sent(owners) => Self::Sent(item.map(|item| owners.item(item)).unwrap_or_default()),
        }
    }
}

/// The rules of one object.
pub(crate) fn rules_of<'a>(rules: &'a [NoiseRule], id: &ObjectId) -> Vec<&'a [PathPart]> {
    rules_of_object(rules, &id.to_string())
}

/// The rules of the object that messages call `name` (`Kind/name`).
pub(crate) fn rules_of_object<'a>(rules: &'a [NoiseRule], name: &str) -> Vec<&'a [PathPart]> {
    let of_object = rules.iter().filter(|rule| rule.object.as_ref().is_none_or(|object| object == name));
    of_object.flat_map(|rule| rule.fields.iter().map(Vec::as_slice)).collect()
}

/// Takes noise out of the difference between an object to be written and the one that is there; gives the fields.
pub(crate) fn settle(rules: &[&[PathPart]], wanted: &mut Value, live: &Value, noisy: &Noisy<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for parts in rules {
        let mut whole = Some(std::mem::take(wanted));
        below(parts, "", &mut whole, Some(live), noisy, &mut found);
        *wanted = whole.unwrap_or_default();
    }
    found
}

fn below(
    parts: &[PathPart],
    path: &str,
    wanted: &mut Option<Value>,
    live: Option<&Value>,
    noisy: &Noisy<'_>,
    found: &mut Vec<String>,
) {
    let Some((part, rest)) = parts.split_first() else {
        return leaf(path, wanted, live, noisy, found);
    };
    if let Noisy::Sent(owners) = noisy
        && owners.is_whole()
    {
        // A part alone cannot be left out: the whole is, where nothing else of it differs.
        let before = found.len();
        below(parts, path, wanted, live, &Noisy::AsLive, found);
        if wanted.as_ref() == live {
            owners.take_out(found.len() == before, wanted);
        }
        return;
    }
    // A map that only the live object has is needed to hold its fields.
    let missing = wanted.is_none() && matches!(noisy, Noisy::AsLive);
    match (part, live) {
        (PathPart::Key(_) | PathPart::Any, Some(Value::Object(_))) if missing => {
            *wanted = Some(Value::Object(Map::new()));
        }
        (PathPart::Item(..) | PathPart::Any, Some(Value::Array(_))) if missing => {
            *wanted = Some(Value::Array(Vec::new()));
        }
        _ => {}
    }
    match wanted {
        Some(Value::Object(map)) => {
            let in_live = live.and_then(Value::as_object);
            let names: Vec<String> = match part {
                PathPart::Key(name) => vec![name.clone()],
                PathPart::Any => {
                    let all = map.keys().chain(in_live.into_iter().flat_map(Map::keys));
                    all.cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect()
                }
                PathPart::Item(..) => Vec::new(),
            };
            for name in names {
                let mut inner = map.remove(&name);
                let there = in_live.and_then(|live| live.get(&name));
                below(rest, &field(path, &name), &mut inner, there, &noisy.key(&name), found);
                if let Some(inner) = inner {
                    map.insert(name, inner);
                }
            }
            if map.is_empty() && live.is_none() {
                *wanted = None;
            }
        }
        Some(Value::Array(items)) => {
            let there = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            in_list(part, rest, path, items, there, noisy, found);
            if items.is_empty() && live.is_none() {
                *wanted = None;
            }
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {}
    }
    if missing && wanted.as_ref().is_some_and(is_empty) && !live.is_some_and(is_empty) {
        *wanted = None;
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn in_list(
    part: &PathPart,
    rest: &[PathPart],
    path: &str,
    items: &mut Vec<Value>,
    live: &[Value],
    noisy: &Noisy<'_>,
    found: &mut Vec<String>,
) {
    let at = |list: &[Value], key: &str, value: &str| {
        list.iter().position(|item| shown(item, key).as_deref() == Some(value))
    };
    match part {
        PathPart::Key(_) => {}
        PathPart::Item(key, value) => {
            let path = format!("{path}[{key}={value}]");
            let there = at(live, key, value);
            let index = at(items, key, value);
            let mut inner = index.and_then(|index| items.get_mut(index)).map(std::mem::take);
            let in_live = there.and_then(|index| live.get(index));
            below(rest, &path, &mut inner, in_live, &noisy.item(in_live), found);
            match (inner, index, there) {
                (Some(inner), Some(index), _) => {
                    if let Some(item) = items.get_mut(index) {
                        *item = inner;
                    }
                }
                (Some(inner), None, Some(there)) => items.insert(there.min(items.len()), inner),
                (None, Some(index), _) => drop(items.remove(index)),
                (Some(_), None, None) | (None, None, _) => {}
            }
        }
        PathPart::Any => {
            for index in 0..items.len() {
                let Some(item) = items.get_mut(index) else { continue };
                // By name, where items have one: others may stand before.
                let name = shown(item, "name");
                let there = match &name {
                    Some(name) => at(live, "name", name).and_then(|index| live.get(index)),
                    None => live.get(index),
                };
                let path = name.map_or_else(|| format!("{path}[{index}]"), |name| format!("{path}[name={name}]"));
                // An item is taken out by its name alone.
                if !rest.is_empty() && there.is_some() {
                    let mut inner = Some(std::mem::take(item));
                    below(rest, &path, &mut inner, there, &noisy.item(there), found);
                    *item = inner.unwrap_or_default();
                }
            }
        }
    }
}

fn leaf(path: &str, wanted: &mut Option<Value>, live: Option<&Value>, noisy: &Noisy<'_>, found: &mut Vec<String>) {
    if wanted.as_ref().is_some_and(is_proven) || live.is_some_and(is_proven) || names_proven(path) {
        return;
    }
    match noisy {
        Noisy::AsLive if wanted.as_ref() == live => {}
        Noisy::AsLive => {
            found.push(crate::problem::escaped(path));
            *wanted = live.cloned();
        }
        Noisy::Sent(owners) => owners::leave_out(path, wanted, live, owners, found),
    }
}

/// A value without its noise, so that two can be compared.
pub(crate) fn without(rules: &[&[PathPart]], mut value: Value) -> Value {
    for parts in rules {
        strip(parts, &mut value);
    }
    value
}

/// Whether anything is left of a value.
fn strip(parts: &[PathPart], value: &mut Value) -> bool {
    let Some((part, rest)) = parts.split_first() else { return is_proven(value) };
    match value {
        Value::Object(map) => map.retain(|name, inner| {
            let is_meant = match part {
                PathPart::Key(key) => key == name,
                PathPart::Any => !PROVEN.contains(&name.as_str()),
                PathPart::Item(..) => false,
            };
            !is_meant || strip(rest, inner)
        }),
        Value::Array(items) => items.retain_mut(|item| {
            let is_meant = match part {
                PathPart::Item(key, value) => shown(item, key).as_deref() == Some(value),
                PathPart::Any => true,
                PathPart::Key(_) => false,
            };
            !is_meant || strip(rest, item)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    !is_empty(value)
}

/// Whether a value has something that a proof rests on.
fn is_proven(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("sha256:"),
        Value::Array(items) => items.iter().any(is_proven),
        Value::Object(map) => map.iter().any(|(key, value)| PROVEN.contains(&key.as_str()) || is_proven(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn names_proven(path: &str) -> bool {
    parts_of(path).iter().any(|part| PROVEN.contains(&part.as_str()))
}

fn shown(item: &Value, key: &str) -> Option<String> {
    match item.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a field that was found by its owner is noise. Where a writer has a map or list as a whole, it is so only if nothing but
/// the noise in it is other than in the release.
pub(crate) fn covers(rules: &[&[PathPart]], path: &str, live: &Value, stored: &Map<String, Value>) -> bool {
    let found = parts_of(path);
    if names_proven(path) {
        return false;
    }
    let is_part = |(part, found): (&PathPart, &String)| match part {
        PathPart::Key(name) => name == found,
        PathPart::Item(key, value) => {
            let keys = found.strip_prefix('[').and_then(|keys| keys.strip_suffix(']')).unwrap_or_default();
            keys.split(',').any(|pair| pair.split_once('=') == Some((key.as_str(), value.as_str())))
        }
        PathPart::Any => true,
    };
    let meant = rules.iter().copied().filter(|parts| parts.iter().zip(&found).all(is_part));
    let (above, within): (Vec<&[PathPart]>, Vec<_>) = meant.partition(|parts| parts.len() <= found.len());
    let rest = |value: &Value| value_at(&without(&within, value.clone()), &found).cloned();
    !above.is_empty()
        || !within.is_empty() && value_at(live, &found).is_some() && rest(live) == rest(&Value::Object(stored.clone()))
}

/// What stands at a path; nothing at one of an item without keys.
fn value_at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Array(items) => {
            let keys = part.strip_prefix('[')?.strip_suffix(']')?;
            let pairs = keys.split(',').map(|pair| pair.split_once('=')).collect::<Option<Vec<_>>>()?;
            items.iter().find(|item| pairs.iter().all(|(key, value)| shown(item, key).as_deref() == Some(value)))
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.get(part),
    })
}

/// `a.b["c.d"][name=x]` → `a`, `b`, `c.d`, `[name=x]`.
fn parts_of(path: &str) -> Vec<String> {
    let (mut parts, mut rest) = (Vec::new(), path);
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(quoted) = rest.strip_prefix('[').filter(|inner| inner.starts_with('"')) {
            let mut texts = serde_json::Deserializer::from_str(quoted).into_iter::<String>();
            let Some(Ok(key)) = texts.next() else { break };
            let end = texts.byte_offset();
            parts.push(key);
            rest = quoted.get(end..).and_then(|rest| rest.strip_prefix(']')).unwrap_or_default();
        } else if rest.starts_with('[') {
            let (item, after) = rest.split_at(rest.find(']').map_or(rest.len(), |end| end + 1));
            parts.push(item.to_owned());
            rest = after;
        } else {
            let (name, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            parts.push(name.to_owned());
            rest = after;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> PathPart {
        PathPart::Key(name.to_owned())
    }

    fn item(name: &str) -> PathPart {
        PathPart::Item("name".to_owned(), name.to_owned())
    }

    #[test]
    fn noise_gets_the_live_value_or_is_not_written() {
        let annotation = [key("spec"), key("annotations"), key("a.b/c")];
        let env = [key("spec"), key("containers"), PathPart::Any, key("env"), item("SEEN")];
        let live = json!({ "spec": { "annotations": { "a.b/c": "2" }, "other": 2, "containers": [
            { "name": "x" }, { "name": "app", "env": [{ "name": "SEEN", "value": "2" }, { "name": "KEPT", "value": "2" }] },
        ] } });
        let wanted = json!({ "spec": { "annotations": { "a.b/c": "1" }, "other": 1, "containers": [
            { "name": "app", "env": [{ "name": "SEEN", "value": "1" }, { "name": "KEPT", "value": "1" }] },
        ] } });
        let rules: [&[PathPart]; 2] = [&annotation, &env];
        let settled = |wanted: &Value, noisy: &Noisy<'_>| {
            let mut wanted = wanted.clone();
            let found = settle(&rules, &mut wanted, &live, noisy);
            (wanted, found)
        };
        let (after, found) = settled(&wanted, &Noisy::AsLive);
        assert_eq!(after["spec"]["annotations"], live["spec"]["annotations"]);
        assert_eq!(after["spec"]["containers"][0]["env"][0]["value"], "2");
        assert_eq!(
            (&after["spec"]["other"], &after["spec"]["containers"][0]["env"][1]["value"]),
            (&json!(1), &json!("1"))
        );
        assert_eq!(found, [r#"spec.annotations["a.b/c"]"#, "spec.containers[name=app].env[name=SEEN]"]);
        let app = |env: Value| {
            json!({ "f:spec": {
            "f:annotations": { "f:a.b/c": {} },
            "f:containers": { "k:{\"name\":\"app\"}": { "f:env": { "k:{\"name\":\"SEEN\"}": env } } },
        } })
        };
        let (theirs, value) = (app(json!({ ".": {}, "f:name": {}, "f:value": {} })), app(json!({ "f:value": {} })));
        let by_others = |set| Noisy::Sent(Owners::new(None, vec![set]));
        let (sent, found) = settled(&wanted, &by_others(&theirs));
        assert_eq!((&sent["spec"]["annotations"], found.len()), (&json!({}), 2));
        assert_eq!(sent["spec"]["containers"][0]["env"], json!([{ "name": "KEPT", "value": "1" }]));
        let (sent, found) = settled(&wanted, &by_others(&value));
        assert_eq!(sent["spec"]["containers"][0]["env"][0], json!({ "name": "SEEN" }));
        assert_eq!(found[1], "spec.containers[name=app].env[name=SEEN].value");
        // What no other manager has set is the manifest's.
        let ours = Noisy::Sent(Owners::new(Some(&theirs), Vec::new()));
        assert_eq!(settled(&wanted, &ours), (wanted.clone(), Vec::new()));
        // And a comparison of two objects sees none of it.
        let both = [&wanted, &live].map(|value| without(&rules, value.clone())["spec"]["annotations"].clone());
        assert_eq!(both, [Value::Null, Value::Null]);
        // What only others write is a difference where the whole object is compared, and none of what is sent.
        let lacking = json!({ "spec": { "other": 1 } });
        assert_eq!(settled(&lacking, &Noisy::AsLive).0["spec"]["annotations"], live["spec"]["annotations"]);
        assert_eq!(settled(&lacking, &by_others(&theirs)), (lacking.clone(), Vec::new()));
        assert_eq!(settled(&live, &Noisy::AsLive), (live.clone(), Vec::new()), "nothing differs");
    }

    #[test]
    fn what_a_proof_rests_on_is_never_noise() {
        let whole = [key("spec")];
        for (field, value) in [
            ("image", json!("evil:1")),
            ("command", json!(["sh"])),
            ("args", json!(["-c"])),
            ("securityContext", json!({ "privileged": true })),
        ] {
            let live = json!({ "spec": { "containers": [{ "name": "app", field: value }] } });
            let wanted = json!({ "spec": { "containers": [{ "name": "app" }] } });
            let exact = [key("spec"), key("containers"), item("app"), key(field)];
            let below = [key("spec"), key("containers"), PathPart::Any, PathPart::Any];
            for rule in [&whole[..], &whole[..0], &exact, &exact[..3], &below] {
                for noisy in [Noisy::AsLive, Noisy::Sent(Owners::new(None, vec![&json!({})]))] {
                    let mut after = wanted.clone();
                    assert_eq!(
                        (settle(&[rule], &mut after, &live, &noisy), after),
                        (vec![], wanted.clone()),
                        "{rule:?}"
                    );
                }
                let path = format!("spec.containers[name=app].{field}");
                assert!(!covers(&[rule], &path, &live, wanted.as_object().unwrap()), "{field}");
            }
        }
        let digest = json!({ "note": format!("cart@sha256:{}", "a".repeat(64)) });
        let mut after = json!({});
        assert!(settle(&[&[key("note")]], &mut after, &digest, &Noisy::AsLive).is_empty());
    }

    #[test]
    fn a_field_by_its_owner_is_noise_with_all_that_lies_below_it() {
        let rule = [key("spec"), key("template"), key("annotations"), key("a.b/c")];
        let ports = [key("spec"), key("ports"), PathPart::Item("port".to_owned(), "80".to_owned())];
        let covers = |path: &str, live: Value, stored: Value| {
            covers(&[&rule, &ports], path, &json!({ "spec": live }), json!({ "spec": stored }).as_object().unwrap())
        };
        let exists = |path: &str| covers(path, json!({}), json!({}));
        for path in [
            r#"spec.template.annotations["a.b/c"]"#,
            r#"spec.template.annotations["a.b/c"].d"#,
            "spec.ports[port=80,protocol=TCP].name",
        ] {
            assert!(exists(path), "{path}");
        }
        for path in ["spec.template.labels", r#"spec.template.annotations["a.b/d"]"#, "spec.ports[port=8080]"] {
            assert!(!exists(path), "{path}");
        }
        // A writer that has a map or list as a whole has the noise in it, and what else is there is none.
        let annotations = |all: Value| json!({ "template": { "annotations": all } });
        let (noise, more) = (json!({ "a.b/c": "2" }), json!({ "a.b/c": "2", "x": "y" }));
        let path = "spec.template.annotations";
        assert!(covers(path, annotations(noise.clone()), json!({})));
        assert!(!covers(path, annotations(more.clone()), json!({})));
        assert!(covers(path, annotations(more.clone()), annotations(json!({ "x": "y" }))));
        assert!(!covers(path, annotations(more), annotations(json!({ "x": "z" }))));
        let list =
            |ports: &[u16]| json!({ "ports": ports.iter().map(|port| json!({ "port": port })).collect::<Vec<_>>() });
        assert!(covers("spec.ports", list(&[80]), json!({})));
        assert!(covers("spec.ports", list(&[80, 81]), list(&[81])));
        assert!(!covers("spec.ports", list(&[80, 81]), json!({})));
        assert!(!covers("spec.ports", list(&[81]), json!({})));
        assert!(!covers(r#"spec.ports["80"]"#, list(&[80]), json!({})), "an item without keys");
    }

    #[test]
    fn noise_in_a_map_that_another_manager_has_as_a_whole_is_left_out_with_it() {
        let colour = [key("spec"), key("selector"), key("colour")];
        let live = json!({ "spec": { "selector": { "app": "cart", "colour": "green" } } });
        let whole = json!({ "f:spec": { "f:selector": {} } });
        let settled = |app: &str, colour_wanted: &str, ours: Option<&Value>| {
            let mut wanted = json!({ "spec": { "selector": { "app": app, "colour": colour_wanted } } });
            let noisy = Noisy::Sent(Owners::new(ours, vec![&whole]));
            let found = settle(&[&colour], &mut wanted, &live, &noisy);
            (wanted["spec"]["selector"].clone(), found)
        };
        let noise = vec!["spec.selector.colour".to_owned()];
        assert_eq!(settled("cart", "blue", None), (Value::Null, noise.clone()));
        // It stays noise where the value is the same by chance, and what is ours stays ours.
        assert_eq!(settled("cart", "green", None), (Value::Null, Vec::new()));
        assert_eq!(settled("cart", "green", Some(&whole)).0, live["spec"]["selector"]);
        // Another difference is one.
        assert_eq!(settled("till", "blue", None), (json!({ "app": "till", "colour": "green" }), noise));
    }
}
