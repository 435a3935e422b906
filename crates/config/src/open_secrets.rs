//! Credentials that other keys would hand on: `config` to a `ConfigMap`, which needs no right to read secrets, and suites,
//! probes and programs to code that a change brings with it.

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
    let own: BTreeMap<&str, &str> = layers.environments.iter().flat_map(own_credentials).filter(can_be_given).collect();
    let places = layers.environments.iter().flat_map(|environment| {
        std::iter::once(&environment.merged).chain(&environment.overrides).filter_map(Node::map)
    });
    let places = places.flat_map(|map| &map.entries).filter(|entry| entry.key != "config");
    for entry in layers.file.get("suites").and_then(Node::map).into_iter().flat_map(|map| &map.entries).chain(places) {
        let mut found = Vec::new();
        given(entry, &mut found);
        for (node, name) in found {
            if let Some(what) = own.get(name) {
                handed_on(problems, node, name, what);
            }
        }
    }
    let is_kubeconfig = |name: &str| {
        let mut own = layers.environments.iter().flat_map(own_credentials);
        own.any(|(one, what)| one == name && what == KUBECONFIG)
    };
    for environment in &layers.environments {
        let password = environment.merged.get("pull-secret").and_then(|pull| pull.get("password")?.get("env"));
        if let Some((node, name)) = password.and_then(|node| Some((node, node.text()?)))
            && is_kubeconfig(name)
        {
            handed_on(problems, node, name, KUBECONFIG);
        }
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

const KUBECONFIG: &str = "a kubeconfig";

fn handed_on(problems: &mut Problems, node: &Node, name: &str, what: &str) {
    problems
        .add(&node.origin, format!("`{name}` holds {what}: no suite, probe, program or setting is given it"))
        .with_hint("give it a variable of its own, with a login that may do only what it needs");
}

/// The variables of an environment by which orchestrator itself reaches cluster and registry, with what they hold.
fn own_credentials(environment: &EnvironmentLayers) -> Vec<(&str, &'static str)> {
    let variable = |path: &[&str]| {
        let mut node = &environment.merged;
        for key in path {
            node = node.get(key)?;
        }
        node.text()
    };
    let kubeconfig = variable(&["kubeconfig", "env"]).map(|name| (name, KUBECONFIG));
    let pull = variable(&["pull-secret", "password", "env"]).map(|name| (name, "the password of a registry"));
    kubeconfig.into_iter().chain(pull).collect()
}

/// The variables of an environment that hold credentials, with what they hold.
fn credentials(environment: &EnvironmentLayers) -> Vec<(&str, &'static str)> {
    let probes =
        ["dependencies", "probes"].into_iter().filter_map(|key| environment.merged.get("health")?.get(key)?.map());
    let logins = probes.flat_map(|map| &map.entries).filter_map(|entry| {
        let name = entry.node.get("login")?.get("password")?.get("env")?.text()?;
        Some((name, "the password of a dependency"))
    });
    own_credentials(environment).into_iter().chain(logins).collect()
}

/// Every variable that a key names or fills in, with where it stands; not those of the keys by which a kubeconfig and the
/// password of the pull secret are read.
fn given<'a>(entry: &'a Entry, found: &mut Vec<(&'a Node, &'a str)>) {
    let Entry { key, node, .. } = entry;
    match key.as_str() {
        "kubeconfig" => {
            let allowed = node.map().into_iter().flat_map(|map| &map.entries).filter(|entry| entry.key == "allow");
            return allowed.for_each(|entry| given(entry, found));
        }
        "pull-secret" => {
            let username = node.map().into_iter().flat_map(|map| &map.entries).filter(|entry| entry.key == "username");
            return username.for_each(|entry| given(entry, found));
        }
        "env" | "variables" | "keys-from-env" | "plain" => {
            let nodes = std::iter::once(node).chain(node.list().unwrap_or_default());
            found.extend(nodes.filter_map(|node| Some((node, node.text()?))));
        }
        _ => {}
    }
    let filled = node.text().unwrap_or_default().split("{env:").skip(1);
    found.extend(filled.filter_map(|rest| Some((node, rest.split_once('}')?.0))));
    let below = node.list().unwrap_or_default().iter().chain(std::iter::once(node));
    for entry in below.filter_map(Node::map).flat_map(|map| &map.entries) {
        given(entry, found);
    }
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
