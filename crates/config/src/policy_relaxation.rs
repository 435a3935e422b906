//! What a changed configuration asks less of than the one before: shown to reviewers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::environment::{
    AllowedImage, ApprovalFallback, ApprovalRequirement, CheckRule, ClusterChecks, Environment, Health, NotDeployed,
    Promote, ProofRequirement, Release, RenderTarget, Requires, Sidecar, Target,
};
use super::kubeconfig::{Kubeconfig, KubeconfigAllow};
use super::noise::FieldPath;
use super::probes::Probe;
use super::service_relaxation::compare_services;
use super::source_relaxation::{compare_forge, compare_registries, compare_submodules};
use super::suite_relaxation::{compare_suites, compare_variables};
use super::suites::CommandLine;
use super::types::Config;
use super::values::SourceValue;
use lock_model::{EnvironmentName, TreePath};

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

/// What two configurations are compared on: the tree of the newer one.
#[derive(Clone, Copy, Debug)]
pub struct ComparedTree<'a> {
    /// The paths of its submodules: what a rule says counts for them, not how it is written.
    pub services: &'a [TreePath],
    /// The paths whose content or mode differs from the tree of the older configuration.
    pub changed: &'a BTreeSet<String>,
}

impl ComparedTree<'_> {
    pub(super) fn has_changed(&self, path: &TreePath) -> bool {
        self.changed.contains(path.as_str())
    }
}

/// Lists what `new` asks less of than `old`, and what it does elsewhere or with other files; sorted, empty where `new` is
/// at least as strict.
///
/// Gates read `old`, the rules in force, so that a change does not decide about itself; reviewers are shown this list.
/// Every structure is taken apart by name, so that a new field cannot be left out of the comparison unseen.
pub fn policy_relaxations(old: &Config, new: &Config, tree: ComparedTree<'_>) -> Vec<PolicyRelaxation> {
    let Config {
        // Part of a service's image and source, which are compared as they come out.
        project: _,
        images: _,
        services: _,
        branches: _,
        forge: _,
        registries: _,
        submodules,
        // Those that an environment lists are compared with it.
        suites: _,
        environments,
        // Where the rest was read.
        tree: _,
        source: _,
    } = old;
    let mut found = Found { environment: None, list: Vec::new() };
    compare_forge(old, new, &mut found);
    compare_registries(old, new, tree, &mut found);
    compare_submodules(submodules, &new.submodules, &mut found);
    compare_services(old, new, tree, &mut found);
    for (name, before) in environments {
        found.environment = Some(name.clone());
        match new.environments.get(name) {
            None => found.add(RelaxationKind::Environment, "the environment is gone".to_owned()),
            Some(after) => {
                compare_environment(before, after, tree, &mut found);
                compare_promotion(old, new, before, after, &mut found);
                compare_suites(old, new, before, after, tree, &mut found);
                compare_variables(old, new, before, after, &mut found);
            }
        }
    }
    for (name, after) in new.environments.iter().filter(|(name, _)| !environments.contains_key(*name)) {
        found.environment = Some(name.clone());
        if let Some(branch) = &after.branch {
            found.add(RelaxationKind::Environment, format!("the environment is new, and runs branch `{branch}`"));
        }
    }
    found.list.sort();
    found.list
}

pub(super) struct Found {
    pub environment: Option<EnvironmentName>,
    list: Vec<PolicyRelaxation>,
}

impl Found {
    pub(super) fn add(&mut self, kind: RelaxationKind, message: String) {
        self.list.push(PolicyRelaxation { environment: self.environment.clone(), kind, message });
    }
}

/// A setting that may be absent, as messages show it.
pub(super) fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or("none".to_owned(), |value| format!("`{value}`"))
}

/// Whether a value comes from elsewhere, or from a file with other content.
pub(super) fn is_another(before: Option<&SourceValue>, after: Option<&SourceValue>, tree: ComparedTree<'_>) -> bool {
    let has_changed = match after {
        Some(SourceValue::File(path)) => tree.has_changed(path),
        Some(SourceValue::Value(_) | SourceValue::Env(_)) | None => false,
    };
    before != after || has_changed
}

