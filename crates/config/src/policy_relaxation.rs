//! What a changed configuration asks less of than the one before: shown to reviewers.

use std::collections::BTreeSet;
use std::fmt;

use super::branches::Role;
use super::environment::{Environment, Health, NotDeployed, ProbeKind, ProofRequirement, Severity};
use super::submodules::Submodules;
use super::types::{Config, DirectPush, ImageRule, ServiceKind};
use lock_model::EnvironmentName;

/// One thing that a new configuration asks less of than the old one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct PolicyRelaxation {
    /// The environment it concerns; `None`: all of them.
    pub environment: Option<EnvironmentName>,
    /// What it concerns.
    pub kind: RelaxationKind,
    /// The change, in words.
    pub message: String,
}

/// The part of the configuration that a relaxation concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RelaxationKind {
    /// An environment is gone, runs another branch, or its namespace is another.
    Environment,
    /// Fewer approvals, or from people who did not count.
    Approvals,
    /// No proof, a weaker one, or from elsewhere.
    Proof,
    /// A suite is not run, or runs something else.
    Suites,
    /// Something is not probed, or does not stop a deployment.
    Health,
    /// Objects may lie in more namespaces.
    Namespaces,
    /// Fewer services are deployed.
    Deployment,
    /// Images are looked for elsewhere, or less is asked of them.
    Images,
    /// Submodules may come from elsewhere, or be at commits that are not pushed.
    Submodules,
    /// Another forge, another branch, or commits without a pull request.
    Forge,
}

