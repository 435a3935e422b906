//! Suites that are containers: what their keys have to do with each other, with environments and with services.

use super::layers::EnvironmentLayers;
use super::problem::Problems;
use super::service_rules::{AssignedKind, ServiceAssignment};
use super::suites::Suite;
use super::tree::{Entry, Node};
use super::types::Config;

/// What is wrong with the definitions alone.
pub(super) fn check_definitions(suites: Option<&Node>, problems: &mut Problems) {
    for Entry { key: name, node, .. } in containers(suites) {
        match (node.get("service"), node.get("image")) {
            (Some(_), None) | (None, Some(_)) => {}
            (Some(_), Some(image)) => {
                problems
                    .add(&image.origin, format!("suite `{name}` has a `service` and an `image`"))
                    .with_hint("`service` runs its locked image; leave one of the two out");
            }
            (None, None) => {
                problems
                    .add(&node.origin, format!("suite `{name}` names no image"))
                    .with_hint("`service: NAME` runs its locked image, `image: REPOSITORY@sha256:…` another one");
            }
        }
        let set = node.get("set-env").and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
        for given in node.get("env").and_then(Node::list).unwrap_or_default() {
            if set.iter().any(|entry| Some(entry.key.as_str()) == given.text()) {
                let name = given.text().unwrap_or_default();
                problems.add(&given.origin, format!("`{name}` is in `set-env` as well"));
            }
        }
    }
}

/// What an environment lacks to run the containers that it lists.
pub(super) fn check_environment(environment: &EnvironmentLayers, suites: Option<&Node>, problems: &mut Problems) {
    let name = &environment.name;
    let has = |key: &str| environment.merged.get(key).is_some();
    let listed = environment.merged.get("suites").and_then(Node::list).unwrap_or_default();
    for node in listed {
        let Some(Entry { key: suite, node: definition, .. }) =
            containers(suites).find(|entry| Some(entry.key.as_str()) == node.text())
        else {
            continue;
        };
        if !has("containers") {
            problems
                .add(&node.origin, format!("suite `{suite}` is a container, and `{name}` does not say where it runs"))
                .with_hint("`containers: job` runs it as a Job in the environment's namespace");
            continue;
        }
        for key in ["kubeconfig", "namespace"] {
            if !has(key) {
                let message = format!("suite `{suite}` runs as a Job, and `{name}` has no `{key}`");
                problems.add(&node.origin, message);
            }
        }
        if definition.get("service").is_some() && !has("branch") {
            problems
                .add(
                    &node.origin,
                    format!("suite `{suite}` runs a locked image, and `{name}` has no `branch` that carries a lock"),
                )
                .with_hint("list it where the lock is deployed, or give the suite an `image`");
        }
    }
}

fn containers(suites: Option<&Node>) -> impl Iterator<Item = &Entry> {
    let entries = suites.and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
    entries.iter().filter(|entry| entry.node.get("kind").and_then(Node::text) == Some("container"))
}

impl Config {
    /// Why no lock gives a suite its image; `None` where one does, and where it needs none.
    pub fn suite_image_problem(&self, suite: &Suite, services: &[ServiceAssignment]) -> Option<String> {
        let wanted = suite.service()?;
        match services.iter().find(|service| service.name == *wanted).map(|service| &service.kind) {
            Some(AssignedKind::Image(_)) => None,
            Some(AssignedKind::Configuration) => Some(format!("service `{wanted}` has no image")),
            None => {
                let near = super::problem::nearest(wanted.as_str(), services.iter().map(|one| one.name.as_str()));
                let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
                Some(format!("no service is named `{wanted}`{near}"))
            }
        }
    }

    /// The services whose images suites run.
    pub(super) fn check_suite_images(&self, services: &[ServiceAssignment], problems: &mut Problems) {
        for suite in self.suites.values() {
            let Some(message) = self.suite_image_problem(suite, services) else { continue };
            let node = self.tree.get("suites").and_then(|suites| suites.get(suite.name.as_str())?.get("service"));
            let origin = node.map_or(super::tree::Origin::Default, |node| node.origin.clone());
            problems.add(&origin, message);
        }
    }
}
