//! References between keys: suites, environments and branches that are named must exist.

use std::collections::BTreeMap;

use super::container_suites;
use super::layers::{EnvironmentLayers, Layers};
use super::open_secrets;
use super::problem::Problems;
use super::release_inputs::named_file;
use super::tree::{Node, Origin};
use super::value_sources;

/// Adds a problem for every reference to something that does not exist or is not allowed there.
pub(super) fn check(layers: &Layers, problems: &mut Problems) {
    let suites = keys_of(layers.file.get("suites"));
    let names: Vec<&str> = layers.environments.iter().map(|environment| environment.name.as_str()).collect();
    for environment in &layers.environments {
        check_suites(environment, &suites, problems);
        container_suites::check_environment(environment, layers.file.get("suites"), problems);
        for (outer, inner) in [("promote", "to"), ("requires", "proven-in"), ("requires", "pull-request")] {
            let node = environment.merged.get(outer).and_then(|node| node.get(inner));
            check_environment(environment, node, &names, problems);
        }
        check_target(environment, problems);
        value_sources::check(environment, problems);
        check_proof_level(environment, &layers.environments, problems);
        check_approvals(environment, problems);
        let probes = environment.merged.get("health").and_then(|health| health.get("probes"));
        check_plain_variables(probes, problems);
        check_pull_request(environment, &layers.environments, problems);
    }
    check_programs(layers, problems);
    open_secrets::check(layers, problems);
    check_plain_variables(layers.file.get("suites"), problems);
    container_suites::check_definitions(layers.file.get("suites"), problems);
    check_promotions(layers, problems);
    check_proofs(layers, problems);
    check_branches(layers, problems);
}