impl fmt::Display for PolicyRelaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.environment {
            Some(environment) => write!(f, "{environment}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Lists what `new` asks less of than `old`; sorted, empty where `new` is at least as strict.
///
/// Gates read `old`, the target branch's configuration, so that a change does not decide about itself; reviewers are
/// shown this list.
pub fn policy_relaxations(old: &Config, new: &Config) -> Vec<PolicyRelaxation> {
    let mut found = Found { environment: None, list: Vec::new() };
    compare_forge(old, new, &mut found);
    compare_images(old, new, &mut found);
    compare_submodules(&old.submodules, &new.submodules, &mut found);
    for (name, before) in &old.environments {
        found.environment = Some(name.clone());
        match new.environments.get(name) {
            None => found.add(RelaxationKind::Environment, "the environment is gone".to_owned()),
            Some(after) => {
                compare_environment(before, after, &mut found);
                compare_suites(old, new, before, after, &mut found);
            }
        }
    }
    found.list.sort();
    found.list
}

struct Found {
    environment: Option<EnvironmentName>,
    list: Vec<PolicyRelaxation>,
}

impl Found {
    fn add(&mut self, kind: RelaxationKind, message: String) {
        self.list.push(PolicyRelaxation { environment: self.environment.clone(), kind, message });
    }
}

fn compare_forge(old: &Config, new: &Config, found: &mut Found) {
    if old.forge.repository != new.forge.repository || old.forge.kind != new.forge.kind {
        found.add(
            RelaxationKind::Forge,
            format!("the repository is `{}`, it was `{}`", new.forge.repository, old.forge.repository),
        );
    }
    if (old.forge.direct_push, new.forge.direct_push) == (DirectPush::Refuse, DirectPush::Relock) {
        found.add(RelaxationKind::Forge, "commits without a pull request get a lock".to_owned());
    }
    for role in Role::ALL {
        let (before, after) = (old.branches.of(*role), new.branches.of(*role));
        if before != after {
            found.add(RelaxationKind::Forge, format!("branch of role `{role}` is `{after}`, it was `{before}`"));
        }
    }
}

fn compare_images(old: &Config, new: &Config, found: &mut Found) {
    for (host, after) in &new.registries {
        let before = old.registries.get(host).cloned().unwrap_or_default();
        if let Some(mirror) = &after.mirror
            && before.mirror != after.mirror
        {
            found.add(RelaxationKind::Images, format!("requests to `{host}` go to `{mirror}`"));
        }
        if after.plain_http && !before.plain_http {
            found.add(RelaxationKind::Images, format!("`{host}` is asked without TLS"));
        }
        if after.ca.is_some() && after.ca != before.ca {
            found.add(RelaxationKind::Images, format!("other authorities are trusted for `{host}`"));
        }
        if after.client_certificate.is_some() && after.client_certificate != before.client_certificate {
            found.add(RelaxationKind::Images, format!("`{host}` is shown another certificate of ours"));
        }
    }
    compare_rule("images", &old.images, &new.images, found);
    for after in &new.services {
        let before = old.services.iter().find(|before| before.pattern == after.pattern);
        let place = format!("services `{}`", after.pattern);
        match (before.map(|rule| &rule.kind), &after.kind) {
            (Some(ServiceKind::Image(before)), ServiceKind::Image(after)) => compare_rule(&place, before, after, found),
            (Some(ServiceKind::Image(_)), ServiceKind::Configuration) => {
                found.add(RelaxationKind::Images, format!("{place}: no image is locked any more"));
            }
            (None, ServiceKind::Configuration) => {
                found.add(RelaxationKind::Images, format!("{place}: a new rule locks no image"));
            }
            (None, ServiceKind::Image(after)) => {
                compare_rule(&format!("{place}, a new rule"), &old.images, after, found);
            }
            (Some(ServiceKind::Configuration), _) => {}
        }
    }
}

fn compare_rule(place: &str, before: &ImageRule, after: &ImageRule, found: &mut Found) {
    if after.revision > before.revision {
        let message = format!("{place}: `revision` is `{}`, it was `{}`", after.revision, before.revision);
        found.add(RelaxationKind::Images, message);
    }
    if before.repository != after.repository
        && let Some(repository) = &after.repository
    {
        found.add(RelaxationKind::Images, format!("{place}: images come from `{repository}`"));
    }
    let tags = after.tags.iter().filter(|tag| !before.tags.contains(tag));
    if let Some(tags) = quoted(tags) {
        found.add(RelaxationKind::Images, format!("{place}: images are looked for under {tags}"));
    }
    let gone = before.platforms.iter().filter(|platform| !after.platforms.contains(platform));
    if let Some(gone) = quoted(gone) {
        found.add(RelaxationKind::Images, format!("{place}: {gone} is not required any more"));
    }
}

fn compare_submodules(old: &Submodules, new: &Submodules, found: &mut Found) {
    let mut add = |message: String| found.add(RelaxationKind::Submodules, message);
    match (&old.allow, &new.allow) {
        (None, None) => {}
        (Some(_), None) => add("submodules may come from everywhere".to_owned()),
        // Without a list each keeps its owner.
        (None, Some(after)) => {
            let after = quoted(after).unwrap_or_default();
            add(format!("a submodule may change its owner to any of {after}, that was refused"));
        }
        (Some(before), Some(after)) => {
            let wider = after.iter().filter(|entry| !before.iter().any(|allowed| allowed.covers(entry)));
            if let Some(wider) = quoted(wider) {
                add(format!("submodules may come from {wider}"));
            }
        }
    }
    match (&old.branches, &new.branches) {
        (None, _) => {}
        (Some(_), None) => add("commits of submodules may be on any branch or tag".to_owned()),
        (Some(before), Some(after)) => {
            let wider = after.iter().filter(|pattern| !before.iter().any(|accepted| accepted.covers(pattern)));
            if let Some(wider) = quoted(wider) {
                add(format!("commits of submodules may be on {wider}"));
            }
        }
    }
    if new.pushed > old.pushed {
        add("whether the commits of submodules are pushed is not asked any more".to_owned());
    }
}

fn compare_environment(before: &Environment, after: &Environment, found: &mut Found) {
    let shown = |value: Option<&str>| value.map_or("none".to_owned(), |value| format!("`{value}`"));
    let pairs = [
        ("branch", before.branch.as_ref().map(AsRef::as_ref), after.branch.as_ref().map(AsRef::as_ref)),
        ("namespace", before.namespace.as_ref().map(AsRef::as_ref), after.namespace.as_ref().map(AsRef::as_ref)),
        ("mode", Some(before.mode.as_str()), Some(after.mode.as_str())),
    ];
    for (key, old, new) in pairs {
        if old != new {
            found.add(RelaxationKind::Environment, format!("`{key}` is {}, it was {}", shown(new), shown(old)));
        }
    }
    if before.target.is_some() && after.target.is_none() {
        found.add(RelaxationKind::Deployment, "nothing is deployed any more".to_owned());
    }
    compare_requirements(before, after, found);
    compare_namespaces(before, after, found);
    compare_health(&before.health, &after.health, found);
    let gone = before.deploy.iter().filter(|pattern| !after.deploy.contains(pattern));
    if let Some(gone) = quoted(gone) {
        found.add(RelaxationKind::Deployment, format!("`deploy` has lost {gone}"));
    }
    for (name, NotDeployed { until, .. }) in &after.not_deployed {
        match before.not_deployed.get(name) {
            None => found.add(RelaxationKind::Deployment, format!("`{name}` is not deployed until {until}")),
            Some(old) if old.until < *until => found.add(
                RelaxationKind::Deployment,
                format!("`{name}` is not deployed until {until}, it was {}", old.until),
            ),
            Some(_) => {}
        }
    }
}

fn compare_requirements(before: &Environment, after: &Environment, found: &mut Found) {
    let (old, new) = (&before.requires, &after.requires);
    match (&old.proven_in, &new.proven_in) {
        (Some(old), None) => found.add(RelaxationKind::Proof, format!("no proof of `{old}` is required any more")),
        (Some(old), Some(new)) if old != new => {
            found.add(RelaxationKind::Proof, format!("a proof of `{new}` is required, it was `{old}`"));
        }
        (Some(_), Some(_)) | (None, _) => {}
    }
    if (old.proof, new.proof) == (ProofRequirement::Running, ProofRequirement::Stored) {
        found.add(RelaxationKind::Proof, "a proof of what is stored is enough, it was of what runs".to_owned());
    }
    let Some(old) = &old.approvals else { return };
    let Some(new) = &new.approvals else {
        found.add(RelaxationKind::Approvals, format!("no approvals are required, it was {}", old.count));
        return;
    };
    if new.count < old.count {
        found.add(RelaxationKind::Approvals, format!("{} approvals are required, it was {}", new.count, old.count));
    }
    for excluded in old.exclude.difference(&new.exclude) {
        found.add(RelaxationKind::Approvals, format!("the {excluded}'s own approval counts"));
    }
}

fn compare_namespaces(before: &Environment, after: &Environment, found: &mut Found) {
    let mut allowed: BTreeSet<_> = after.namespaces.allow.clone();
    allowed.extend(after.overrides.iter().flat_map(|entry| entry.allow.iter().flatten().cloned()));
    let mut known: BTreeSet<_> = before.namespaces.allow.clone();
    known.extend(before.overrides.iter().flat_map(|entry| entry.allow.iter().flatten().cloned()));
    for namespace in allowed.difference(&known) {
        found.add(RelaxationKind::Namespaces, format!("objects may lie in namespace `{namespace}`"));
    }
    let rewrites = |environment: &Environment| {
        environment.namespaces.rewrite || environment.overrides.iter().any(|entry| entry.rewrite == Some(true))
    };
    if rewrites(after) && !rewrites(before) {
        found.add(RelaxationKind::Namespaces, "foreign namespaces are rewritten, they were refused".to_owned());
    }
}

fn compare_health(before: &Health, after: &Health, found: &mut Found) {
    for (name, old) in &before.probes {
        match after.probes.get(name) {
            None => found.add(RelaxationKind::Health, format!("probe `{name}` is gone")),
            Some(new) => {
                if (old.severity, new.severity) == (Severity::Block, Severity::Warn) {
                    found.add(RelaxationKind::Health, format!("probe `{name}` does not stop a deployment any more"));
                }
                if old.kind != new.kind {
                    let what = match new.kind {
                        ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => "asks something else",
                        ProbeKind::Command(_) => "runs something else",
                    };
                    found.add(RelaxationKind::Health, format!("probe `{name}` {what}"));
                }
            }
        }
    }
    for (name, old) in &before.dependencies {
        match after.dependencies.get(name) {
            None => found.add(RelaxationKind::Health, format!("dependency `{name}` is not asked any more")),
            Some(new) if new != old => {
                found.add(RelaxationKind::Health, format!("dependency `{name}` is somewhere else"));
            }
            Some(_) => {}
        }
    }
}

fn compare_suites(old: &Config, new: &Config, before: &Environment, after: &Environment, found: &mut Found) {
    for name in &before.suites {
        if !after.suites.contains(name) {
            found.add(RelaxationKind::Suites, format!("suite `{name}` is not run any more"));
        } else if old.suites.get(name).map(|suite| &suite.definition)
            != new.suites.get(name).map(|suite| &suite.definition)
        {
            found.add(RelaxationKind::Suites, format!("suite `{name}` is defined differently"));
        }
    }
}

/// The values in backticks, separated by commas; `None` where there are none.
fn quoted(values: impl IntoIterator<Item = impl fmt::Display>) -> Option<String> {
    let list: Vec<String> = values.into_iter().map(|value| format!("`{value}`")).collect();
    if list.is_empty() { None } else { Some(list.join(", ")) }
}
