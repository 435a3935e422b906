//! Credentials that `config` would write into a `ConfigMap`, which needs no right to read secrets.

use std::collections::BTreeMap;

use super::layers::{EnvironmentLayers, Layers};
use super::problem::Problems;
use super::tree::{Entry, Node};
use super::values::is_login;

/// Adds a problem for each source of `config` that is given a variable which holds credentials elsewhere in the file.
pub(super) fn check(layers: &Layers, problems: &mut Problems) {
    // What is no variable that can be given is told elsewhere.
    let can_be_given = |(name, _): &(&str, &str)| !is_login(name);
    let found = layers.environments.iter().flat_map(credentials).filter(can_be_given);
    let credentials: BTreeMap<&str, &str> = found.collect();
    for environment in &layers.environments {
        let parts = std::iter::once(&environment.merged).chain(&environment.overrides);
        for source in parts.filter_map(|node| node.get("config")?.list()).flatten() {
            for (node, name) in variables(source) {
                if let Some(what) = credentials.get(name) {
                    problems
                        .add(
                            &node.origin,
                            format!("`{name}` holds {what}, and `config` is stored where it can be read"),
                        )
                        .with_hint("leave it out: what must not be read belongs into `secret`");
                }
            }
        }
    }
}

/// The variables of an environment that hold credentials, with what they hold.
fn credentials(environment: &EnvironmentLayers) -> Vec<(&str, &'static str)> {
    let variable = |path: &[&str]| {
        let mut node = &environment.merged;
        for key in path {
            node = node.get(key)?;
        }
        node.text()
    };
    let kubeconfig = variable(&["kubeconfig", "env"]).map(|name| (name, "a kubeconfig"));
    let pull = variable(&["pull-secret", "password", "env"]).map(|name| (name, "the password of a registry"));
    let probes =
        ["dependencies", "probes"].into_iter().filter_map(|key| environment.merged.get("health")?.get(key)?.map());
    let logins = probes.flat_map(|map| &map.entries).filter_map(|entry| {
        let name = entry.node.get("login")?.get("password")?.get("env")?.text()?;
        Some((name, "the password of a dependency"))
    });
    kubeconfig.into_iter().chain(pull).chain(logins).collect()
}

/// The variables that a source is given by name.
fn variables(source: &Node) -> Vec<(&Node, &str)> {
    let list = |key: &str| source.get(key).and_then(Node::list).unwrap_or_default();
    let named = source.get("env").into_iter().chain(list("keys-from-env"));
    let named = named.filter_map(|node| Some((node, node.text()?)));
    let set = source.get("set").and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    let filled = set.iter().flat_map(|Entry { node, .. }| {
        let parts = node.text().unwrap_or_default().split("{env:").skip(1);
        parts.filter_map(move |rest| Some((node, rest.split_once('}')?.0)))
    });
    named.chain(filled).collect()
}
