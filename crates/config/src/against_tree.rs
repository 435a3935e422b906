//! The configuration against a tree of the superproject: files that it names, patterns, and rules that nothing can meet.

use std::collections::BTreeSet;

use lock_model::{EnvironmentName, ServiceName, TreePath};

use super::decode::longest_commit;
use super::environment::SourceFolder;
use super::problem::{ConfigErrors, Problem, Problems};
use super::service_rules::{ServiceAssignment, source_folder};
use super::tree::{Node, Origin};
use super::types::Config;
use crate::patterns::{Alternative, Pattern};

/// A tree of the superproject: a commit's, or the work tree.
pub trait SuperprojectTree {
    /// The paths of its submodules.
    fn submodules(&self) -> Vec<TreePath>;
    /// What stands at a path.
    fn entry(&self, path: &TreePath) -> TreeEntry;
}

/// What stands at a path of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeEntry {
    /// Nothing.
    Missing,
    /// Something that this user may not look at.
    Unreadable,
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, which no release follows.
    Link,
    /// A submodule.
    Submodule,
}

impl TreeEntry {
    /// What is wrong with it where something else is read.
    fn wrong(self, wanted: Self) -> Option<&'static str> {
        match self {
            found if found == wanted => None,
            Self::Missing => Some("is not in the tree"),
            Self::Unreadable => Some("cannot be looked at: this user may not go through the folders that lead there"),
            Self::File => Some("is a file, and a folder is wanted"),
            Self::Folder => Some("is a folder, and a file is wanted"),
            Self::Link => Some("is a symbolic link, which no release follows: commit the content itself"),
            Self::Submodule => Some("is a submodule: keep what is read beside the submodules"),
        }
    }
}

/// Folders that one line of the configuration names and that are not what is wanted, all for the same reason.
#[derive(Default)]
struct WrongFolders<'a> {
    folders: BTreeSet<TreePath>,
    services: BTreeSet<&'a ServiceName>,
    environments: BTreeSet<&'a EnvironmentName>,
}

impl WrongFolders<'_> {
    /// How many names are written out.
    const NAMED: usize = 4;

    fn message(&self, wrong: &str) -> String {
        let (folders, services, environments) =
            (Self::list(&self.folders), Self::list(&self.services), Self::list(&self.environments));
        let each = if self.folders.len() == 1 { "" } else { "each of " };
        let have = if self.services.len() == 1 { "has its manifests" } else { "have their manifests" };
        format!("{each}{folders}, where {services} {have} for {environments}, {wrong}")
    }

    fn list<T: std::fmt::Display>(names: &BTreeSet<T>) -> String {
        let shown: Vec<String> = names.iter().take(Self::NAMED).map(|name| format!("`{name}`")).collect();
        let more = names.len().saturating_sub(Self::NAMED);
        if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
    }
}

/// Whether the forge lets nothing into the staging branch without the status of its suites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuitesStatus {
    /// The branch requires it.
    Required,
    /// It does not, or no forge is known.
    NotRequired,
}

impl Config {
    /// Judges the configuration together with a tree. Gives what is worth a look although nothing is wrong.
    ///
    /// # Errors
    ///
    /// What [`assign_services`](Self::assign_services) says, files and folders that are not there, an alternative of a
    /// pattern that matches nothing, namespaces and overrides that no object can have, and a required status that no
    /// suite can earn: each with its place.
    pub fn check_tree(&self, tree: &dyn SuperprojectTree, status: SuitesStatus) -> Result<Vec<Problem>, ConfigErrors> {
        let mut problems = Problems::new(self.source.clone());
        let services = self.assign_all(&tree.submodules(), &mut problems);
        self.check_alternatives(&services, &mut problems);
        self.check_files(tree, &mut problems);
        self.check_folders(tree, &services, &mut problems);
        self.check_namespaces(&services, &mut problems);
        self.check_status(status, &mut problems);
        self.check_suite_images(&services, &mut problems);
        if problems.is_empty() { Ok(self.warnings(&services)) } else { Err(problems.into_errors()) }
    }

