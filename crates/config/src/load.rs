//! Bytes → configuration.

use std::sync::Arc;

use super::decode;
use super::layers::{Layers, layers};
use super::parse;
use super::problem::{ConfigErrors, Problems, Source};
use super::references;
use super::tree::{Entry, Map, Node, Value};
use super::types::Config;

impl Config {
    /// Parses a configuration; the error lists every problem with its place.
    ///
    /// `name` is what messages call the file; `text` is its bytes.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, ConfigErrors> {
        let shown = Arc::from(String::from_utf8_lossy(text));
        let source = Source { name: Arc::from(name), text: shown };
        let mut problems = Problems::new(source.clone());
        let Some(root) = parse::parse(text, &mut problems) else {
            if problems.is_empty() {
                problems.add_at(None, "the file is empty").with_hint("it begins with `version: 1`");
            }
            return Err(problems.into_errors());
        };
        if !check_version(&root, &mut problems) {
            return Err(problems.into_errors());
        }
        let layers = layers(root, &mut problems);
        let modes = layers.environments.iter().filter_map(|one| one.merged.get("mode")?.text());
        problems.join_environments(
            modes.chain(layers.environments.iter().map(|one| one.name.as_str())).map(str::to_owned).collect(),
        );
        references::check(&layers, &mut problems);
        let config = decode::decode(&layers, &mut problems);
        if problems.is_empty() && config.is_none() {
            problems.add_at(None, "the file passed every check and cannot be read: a fault of this program");
        }
        match config {
            Some(config) if problems.is_empty() => Ok(Self { tree: merged(layers), ..config }),
            Some(_) | None => Err(problems.into_errors()),
        }
    }
}

/// The tree of the whole file, with merged environments.
fn merged(layers: Layers) -> Node {
    let environments = layers.environments.into_iter().map(|environment| {
        let mut node = environment.merged;
        if let (Value::Map(map), false) = (&mut node.value, environment.overrides.is_empty()) {
            map.entries.push(Entry::by_default("overrides", Value::List(environment.overrides)));
        }
        Entry { key: environment.name, key_origin: environment.key_origin, node }
    });
    let environments = Value::Map(Map { entries: environments.collect() });
    let mut tree = layers.file;
    if let Value::Map(map) = &mut tree.value {
        map.remove("environments");
        map.entries.push(Entry::by_default("environments", environments));
    }
    tree
}

/// The version is judged before anything else: a newer file is not a file full of unknown keys.
fn check_version(root: &Node, problems: &mut Problems) -> bool {
    let Some(map) = root.map() else {
        problems.add(&root.origin, format!("the file is {}, not a map of keys", root.kind()));
        return false;
    };
    match map.entry("version") {
        None => {
            problems.add(&root.origin, "`version` is missing").with_hint("the file begins with `version: 1`");
            false
        }
        Some(entry) => match entry.node.value {
            Value::Integer(1) => true,
            Value::Integer(version) => {
                problems
                    .add(&entry.node.origin, format!("version {version} is not known; this program reads version 1"));
                false
            }
            _ => {
                problems.add(&entry.node.origin, format!("the version is the number 1, not {}", entry.node.kind()));
                false
            }
        },
    }
}