fn keys_of(node: Option<&Node>) -> Vec<&str> {
    let entries = node.and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn entries_of(node: Option<&Node>) -> Vec<&Node> {
    let entries = node.and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    entries.iter().map(|entry| &entry.node).collect()
}

/// Programs: names on a search path, or files of the superproject.
fn check_programs(layers: &Layers, problems: &mut Problems) {
    let mut commands = entries_of(layers.file.get("suites"));
    for environment in &layers.environments {
        let health = environment.merged.get("health");
        for key in ["probes", "dependencies"] {
            commands.extend(entries_of(health.and_then(|health| health.get(key))));
        }
        for part in std::iter::once(&environment.merged).chain(&environment.overrides) {
            let settings = ["config", "secret"].iter().filter_map(|key| part.get(key)?.list());
            commands.extend(settings.flatten());
        }
    }
    for command in commands {
        let program = command.get("command").and_then(Node::list).and_then(<[Node]>::first);
        let Some((program, text)) = program.and_then(|node| Some((node, node.text()?))) else { continue };
        match text.strip_prefix("./") {
            Some(path) => {
                if let Err(error) = named_file(path) {
                    problems.add(&program.origin, error);
                }
            }
            None if text.contains('/') => {
                let name = text.rsplit('/').next().unwrap_or(text);
                let hint = if text.starts_with('/') {
                    format!("write `{name}`, and put its folder on the search path (`PATH`) of the job")
                } else {
                    format!("a file of the superproject is `./{text}`")
                };
                let message = format!("`{text}` is a path: a program is named as on the search path, or by `./PATH`");
                problems.add(&program.origin, message).with_hint(hint);
            }
            None => {}
        }
    }
}

fn check_suites(environment: &EnvironmentLayers, suites: &[&str], problems: &mut Problems) {
    let items = environment.merged.get("suites").and_then(Node::list).unwrap_or_default();
    let mut seen: Vec<&str> = Vec::new();
    for node in items {
        let Some(name) = node.text() else { continue };
        if !suites.contains(&name) {
            problems.add(&node.origin, format!("no suite is named `{name}`")).suggest(name, suites.iter().copied());
        } else if seen.contains(&name) {
            problems.add(&node.origin, format!("suite `{name}` stands twice"));
        }
        seen.push(name);
    }
}

/// A variable that is called plain is one that the program is given.
fn check_plain_variables(commands: Option<&Node>, problems: &mut Problems) {
    let entries = commands.and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    for command in entries {
        let list = |key: &str| command.node.get(key).and_then(Node::list).unwrap_or_default();
        let given: Vec<&str> = list("env").iter().filter_map(Node::text).collect();
        for node in list("plain") {
            let Some(name) = node.text().filter(|name| !given.contains(name)) else { continue };
            problems
                .add(&node.origin, format!("`{name}` is not in `env`"))
                .with_hint("`plain` says which of the variables in `env` hold no secret");
        }
    }
}

fn check_environment(environment: &EnvironmentLayers, node: Option<&Node>, names: &[&str], problems: &mut Problems) {
    let Some((node, name)) = node.and_then(|node| Some((node, node.text()?))) else { return };
    if name == environment.name {
        problems.add(&node.origin, format!("`{name}` is this environment itself"));
    } else if !names.contains(&name) {
        problems.add(&node.origin, format!("no environment is named `{name}`")).suggest(name, names.iter().copied());
    }
}

fn check_target(environment: &EnvironmentLayers, problems: &mut Problems) {
    let node = &environment.merged;
    // What is no list is a problem of its own.
    let deploys = node.get("deploy").is_some_and(|deploy| deploy.list().is_none_or(|services| !services.is_empty()));
    match (node.get("target"), deploys) {
        (Some(target), false) => {
            let who = if target.origin.is_base() {
                "each environment".to_owned()
            } else {
                format!("environment `{}`", environment.name)
            };
            problems
                .add(&target.origin, format!("{who} has a target and `deploy` names nothing"))
                .with_hint("`deploy: [\"**\"]` is every service");
        }
        (None, true) => {
            let origin = node.get("deploy").map_or(&environment.key_origin, |deploy| &deploy.origin);
            problems.add(origin, format!("environment `{}` deploys services and has no `target`", environment.name));
        }
        (Some(_), true) | (None, false) => {}
    }
    let kind = node.get("target").and_then(|target| target.get("kind")).and_then(Node::text);
    if let Some(conflicts) = node.get("conflicts").filter(|_| kind != Some("apply")) {
        problems
            .add(&conflicts.origin, format!("environment `{}` takes fields over and does not apply", environment.name))
            .with_hint("`conflicts` belongs to `target: { kind: apply, … }`");
    }
    if !matches!(kind, Some("helm" | "apply")) {
        for key in ["await-jobs", "ready"] {
            let Some(found) = node.get(key) else { continue };
            if found.map().is_none_or(|map| !map.entries.is_empty()) {
                let message = format!("`{key}`: environment `{}` waits for no objects of a cluster", environment.name);
                problems
                    .add(&found.origin, message)
                    .with_hint("leave it out, or let a target of a cluster deploy (`helm`, `apply`)");
            }
        }
    }
    if matches!(kind, Some("helm" | "apply")) && node.get("kubeconfig").is_none() {
        problems
            .add(
                &environment.key_origin,
                format!("environment `{}` has a target in a cluster and no `kubeconfig`", environment.name),
            )
            .with_hint("`kubeconfig: { env: KUBECONFIG_STAGING, encoding: base64 }`, or `{ file: ~/.kube/config }` on a machine of your own");
    }
    if node.get("target").is_some() && node.get("namespace").is_none() {
        problems.add(
            &environment.key_origin,
            format!("environment `{}` has a target and no `namespace`", environment.name),
        );
    }
}

/// A proof of what runs, of an environment whose target starts nothing.
fn check_proof_level(environment: &EnvironmentLayers, all: &[EnvironmentLayers], problems: &mut Problems) {
    let Some(requires) = environment.merged.get("requires") else { return };
    let Some(proof) = requires.get("proof").filter(|proof| proof.text() == Some("running")) else { return };
    let before = requires.get("proven-in").and_then(Node::text);
    let before = all.iter().filter(|other| Some(other.name.as_str()) == before);
    let is_rendered = |one: &EnvironmentLayers| {
        one.merged.get("target").and_then(|target| target.get("kind")).and_then(Node::text) == Some("render")
    };
    if std::iter::once(environment).chain(before).any(is_rendered) {
        problems
            .add(&proof.origin, "target `render` starts nothing, so that no proof of what runs can be given")
            .with_hint("`proof: stored`");
    }
}

/// Approvals are for content, and the staging branch never holds what its pull request showed: the lock commit comes on
/// top. The rule could never be met there.
fn check_approvals(environment: &EnvironmentLayers, problems: &mut Problems) {
    let role = environment.merged.get("branch").and_then(Node::text);
    let approvals = environment.merged.get("requires").and_then(|requires| requires.get("approvals"));
    let count = approvals.and_then(|approvals| approvals.get("count")).and_then(Node::integer);
    let fallback = approvals.and_then(|approvals| approvals.get("fallback")).and_then(|node| node.get("count"));
    if let (Some(count), Some(fallback)) = (count, fallback)
        && fallback.integer().is_some_and(|fewer| fewer >= count)
    {
        problems
            .add(&fallback.origin, format!("the fallback must be less than the {count} approvals that it stands for"));
    }
    if let (Some("staging"), Some(approvals)) = (role, approvals)
        && approvals.get("count").and_then(Node::integer).is_some_and(|count| count > 0)
    {
        problems
            .add(
                &approvals.origin,
                format!(
                    "environment `{}` commits locks, so that no merge there is what was approved",
                    environment.name
                ),
            )
            .with_hint("ask for approvals where the content arrives finished: in the environment that it promotes to");
    }
}

/// The suites of pull requests are asked where locks are committed, and belong to an environment that runs no branch.
fn check_pull_request(environment: &EnvironmentLayers, all: &[EnvironmentLayers], problems: &mut Problems) {
    let required = environment.merged.get("requires").and_then(|requires| requires.get("pull-request"));
    let Some((node, name)) = required.and_then(|node| Some((node, node.text()?))) else { return };
    if environment.merged.get("branch").and_then(Node::text) != Some("staging") {
        problems
            .add(&node.origin, format!("environment `{}` commits no locks", environment.name))
            .with_hint("`pull-request` belongs to the environment of the staging branch; others have `proven-in`");
    }
    let Some(tested) = all.iter().find(|other| other.name == name && name != environment.name) else { return };
    if tested.merged.get("branch").is_some() {
        problems.add(&node.origin, format!("`{name}` runs a branch: it is no environment of pull requests"));
    } else if tested.merged.get("suites").and_then(Node::list).unwrap_or_default().is_empty() {
        problems
            .add(&node.origin, format!("`{name}` has no suites: every pull request would pass"))
            .with_hint(format!("list some under `environments.{name}.suites`"));
    }
}

/// The branch of an environment's role, as text.
fn branch<'a>(layers: &'a Layers, environment: &'a EnvironmentLayers) -> Option<&'a str> {
    let role = environment.merged.get("branch")?.text()?;
    layers.file.get("branches")?.get(role)?.text()
}

fn check_promotions(layers: &Layers, problems: &mut Problems) {
    for environment in &layers.environments {
        let Some(to) = environment.merged.get("promote").and_then(|promote| promote.get("to")) else { continue };
        let Some(next) = layers.environments.iter().find(|other| Some(other.name.as_str()) == to.text()) else {
            continue;
        };
        if next.name == environment.name {
            continue;
        }
        let (from_branch, to_branch) = (branch(layers, environment), branch(layers, next));
        for (one, branch) in [(environment, from_branch), (next, to_branch)] {
            if branch.is_none() {
                problems
                    .add(&to.origin, format!("environment `{}` has no branch to promote between", one.name))
                    .with_hint(format!("`branch:` in `environments.{}` names a role of `branches`", one.name));
            }
        }
        if let (Some(from), Some(into)) = (from_branch, to_branch)
            && from == into
        {
            problems.add(&to.origin, format!("`{}` and `{}` both run branch `{from}`", environment.name, next.name));
        }
    }
}

/// `proven-in` must lead somewhere: a ring would never be entered.
fn check_proofs(layers: &Layers, problems: &mut Problems) {
    let before: BTreeMap<&str, &Node> = layers
        .environments
        .iter()
        .filter_map(|environment| {
            Some((environment.name.as_str(), environment.merged.get("requires")?.get("proven-in")?))
        })
        .collect();
    for (name, node) in &before {
        let mut current = node.text().unwrap_or_default();
        let mut steps = 1;
        while let Some(next) = before.get(current).and_then(|node| node.text()) {
            if current == *name || steps > before.len() {
                break;
            }
            current = next;
            steps += 1;
        }
        if current == *name && steps > 1 {
            problems.add(&node.origin, format!("`{name}` waits for itself: `proven-in` goes in a ring"));
        }
    }
}

fn check_branches(layers: &Layers, problems: &mut Problems) {
    let Some(branches) = layers.file.get("branches").and_then(Node::map) else { return };
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for entry in &branches.entries {
        let Some(name) = entry.node.text() else { continue };
        if let Some((_, role)) = seen.iter().find(|(known, _)| *known == name) {
            let origin = match entry.node.origin {
                Origin::File(_) => &entry.node.origin,
                Origin::Default => branches.get(role).map_or(&entry.node.origin, |node| &node.origin),
            };
            problems.add(origin, format!("branch `{name}` is both `{role}` and `{}`", entry.key));
        }
        seen.push((name, &entry.key));
    }
}