fn compare_environment(before: &Environment, after: &Environment, tree: ComparedTree<'_>, found: &mut Found) {
    let Environment {
        name: _,
        // Shows in the branch.
        role: _,
        branch,
        mode,
        namespace,
        url,
        kubeconfig,
        target,
        conflicts,
        // What becomes of each service is compared as it comes out.
        deploy: _,
        overrides: _,
        namespaces: _,
        prefix: _,
        // For each service.
        await_jobs: _,
        ready,
        noise,
        migrations,
        removed,
        // When, not what.
        waves: _,
        tolerance: _,
        // A text for readers.
        locked_only: _,
        not_deployed,
        // For each service, as they come out.
        config: _,
        secret: _,
        pull_secret,
        // By themselves, with their days.
        unpinned_images: _,
        sidecars,
        health,
        // By themselves, with their files.
        suites: _,
        // A suite that cannot run anywhere is no relaxation: the file is refused.
        containers: _,
        // By itself, with the branch that it leads to.
        promote: _,
        requires: _,
        release,
        // Where it was read.
        origin: _,
    } = before;
    let pairs = [
        ("branch", branch.as_ref().map(AsRef::as_ref), after.branch.as_ref().map(AsRef::as_ref)),
        ("namespace", namespace.as_ref().map(AsRef::as_ref), after.namespace.as_ref().map(AsRef::as_ref)),
        ("mode", Some(mode.as_str()), Some(after.mode.as_str())),
    ];
    for (key, old, new) in pairs {
        if old != new {
            found.add(RelaxationKind::Environment, format!("`{key}` is {}, it was {}", shown(new), shown(old)));
        }
    }
    if is_another(url.as_ref(), after.url.as_ref(), tree) {
        let now = after.url.as_ref().map_or("none".to_owned(), ToString::to_string);
        let was = url.as_ref().map_or("none".to_owned(), ToString::to_string);
        let message = if now == was {
            format!("the address in {now} is another")
        } else {
            format!("`url` is {now}, it was {was}")
        };
        found.add(RelaxationKind::Environment, message);
    }
    let cluster = |kubeconfig: &Option<Kubeconfig>| {
        let one = kubeconfig.as_ref().map(|Kubeconfig { source, encoding: _, context, allow: _ }| match context {
            Some(context) => format!("{source}, context {context}"),
            None => source.to_string(),
        });
        shown(one)
    };
    if cluster(kubeconfig) != cluster(&after.kubeconfig) {
        let message = format!("`kubeconfig` is {}, it was {}", cluster(&after.kubeconfig), cluster(kubeconfig));
        found.add(RelaxationKind::Environment, message);
    }
    if let (Some(before), Some(after)) = (kubeconfig, &after.kubeconfig) {
        compare_allowed(&before.allow, &after.allow, found);
    }
    if *pull_secret != after.pull_secret {
        found.add(RelaxationKind::Environment, "the cluster pulls images by another login".to_owned());
    }
    compare_target(target.as_ref(), after.target.as_ref(), found);
    if after.removed != *removed {
        let message =
            format!("a service that is not deployed any more: `removed` is `{}`, it was `{removed}`", after.removed);
        found.add(RelaxationKind::Deployment, message);
    }
    for manager in after.conflicts.difference(conflicts) {
        let message = format!("what `{manager}` has set in the cluster is taken over");
        found.add(RelaxationKind::Deployment, message);
    }
    compare_requirements(before, after, found);
    compare_unpinned_images(before, after, found);
    let is_allowed = |new: &Sidecar| {
        sidecars.iter().any(|old| old.name == new.name && (old.image.is_none() || old.image == new.image))
    };
    for Sidecar { name, image } in after.sidecars.iter().filter(|new| !is_allowed(new)) {
        let image = image.as_ref().map_or("any image".to_owned(), |image| format!("images of `{image}`"));
        let message = format!("container `{name}` with {image} may be added to pods");
        found.add(RelaxationKind::Images, message);
    }
    for (kind, asked) in ready {
        if after.ready.get(kind) != Some(asked) {
            let message = format!("`{kind}` is ready without `{}: {}`", asked.condition, asked.value);
            found.add(RelaxationKind::Deployment, message);
        }
    }
    for new in &after.noise {
        let declared = |field: &FieldPath| {
            noise.iter().any(|old| {
                old.pattern == new.pattern
                    && (old.object.is_none() || old.object == new.object)
                    && old.fields.contains(field)
            })
        };
        for field in new.fields.iter().filter(|field| !declared(field)) {
            let object = new.object.as_ref().map_or("every object".to_owned(), |object| format!("`{object}`"));
            let message = format!("`{field}` of {object} of `{}` is noise", new.pattern);
            found.add(RelaxationKind::Deployment, message);
        }
    }
    for old in migrations.iter().filter(|old| old.irreversible) {
        if !after.migrations.iter().any(|new| new.irreversible && new.pattern == old.pattern) {
            let message = format!("migrations of `{}` do not stop a rollback any more", old.pattern);
            found.add(RelaxationKind::Deployment, message);
        }
    }
    compare_health(health, &after.health, tree, found);
    let tag = |release: &Option<Release>| shown(release.as_ref().map(|Release { tag }| tag));
    if release != &after.release {
        let message = format!("the tag of a release is {}, it was {}", tag(&after.release), tag(release));
        found.add(RelaxationKind::Environment, message);
    }
    for (name, NotDeployed { until, reason: _, owner: _ }) in &after.not_deployed {
        match not_deployed.get(name) {
            None => found.add(RelaxationKind::Deployment, format!("`{name}` is not deployed until {until}")),
            Some(old) if old.until < *until => found.add(
                RelaxationKind::Deployment,
                format!("`{name}` is not deployed until {until}, it was {}", old.until),
            ),
            Some(_) => {}
        }
    }
}