    /// An alternative within braces that matches nothing, where the pattern as a whole matches something.
    fn check_alternatives(&self, services: &[ServiceAssignment], problems: &mut Problems) {
        let mut check = |pattern: &Pattern, origin: &Origin, what: &str, is_meant: &dyn Fn(&Pattern) -> bool| {
            if !is_meant(pattern) {
                return;
            }
            let mut idle = BTreeSet::new();
            for (number, Alternative { text, pattern: alone, within }) in pattern.alternatives().into_iter().enumerate()
            {
                if is_meant(&alone) {
                    continue;
                }
                idle.insert(number);
                // What is within it matches nothing either.
                if within.is_none_or(|outer| !idle.contains(&outer)) {
                    let called = if text.is_empty() { "the empty alternative".to_owned() } else { format!("`{text}`") };
                    problems.add(origin, format!("{called} in pattern `{pattern}` matches no {what}"));
                }
            }
        };
        let submodule = |pattern: &Pattern| services.iter().any(|service| pattern.matches_path(&service.path));
        let service = |pattern: &Pattern| services.iter().any(|one| pattern.matches(&one.name, &one.path));
        for rule in &self.services {
            check(&rule.pattern, &rule.match_origin, "submodule", &submodule);
        }
        for environment in self.environments.values() {
            let items = self.environment_node(environment.name.as_str(), &["deploy"]).and_then(Node::list);
            for (pattern, node) in environment.deploy.iter().zip(items.unwrap_or_default()) {
                check(pattern, &node.origin, "service", &service);
            }
            for entry in &environment.overrides {
                check(&entry.pattern, &entry.match_origin, "service", &service);
            }
            for entry in &environment.waves {
                check(&entry.pattern, &entry.match_origin, "service", &service);
            }
            for entry in &environment.migrations {
                check(&entry.pattern, &entry.match_origin, "service", &service);
            }
        }
    }

    fn check_files(&self, tree: &dyn SuperprojectTree, problems: &mut Problems) {
        for (node, text) in self.file_nodes() {
            let Ok(path) = TreePath::try_from(text) else { continue };
            if let Some(wrong) = tree.entry(&path).wrong(TreeEntry::File) {
                problems.add(&node.origin, format!("`{path}` {wrong}"));
            }
        }
    }

    /// The nodes that name files of the superproject, with the path that each says.
    fn file_nodes(&self) -> Vec<(&Node, &str)> {
        let each =
            |key: &str| self.tree.get(key).and_then(Node::map).map(|map| map.entries.as_slice()).unwrap_or_default();
        let mut nodes: Vec<Option<&Node>> = Vec::new();
        let mut commands: Vec<&Node> = Vec::new();
        for suite in each("suites") {
            nodes.push(suite.node.get("file"));
            nodes.extend(suite.node.get("files").and_then(Node::list).unwrap_or_default().iter().map(Some));
            commands.push(&suite.node);
        }
        for environment in each("environments") {
            nodes.push(environment.node.get("url").and_then(|url| url.get("file")));
            for key in ["probes", "dependencies"] {
                let questions = environment.node.get("health").and_then(|health| health.get(key)).and_then(Node::map);
                for entry in questions.iter().flat_map(|map| &map.entries) {
                    nodes.push(entry.node.get("ca").and_then(|source| source.get("file")));
                    commands.push(&entry.node);
                }
            }
        }
        for registry in each("registries") {
            nodes.push(registry.node.get("ca").and_then(|source| source.get("file")));
            let certificate = registry.node.get("client-certificate").and_then(|both| both.get("certificate"));
            nodes.push(certificate.and_then(|source| source.get("file")));
        }
        let programs = commands.into_iter().filter_map(|node| {
            let program = node.get("command").and_then(Node::list)?.first()?;
            Some((program, program.text()?.strip_prefix("./")?))
        });
        nodes.into_iter().flatten().filter_map(|node| Some((node, node.text()?))).chain(programs).collect()
    }

