//! Reading a configuration.

use std::sync::Arc;

use super::decode;
use super::layers::layers;
use super::parse;
use super::problem::{ConfigErrors, Problems, Source};
use super::references;
use super::tree::{Entry, Map, Node, Origin, Value};
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
        references::check(&layers, &mut problems);
        let parts = decode::decode(&layers, &mut problems);
        match (problems.is_empty(), parts) {
            (true, Some(parts)) => {
                let mut tree = layers.file;
                let entries = layers.environments.into_iter().map(|environment| {
                    let mut node = environment.merged;
                    if let (Value::Map(map), false) = (&mut node.value, environment.overrides.is_empty()) {
                        let overrides = Node { value: Value::List(environment.overrides), origin: Origin::Default };
                        map.entries.push(Entry {
                            key: "overrides".to_owned(),
                            key_origin: Origin::Default,
                            node: overrides,
                        });
                    }
                    Entry { key: environment.name, key_origin: environment.key_origin, node }
                });
                let environments =
                    Node { value: Value::Map(Map { entries: entries.collect() }), origin: Origin::Default };
                if let Value::Map(map) = &mut tree.value {
                    map.remove("environments");
                    map.entries.push(Entry {
                        key: "environments".to_owned(),
                        key_origin: Origin::Default,
                        node: environments,
                    });
                }
                Ok(parts.into_config(tree, source))
            }
            (true, None) => {
                problems.add_at(None, "the file passed every check and cannot be read: a fault of this program");
                Err(problems.into_errors())
            }
            (false, _) => Err(problems.into_errors()),
        }
    }
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