/// Where the pull request goes that a bot opens once a release is proven: also where only the other environment's branch
/// has changed.
fn compare_promotion(old: &Config, new: &Config, before: &Environment, after: &Environment, found: &mut Found) {
    let goes_to = |config: &Config, environment: &Environment| match &environment.promote {
        None => "nowhere".to_owned(),
        Some(Promote { to }) => {
            let branch = config.environments.get(to).and_then(|to| to.branch.as_ref());
            format!("to `{to}`, into branch {}", shown(branch))
        }
    };
    let (was, now) = (goes_to(old, before), goes_to(new, after));
    if was != now {
        found.add(RelaxationKind::Environment, format!("releases are promoted {now}, it was {was}"));
    }
}

fn compare_unpinned_images(before: &Environment, after: &Environment, found: &mut Found) {
    for (image, AllowedImage { reason: _, owner: _, until }) in &after.unpinned_images {
        let was = match before.unpinned_images.get(image) {
            None => String::new(),
            Some(old) if old.until < *until => format!(", it was {}", old.until),
            Some(_) => continue,
        };
        let message = format!("`{image}` may be deployed without a digest until {until}{was}");
        found.add(RelaxationKind::Images, message);
    }
}

fn compare_target(before: Option<&Target>, after: Option<&Target>, found: &mut Found) {
    let (before, after) = match (before, after) {
        // Sources, charts and their values are compared for each service.
        (None, None) | (Some(Target::Apply(_)), Some(Target::Apply(_))) => return,
        (Some(Target::Helm(before)), Some(Target::Helm(after))) => {
            if after.test_hooks > before.test_hooks {
                let message = "images of test hooks that no digest decides are listed, they were refused".to_owned();
                found.add(RelaxationKind::Images, message);
            }
            return;
        }
        (Some(Target::Render(before)), Some(Target::Render(after))) => (before, after),
        (Some(_), None) => {
            found.add(RelaxationKind::Deployment, "nothing is deployed any more".to_owned());
            return;
        }
        (None, Some(_)) => {
            found.add(RelaxationKind::Deployment, "it is deployed to now".to_owned());
            return;
        }
        (
            Some(before @ (Target::Render(_) | Target::Helm(_) | Target::Apply(_))),
            Some(after @ (Target::Render(_) | Target::Helm(_) | Target::Apply(_))),
        ) => {
            let message = format!("the target is `{}`, it was `{}`", after.kind(), before.kind());
            found.add(RelaxationKind::Deployment, message);
            return;
        }
    };
    // The source is compared for each service.
    let RenderTarget { source: _, source_origin: _, charts, branch, folder } = before;
    // What charts are given is compared for each service, too.
    if charts.is_some() != after.charts.is_some() {
        let word = |charts: bool| if charts { "charts" } else { "plain manifests" };
        let (before, after) = (word(charts.is_some()), word(after.charts.is_some()));
        found.add(RelaxationKind::Deployment, format!("it is deployed from {after}, it was from {before}"));
    }
    if *branch != after.branch {
        let message = format!("manifests are written to branch `{}`, it was `{branch}`", after.branch);
        found.add(RelaxationKind::Deployment, message);
    }
    if *folder != after.folder {
        let message = format!(
            "manifests are written to folder {}, it was {}",
            shown(after.folder.as_ref()),
            shown(folder.as_ref())
        );
        found.add(RelaxationKind::Deployment, message);
    }
}

