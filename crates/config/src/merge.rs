//! Layers of the configuration, one over the other.

use super::problem::Problems;
use super::schema_shape::Shape;
use super::tree::{Map, Node, Origin, Value};

/// Lays `upper` over `lower`: maps merge deeply, everything else replaces, `null` removes, and what is of one type
/// below must be of the same type above. A map of another `kind` replaces the one below, whose keys are not its own.
///
/// A `null` that removes something stays in the tree until [`settle`] so that no default comes back in its place.
pub(super) fn merge(lower: Node, upper: &Node, shape: Option<&Shape>, problems: &mut Problems) -> Node {
    match (lower.value, &upper.value) {
        (Value::Null { removes: true }, Value::Null { .. }) => {
            Node { value: Value::Null { removes: true }, origin: upper.origin.clone() }
        }
        (Value::Null { .. }, _) => upper.clone(),
        (_, Value::Null { .. }) => Node { value: Value::Null { removes: true }, origin: upper.origin.clone() },
        (Value::Map(lower), Value::Map(above)) => {
            let merged = if matches!(shape, Some(Shape::Kinds(_))) && is_other_kind(&lower, above) {
                replace_map(&lower, above)
            } else {
                merge_maps(lower, above, shape, problems)
            };
            Node { value: Value::Map(merged), origin: upper.origin.clone() }
        }
        (below, _) => {
            let lower = Node { value: below, origin: lower.origin };
            if lower.kind() != upper.kind() {
                changed_type(&lower, upper, problems);
            }
            upper.clone()
        }
    }
}

fn is_other_kind(lower: &Map, upper: &Map) -> bool {
    let kind = |map: &Map| map.get("kind").and_then(Node::text).map(str::to_owned);
    kind(lower).zip(kind(upper)).is_some_and(|(lower, upper)| lower != upper)
}

/// The upper map alone; a `null` in it still removes what the lower one has.
fn replace_map(lower: &Map, upper: &Map) -> Map {
    let mut map = upper.clone();
    for entry in &mut map.entries {
        if let Value::Null { removes } = &mut entry.node.value {
            *removes = lower.get(&entry.key).is_some();
        }
    }
    map
}

fn merge_maps(mut lower: Map, upper: &Map, shape: Option<&Shape>, problems: &mut Problems) -> Map {
    for entry in &upper.entries {
        match lower.entries.iter_mut().find(|below| below.key == entry.key) {
            Some(below) => {
                let nothing = Node::empty_map(Origin::Default);
                let shape = shape.and_then(|shape| shape.of_key(&entry.key));
                below.node = merge(std::mem::replace(&mut below.node, nothing), &entry.node, shape, problems);
                below.key_origin = entry.key_origin.clone();
            }
            None => lower.entries.push(entry.clone()),
        }
    }
    lower
}

fn changed_type(lower: &Node, upper: &Node, problems: &mut Problems) {
    problems.forget_type_problem_at(&upper.origin);
    let (here, there) = (upper.kind(), lower.kind());
    let below = match lower.origin.place() {
        Some(place) => format!("in `{}` ({}:{}:{})", place.path, problems.source().name, place.line, place.column),
        None => "by default".to_owned(),
    };
    problems.add(&upper.origin, format!("this is {here}, and {there} {below}: the type cannot change")).about_type();
}

/// Says that a `null` has nothing to remove.
pub(super) fn removes_nothing(origin: &Origin, problems: &mut Problems) {
    problems.add(origin, "no value is expected here: `null` removes what a layer below has, and none has it");
}

/// Takes away what `null` removed. A `null` that removes nothing is a mistake.
pub(super) fn settle(node: &mut Node, problems: &mut Problems) {
    match &mut node.value {
        Value::Map(map) => {
            map.entries.retain_mut(|entry| {
                if let Value::Null { removes } = entry.node.value {
                    if !removes {
                        removes_nothing(&entry.node.origin, problems);
                    }
                    return false;
                }
                settle(&mut entry.node, problems);
                true
            });
        }
        Value::List(items) => {
            for item in items {
                settle(item, problems);
            }
        }
        Value::Null { .. } | Value::Boolean(_) | Value::Integer(_) | Value::Text(_) | Value::Ambiguous { .. } => {}
    }
}
