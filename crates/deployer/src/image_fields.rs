//! Every string of an object, with its place and what the place means.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Keys of a pod's lists of containers, in whatever kind the pod template hides.
pub(crate) const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// What a place in an object is to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The image of a container: what a node pulls.
    Container,
    /// The image of an image volume: pulled by a node as well.
    Volume,
    /// A field named `image` somewhere else: an operator may start it.
    Field,
    /// Any other string: an argument, a variable, the text of a `ConfigMap`.
    Text,
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Calls `visit` with the place, the slot and the string, for every string value of an object.
pub(crate) fn strings(object: &mut Map<String, Value>, visit: &mut dyn FnMut(&str, Slot, &mut String)) {
    descend_map(object, &mut Vec::new(), visit);
}

fn descend_map<'a>(
    map: &'a mut Map<String, Value>,
    steps: &mut Vec<Step<'a>>,
    visit: &mut dyn FnMut(&str, Slot, &mut String),
) {
    for (key, value) in map {
        steps.push(Step::Key(key));
        descend(value, steps, visit);
        steps.pop();
    }
}

fn descend<'a>(value: &'a mut Value, steps: &mut Vec<Step<'a>>, visit: &mut dyn FnMut(&str, Slot, &mut String)) {
    match value {
        Value::String(text) => visit(&place(steps), slot(steps), text),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                steps.push(Step::Index(index));
                descend(item, steps, visit);
                steps.pop();
            }
        }
        Value::Object(map) => descend_map(map, steps, visit),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn slot(steps: &[Step<'_>]) -> Slot {
    match steps {
        [.., Step::Key(list), Step::Index(_), Step::Key("image")] if CONTAINER_LISTS.contains(list) => Slot::Container,
        [.., Step::Key("volumes"), Step::Index(_), Step::Key("image"), Step::Key("reference")] => Slot::Volume,
        [.., Step::Key("image")] => Slot::Field,
        _ => Slot::Text,
    }
}

/// `spec.template.spec.containers[0].image`.
fn place(steps: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(key);
            }
            Step::Index(index) => write!(out, "[{index}]").expect("writing into a string cannot fail"),
        }
    }
    out
}

/// Calls `visit` for every map of an object, parents first.
pub(crate) fn maps<'a>(object: &'a Map<String, Value>, visit: &mut dyn FnMut(&'a Map<String, Value>)) {
    visit(object);
    for value in object.values() {
        inner_maps(value, visit);
    }
}

fn inner_maps<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Map<String, Value>)) {
    match value {
        Value::Object(map) => maps(map, visit),
        Value::Array(items) => items.iter().for_each(|item| inner_maps(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same for writing: a map before those that it then holds.
pub(crate) fn maps_mut(object: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    visit(object);
    for value in object.values_mut() {
        inner_maps_mut(value, visit);
    }
}

fn inner_maps_mut(value: &mut Value, visit: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => maps_mut(map, visit),
        Value::Array(items) => items.iter_mut().for_each(|item| inner_maps_mut(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn t19_every_hiding_place_has_its_slot() {
        let mut object = json!({
            "spec": {
                "jobTemplate": { "spec": { "template": { "spec": {
                    "containers": [{ "image": "a", "args": ["x"] }],
                    "initContainers": [{ "image": "b" }],
                    "ephemeralContainers": [{ "image": "c" }],
                    "volumes": [{ "image": { "reference": "d" } }],
                } } } },
                "runner": { "image": "e" },
            },
        });
        let mut found = Vec::new();
        strings(object.as_object_mut().unwrap(), &mut |place, slot, text| {
            let place = place.rsplit_once("spec.").map_or(place, |(_, rest)| rest);
            found.push(format!("{text} {slot:?} {place}"));
        });
        found.sort();
        assert_eq!(
            found,
            [
                "a Container containers[0].image",
                "b Container initContainers[0].image",
                "c Container ephemeralContainers[0].image",
                "d Volume volumes[0].image.reference",
                "e Field runner.image",
                "x Text containers[0].args[0]",
            ]
        );
    }
}