fn compare_requirements(before: &Environment, after: &Environment, found: &mut Found) {
    let (old, new) = (&before.requires, &after.requires);
    let Requires { proven_in: _, pull_request: _, proof: _, approvals: _ } = old;
    match (&old.proven_in, &new.proven_in) {
        (Some(old), None) => found.add(RelaxationKind::Proof, format!("no proof of `{old}` is required any more")),
        (Some(old), Some(new)) if old != new => {
            found.add(RelaxationKind::Proof, format!("a proof of `{new}` is required, it was `{old}`"));
        }
        (Some(_), Some(_)) | (None, _) => {}
    }
    if let Some(old) = &old.pull_request
        && new.pull_request.as_ref() != Some(old)
    {
        let now = new.pull_request.as_ref().map_or("no suites".to_owned(), |new| format!("the suites of `{new}`"));
        let message = format!("a pull request must pass {now}, it was the suites of `{old}`");
        found.add(RelaxationKind::Suites, message);
    }
    if (old.proof, new.proof) == (ProofRequirement::Running, ProofRequirement::Stored) {
        found.add(RelaxationKind::Proof, "a proof of what is stored is enough, it was of what runs".to_owned());
    }
    let Some(old) = &old.approvals else { return };
    let ApprovalRequirement { count: _, exclude: _, fallback: _ } = old;
    let Some(new) = &new.approvals else {
        found.add(RelaxationKind::Approvals, format!("no approvals are required, it was {}", old.count));
        return;
    };
    if new.count < old.count {
        found.add(RelaxationKind::Approvals, format!("{} approvals are required, it was {}", new.count, old.count));
    }
    if let Some(after) = &new.fallback {
        let ApprovalFallback { count, until, owner: _, reason: _ } = after;
        let is_wider = old.fallback.as_ref().is_none_or(|before| *count < before.count || *until > before.until);
        if is_wider {
            let said = format!("{count} approvals are enough until {until} where too few people are left");
            found.add(RelaxationKind::Approvals, said);
        }
    }
    for excluded in old.exclude.difference(&new.exclude) {
        found.add(RelaxationKind::Approvals, format!("the {excluded}'s own approval counts"));
    }
}

fn compare_health(before: &Health, after: &Health, tree: ComparedTree<'_>, found: &mut Found) {
    let Health { probes, dependencies, checks } = before;
    compare_cluster_checks(checks, &after.checks, found);
    compare_probes("probe", probes, &after.probes, tree, found);
    compare_probes("dependency", dependencies, &after.dependencies, tree, found);
}

fn compare_probes(
    word: &str,
    before: &BTreeMap<String, Probe>,
    after: &BTreeMap<String, Probe>,
    tree: ComparedTree<'_>,
    found: &mut Found,
) {
    for (name, old) in before {
        let Some(new) = after.get(name) else {
            found.add(RelaxationKind::Health, format!("{word} `{name}` is gone"));
            continue;
        };
        // A deadline makes no answer a good one, and asking again needs a good one too.
        let Probe { kind: _, severity: _, deadline: _, retries: _ } = old;
        if new.severity > old.severity {
            let (was, is) = (old.severity, new.severity);
            found.add(RelaxationKind::Health, format!("{word} `{name}` is `{is}`, it was `{was}`"));
        }
        let what = if new.command().is_some() { "runs something else" } else { "asks something else" };
        let files = [new.command().and_then(CommandLine::file), new.certificate_file()];
        if old.kind != new.kind || files.into_iter().flatten().any(|file| tree.has_changed(file)) {
            found.add(RelaxationKind::Health, format!("{word} `{name}` {what}"));
        }
    }
}

fn compare_allowed(before: &KubeconfigAllow, after: &KubeconfigAllow, found: &mut Found) {
    let KubeconfigAllow { programs, variables, proxies, insecure } = before;
    let mut add = |what: String| found.add(RelaxationKind::Environment, format!("`kubeconfig` may {what}"));
    if let Some(new) = quoted(after.programs.difference(programs)) {
        add(format!("log in by {new}"));
    }
    if let Some(new) = quoted(after.variables.difference(variables)) {
        add(format!("give a login program {new}"));
    }
    if let Some(new) = quoted(after.proxies.difference(proxies)) {
        add(format!("name the proxy {new}"));
    }
    if after.insecure && !insecure {
        add("leave the certificate of the server unchecked".to_owned());
    }
}

fn compare_cluster_checks(before: &ClusterChecks, after: &ClusterChecks, found: &mut Found) {
    let ClusterChecks { rules, ready_nodes } = before;
    for (check, old) in rules {
        // As with probes, neither deadline nor retries make a finding none.
        let CheckRule { severity: was, deadline: _, retries: _ } = *old;
        if let Some(is) = after.rules.get(check).map(|new| new.severity).filter(|is| *is > was) {
            found.add(RelaxationKind::Health, format!("check `{check}` is `{is}`, it was `{was}`"));
        }
    }
    if after.ready_nodes < *ready_nodes {
        let message = format!("{} percent of the nodes must be ready, it was {ready_nodes}", after.ready_nodes);
        found.add(RelaxationKind::Health, message);
    }
}

/// The values in backticks, separated by commas; `None` where there are none.
pub(super) fn quoted(values: impl IntoIterator<Item = impl fmt::Display>) -> Option<String> {
    let list: Vec<String> = values.into_iter().map(|value| format!("`{value}`")).collect();
    if list.is_empty() { None } else { Some(list.join(", ")) }
}
