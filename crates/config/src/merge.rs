//! Layers of the configuration, one over the other.

use super::problem::Problems;
use super::tree::{Map, Node, Origin, Value};

/// Lays `upper` over `lower`: maps merge deeply, everything else replaces, `null` removes, and what is of one type
/// below must be of the same type above.
///
/// A `null` that removes something stays in the tree until [`settle`] so that no default comes back in its place.
pub(super) fn merge(lower: Node, upper: &Node, problems: &mut Problems) -> Node {
    match (lower.value, &upper.value) {
        (Value::Null { removes: true }, Value::Null { .. }) => {
            Node { value: Value::Null { removes: true }, origin: upper.origin.clone() }
        }
        (Value::Null { .. }, _) => upper.clone(),
        (_, Value::Null { .. }) => Node { value: Value::Null { removes: true }, origin: upper.origin.clone() },
        (Value::Map(lower), Value::Map(above)) => {
            Node { value: Value::Map(merge_maps(lower, above, problems)), origin: upper.origin.clone() }
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

fn merge_maps(mut lower: Map, upper: &Map, problems: &mut Problems) -> Map {
    for entry in &upper.entries {
        match lower.entries.iter_mut().find(|below| below.key == entry.key) {
            Some(below) => {
                let nothing = Node::empty_map(Origin::Default);
                below.node = merge(std::mem::replace(&mut below.node, nothing), &entry.node, problems);
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
