//! From the tree of the file to the trees of its parts: defaults < base < environment; `images` < a service's rule.

use super::branches::Role;
use super::check::{check, complete, write_out_short_forms};
use super::environment_keys;
use super::merge::{merge, removes_nothing, settle};
use super::problem::Problems;
use super::schema_keys;
use super::schema_shape::Layer;
use super::tree::{Entry, Map, Node, Origin, Value};
use lock_model::EnvironmentName;

/// The trees that are decoded.
#[derive(Debug)]
pub(super) struct Layers {
    /// The file without base and environments, with defaults.
    pub file: Node,
    pub environments: Vec<EnvironmentLayers>,
}

/// One environment's tree.
#[derive(Debug)]
pub(super) struct EnvironmentLayers {
    pub name: String,
    pub key_origin: Origin,
    /// Defaults, base and environment, without overrides.
    pub merged: Node,
    /// Base's before the environment's.
    pub overrides: Vec<Node>,
}

/// Makes the trees of a file, adding everything that is wrong with their shape.
pub(super) fn layers(mut root: Node, problems: &mut Problems) -> Layers {
    check(&root, &schema_keys::FILE, Layer::Partial, problems);
    write_out_short_forms(&mut root, &schema_keys::FILE);
    let (mut base, mut environments) = (None, None);
    if let Value::Map(map) = &mut root.value {
        base = map.remove("base").map(|entry| entry.node);
        environments = map.remove("environments").map(|entry| entry.node);
    }
    if let Some(node) = base.as_ref().filter(|node| node.map().is_none()) {
        if matches!(node.value, Value::Null { removes: false }) {
            removes_nothing(&node.origin, problems);
        }
        base = None;
    }
    complete(&mut root, &schema_keys::FILE, problems);
    lay_rules_over_images(&mut root, problems);
    settle(&mut root, problems);
    check(&root, &schema_keys::FILE, Layer::Whole, problems);

    let base_overrides = base.as_mut().map(take_overrides).unwrap_or_default();
    let mut all = Vec::new();
    let entries = match environments.map(|node| node.value) {
        Some(Value::Map(map)) => map.entries,
        _ => Vec::new(),
    };
    // A base that no environment uses is looked at all the same.
    if let Some(base) = &base
        && entries.iter().all(|entry| skips_base(&entry.node))
    {
        settle(&mut base.clone(), problems);
    }
    for Entry { key, key_origin, mut node } in entries {
        if matches!(node.value, Value::Null { .. }) {
            // `staging:` with nothing under it is base alone.
            node = Node::empty_map(node.origin);
        }
        let skips = skips_base(&node);
        if let Value::Map(map) = &mut node.value {
            map.remove("base");
        }
        let own_overrides = take_overrides(&mut node);
        let (lower, mut overrides) = match (&base, skips) {
            (Some(base), false) => (Some(base.clone()), base_overrides.clone()),
            _ => (None, Vec::new()),
        };
        overrides.extend(own_overrides);
        let mut merged = match lower {
            Some(lower) => merge(lower, &node, Some(&environment_keys::ENVIRONMENT), problems),
            None => node,
        };
        complete(&mut merged, &environment_keys::ENVIRONMENT, problems);
        let unsettled = merged.clone();
        settle(&mut merged, problems);
        imply(&mut merged, &key);
        check(&merged, &environment_keys::ENVIRONMENT, Layer::Whole, problems);
        check_overrides(&unsettled, &overrides, problems);
        all.push(EnvironmentLayers { name: key, key_origin, merged, overrides });
    }
    Layers { file: root, environments: all }
}

fn skips_base(environment: &Node) -> bool {
    environment.get("base").and_then(Node::text) == Some("none")
}

fn take_overrides(node: &mut Node) -> Vec<Node> {
    let Value::Map(map) = &mut node.value else { return Vec::new() };
    match map.remove("overrides").map(|entry| entry.node.value) {
        Some(Value::List(items)) => items,
        _ => Vec::new(),
    }
}

/// The name of an environment is its mode, and its role where there is such a role, unless the file says otherwise.
fn imply(environment: &mut Node, name: &str) {
    let Value::Map(map) = &mut environment.value else { return };
    if EnvironmentName::try_from(name).is_err() {
        return;
    }
    let role = name.parse::<Role>().is_ok();
    for (key, implied) in [("mode", true), ("branch", role)] {
        if implied && map.get(key).is_none() {
            map.entries.push(Entry::by_default(key, Value::Text(name.to_owned())));
        }
    }
}

/// What a rule does not say about images, `images` says.
fn lay_rules_over_images(root: &mut Node, problems: &mut Problems) {
    let images = root.get("images").cloned();
    let Value::Map(map) = &mut root.value else { return };
    let Some(Value::List(rules)) =
        map.entries.iter_mut().find(|entry| entry.key == "services").map(|entry| &mut entry.node.value)
    else {
        return;
    };
    for rule in rules {
        if rule.get("kind").and_then(Node::text) == Some("configuration") {
            for key in ["repository", "tags", "platforms", "revision"] {
                if let Some(entry) = rule.map().and_then(|map| map.entry(key)) {
                    problems
                        .add(&entry.key_origin, format!("a service of kind `configuration` has no image: no `{key}`"));
                }
            }
            continue;
        }
        if let (Some(images), Some(_)) = (&images, rule.map()) {
            *rule = merge(images.clone(), rule, Some(&schema_keys::SERVICE_RULE), problems);
        }
    }
}

/// Lays every override over the environment, one after the other: what does not fit is reported.
fn check_overrides(environment: &Node, overrides: &[Node], problems: &mut Problems) {
    let mut current = environment.clone();
    for node in overrides {
        let Some(map) = node.map() else { continue };
        if map.get("match").is_none() {
            problems.add(&node.origin, "`match` is missing").with_hint("a pattern of paths, or a service's name");
        }
        if let Some(target) = map.get("target").and_then(Node::map) {
            for entry in
                target.entries.iter().filter(|entry| matches!(entry.key.as_str(), "branch" | "folder" | "test-hooks"))
            {
                problems.add(
                    &entry.key_origin,
                    format!("`{}` is the environment's, and cannot differ between services", entry.key),
                );
            }
            if environment.get("target").is_none_or(|target| target.map().is_none()) {
                problems.add(&node.origin, "the environment has no `target` that could be different");
                continue;
            }
        }
        let entries = map.entries.iter().filter(|entry| entry.key != "match").cloned().collect();
        let patch = Node { value: Value::Map(Map { entries }), origin: node.origin.clone() };
        current = merge(current, &patch, Some(&environment_keys::ENVIRONMENT), problems);
        complete(&mut current, &environment_keys::ENVIRONMENT, problems);
        let mut merged = current.clone();
        settle(&mut merged, problems);
        check(&merged, &environment_keys::ENVIRONMENT, Layer::Whole, problems);
    }
}
