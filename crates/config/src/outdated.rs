//! Entries that do nothing any more: exceptions whose last day has passed, and allowed sources that no submodule comes from.

use lock_model::{Date, RepositoryUrl};

use super::problem::{Problem, Problems};
use super::submodules::AllowedSource;
use super::tree::Node;
use super::types::Config;

impl Config {
    /// Exceptions whose last day was before `today`, where they stand, and what becomes of them.
    pub fn passed_exceptions(&self, today: Date) -> Vec<Problem> {
        let mut found = Problems::new(self.source.clone());
        let mut check = |node: &Node, until: Date, what: &str| {
            if until < today {
                let day = node.get("until").unwrap_or(node);
                found
                    .add(&day.origin, format!("{until} has passed: {what}"))
                    .with_hint("set another day in a pull request, or take the entry out");
            }
        };
        for environment in self.environments.values() {
            let node = |keys: &[&str]| self.environment_node(environment.name.as_str(), keys);
            let entry = |keys: &[&str], name: &str| node(keys).and_then(|map| map.get(name));
            for (name, skipped) in &environment.not_deployed {
                if let Some(node) = entry(&["not-deployed"], name.as_str()) {
                    check(node, skipped.until, &format!("a deployment that leaves `{name}` out is refused"));
                }
            }
            let images = node(&["unpinned-images"]).and_then(Node::map);
            for entry in images.into_iter().flat_map(|map| &map.entries) {
                let until = entry.node.get("until").and_then(Node::text).and_then(|text| text.parse().ok());
                if let Some(until) = until {
                    check(&entry.node, until, &format!("a deployment with `{}` is refused", entry.key));
                }
            }
            let fallback = environment.requires.approvals.as_ref().and_then(|required| required.fallback.as_ref());
            if let (Some(fallback), Some(node)) = (fallback, node(&["requires", "approvals", "fallback"])) {
                check(node, fallback.until, "this number of approvals is enough no longer");
            }
        }
        found.into_list()
    }

    /// Entries of `submodules.allow` that none of these addresses of submodules needs.
    pub fn idle_sources(&self, addresses: &[RepositoryUrl]) -> Vec<Problem> {
        let mut found = Problems::new(self.source.clone());
        let sources: Vec<AllowedSource> = addresses.iter().filter_map(AllowedSource::of).collect();
        let entries = self.tree.get("submodules").and_then(|rules| rules.get("allow")?.list()).unwrap_or_default();
        for node in entries {
            let Some(allowed) = node.text().and_then(|text| AllowedSource::try_from(text).ok()) else { continue };
            if !sources.iter().any(|source| allowed.covers(source)) {
                found
                    .add(&node.origin, format!("no submodule comes from `{allowed}`"))
                    .with_hint("take the entry out: a pull request could bring a submodule from there");
            }
        }
        found.into_list()
    }
}
