//! Reading a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lock_model::{ConfigDigest, Digest, TreePath, config_digest};

use super::cross;
use super::decode;
use super::environment::{ProbeKind, SourceValue};
use super::layers::layers;
use super::parse;
use super::problem::{ConfigErrors, Problems, Source};
use super::tree::{Entry, Map, Node, Origin, Value};
use super::types::{CommandLine, Config, RegistrySettings};

impl Config {
    /// Reads a configuration: all that is wrong with it is said at once, each thing with its place.
    ///
    /// `name` is what messages call the file; `text` is its bytes.
    pub fn load(name: &str, text: &[u8]) -> Result<Self, ConfigErrors> {
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
        cross::check(&layers, &mut problems);
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

    /// Every file of the superproject that an environment or a suite names.
    pub fn files_named(&self) -> BTreeSet<TreePath> {
        let mut files: BTreeSet<TreePath> = self.suites.values().flat_map(super::types::Suite::files).collect();
        files.extend(self.registries.values().flat_map(RegistrySettings::files).cloned());
        for environment in self.environments.values() {
            if let Some(SourceValue::File(path)) = &environment.url {
                files.insert(path.clone());
            }
            let commands = environment.health.probes.values().filter_map(|probe| match &probe.kind {
                ProbeKind::Command(command) => Some(command),
                ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => None,
            });
            files.extend(commands.filter_map(CommandLine::file).cloned());
        }
        files
    }

    /// The configuration's digest: of `orchestrator.yaml` and of every file that it names.
    ///
    /// `text` is the bytes of `orchestrator.yaml`; `files` the digests of [`Config::files_named`].
    pub fn digest(text: &[u8], files: &BTreeMap<TreePath, Digest>) -> ConfigDigest {
        let own = TreePath::try_from(lock_model::CONFIG_FILE).expect("the constant is a path");
        let mut all = files.clone();
        all.insert(own, Digest::of(text));
        config_digest(&all)
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