    /// Folders of manifests in the superproject.
    fn check_folders(&self, tree: &dyn SuperprojectTree, services: &[ServiceAssignment], problems: &mut Problems) {
        let mut found: Vec<(&Origin, &str, WrongFolders<'_>)> = Vec::new();
        for environment in self.environments.values() {
            let Some(target) = &environment.target else { continue };
            for service in services.iter().filter(|one| environment.deploys(&one.name, &one.path)) {
                let source = environment.source(target, &service.name, &service.path);
                let Ok(SourceFolder::InTree(folder)) = source_folder(&source, &service.path) else { continue };
                let Some(wrong) = tree.entry(&folder).wrong(TreeEntry::Folder) else { continue };
                let origin = environment.source_origin(target, &service.name, &service.path);
                let known = found.iter().position(|(at, what, _)| at.place() == origin.place() && *what == wrong);
                let index = known.unwrap_or_else(|| {
                    found.push((origin, wrong, WrongFolders::default()));
                    found.len() - 1
                });
                let Some((.., folders)) = found.get_mut(index) else { continue };
                folders.folders.insert(folder);
                folders.services.insert(&service.name);
                folders.environments.insert(&environment.name);
            }
        }
        for (origin, wrong, folders) in found {
            problems.add(origin, folders.message(wrong));
        }
    }

    /// Namespaces that need no entry, and overrides of services whose objects an environment never has.
    fn check_namespaces(&self, services: &[ServiceAssignment], problems: &mut Problems) {
        for environment in self.environments.values() {
            let name = &environment.name;
            let node = |keys: &[&str]| self.environment_node(name.as_str(), keys);
            let own = environment.namespace.as_ref().map(AsRef::<str>::as_ref);
            let overrides = node(&["overrides"]).and_then(Node::list).unwrap_or_default();
            let lists =
                node(&["namespaces"]).into_iter().chain(overrides.iter().filter_map(|entry| entry.get("namespaces")));
            for entry in lists.filter_map(|rule| rule.get("allow")?.list()).flatten() {
                if entry.text().is_some() && entry.text() == own {
                    problems.add(
                        &entry.origin,
                        format!("no object of `{name}` needs this: it is the environment's own namespace"),
                    );
                }
            }
            if environment.target.is_none() {
                continue;
            }
            let overrides = environment.overrides.iter().map(|entry| (&entry.pattern, &entry.match_origin));
            let migrations = environment.migrations.iter().map(|entry| (&entry.pattern, &entry.match_origin));
            let noise = environment.noise.iter().map(|entry| (&entry.pattern, &entry.match_origin));
            for (pattern, origin) in overrides.chain(migrations).chain(noise) {
                let mut meant = services.iter().filter(|one| pattern.matches(&one.name, &one.path)).peekable();
                if meant.peek().is_some() && meant.all(|one| !environment.deploys(&one.name, &one.path)) {
                    let message = format!("`{name}` deploys no service that `{pattern}` names");
                    problems.add(origin, message);
                }
            }
        }
    }

    /// The status of suites is set for an environment of pull requests, by the suites that it has.
    fn check_status(&self, status: SuitesStatus, problems: &mut Problems) {
        let mut tested = self.environments.values().filter(|one| one.role.is_none() && one.target.is_none()).peekable();
        if status == SuitesStatus::NotRequired || self.environments.is_empty() {
            return;
        }
        let first = tested.peek().map(|one| one.name.as_str());
        if tested.any(|one| !one.suites.is_empty()) {
            return;
        }
        let staging = &self.branches.staging;
        let message = format!(
            "the forge merges nothing into `{staging}` without the status of its suites, and no environment of pull \
             requests has a suite: the status can never be set"
        );
        let origin = first.and_then(|name| {
            let suites = self.environment_node(name, &["suites"]).filter(|node| node.origin.place().is_some());
            suites.or_else(|| self.environment_node(name, &[])).map(|node| node.origin.clone())
        });
        problems
            .add(&origin.unwrap_or(Origin::Default), message)
            .with_hint("list suites in an environment without `branch`, or take the status from the branch's rules");
    }

    /// What is worth a look although nothing is wrong.
    fn warnings(&self, services: &[ServiceAssignment]) -> Vec<Problem> {
        let mut warnings = Problems::new(self.source.clone());
        self.check_ports(services, &mut warnings);
        for environment in self.environments.values() {
            let name = &environment.name;
            let before = environment.requires.proven_in.as_ref();
            let Some(before) = before.and_then(|before| self.environments.get(before)) else { continue };
            if before.promote.as_ref().is_some_and(|promote| promote.to == *name) {
                continue;
            }
            let origin =
                self.environment_node(name.as_str(), &["requires", "proven-in"]).map(|node| node.origin.clone());
            warnings
                .add(
                    &origin.unwrap_or(Origin::Default),
                    format!("`{}` does not promote to `{name}`: no pull request brings a release there", before.name),
                )
                .with_hint(format!("`promote: {{ to: {name} }}` in `environments.{}`", before.name));
        }
        warnings.into_list()
    }

    /// Settings of a host whose images are all at a port of it, for which there are no settings.
    fn check_ports(&self, services: &[ServiceAssignment], warnings: &mut Problems) {
        let images = services.iter().flat_map(|service| service.candidates(&longest_commit()));
        let hosts: BTreeSet<String> = images.map(|(repository, _)| repository.host().to_owned()).collect();
        let entries = self.tree.get("registries").and_then(Node::map).map(|map| map.entries.as_slice());
        for entry in entries.unwrap_or_default().iter().filter(|entry| !hosts.contains(&entry.key)) {
            let at_port = |host: &&String| host.rsplit_once(':').is_some_and(|(name, _)| name == entry.key);
            let Some(host) = hosts.iter().find(at_port).filter(|host| !self.registries.contains_key(*host)) else {
                continue;
            };
            let message = format!("these are no settings of `{host}`, where images are: the port belongs to the name");
            warnings.add(&entry.key_origin, message).with_hint(format!("`\"{host}\":` in `registries`"));
        }
    }

    /// Where the file says what an environment has below these keys, also where that is in `base`: `orchestrator.yaml:12:5`.
    /// `None` where it says nothing.
    pub fn written_at(&self, environment: &EnvironmentName, keys: &[&str]) -> Option<String> {
        let place = self.environment_node(environment.as_str(), keys)?.origin.place()?;
        Some(format!("{}:{}:{}", self.source.name, place.line, place.column))
    }

    pub(super) fn environment_node(&self, name: &str, keys: &[&str]) -> Option<&Node> {
        let environment = self.tree.get("environments")?.get(name)?;
        keys.iter().try_fold(environment, |node, key| node.get(key))
    }
}
