//! An environment's tree → its type.

use std::collections::BTreeMap;

use lock_model::{BranchName, EnvironmentName, ImageReference, ServiceName, TreePath};

use super::branches::Branches;
use super::chart_values::ChartValues;
use super::decode::{
    optional, parsed, parsed_items, parsed_list, parsed_text, pattern, sample_values, template, violation,
};
use super::environment::{
    AllowedImage, ApplyTarget, ApprovalFallback, ApprovalRequirement, CheckRule, ClusterCheck, ClusterChecks,
    Environment, Health, HelmTarget, KustomizationFolder, Migration, NamespaceRule, NotDeployed, Override, Promote,
    Release, RenderTarget, Requires, Sidecar, Target, Wave,
};
use super::kubeconfig::kubeconfig;
use super::layers::EnvironmentLayers;
use super::noise::Noise;
use super::probes::{Probe, dependency, probe};
use super::problem::Problems;
use super::readiness::{awaited_jobs, ready, tolerance};
use super::release_inputs::named_folder;
use super::schema_variables::{MODE_VARIABLES, RELEASE_TAG_VARIABLES, SOURCE_VARIABLES};
use super::settings::{pull_secret, sources};
use super::tree::{Node, Origin};
use super::values::{Mode, SourceValue, parse_duration};
use crate::variables::{Template, Values, Variable};

pub(super) fn environment(
    layers: &EnvironmentLayers,
    prefix: &str,
    branches: Option<&Branches>,
    problems: &mut Problems,
) -> Option<Environment> {
    let node = &layers.merged;
    let name: EnvironmentName = layers.name.parse().ok()?;
    let mode: Mode = parsed(node, "mode")?;
    let role = optional(node, "branch", parsed_text)?;
    let target = optional(node, "target", |node| target(node, &mode, problems))?;
    let conflicts = optional(node, "conflicts", |node| {
        node.get("take")?.list()?.iter().map(|name| name.text().map(str::to_owned)).collect::<Option<Vec<_>>>()
    })?;
    let release = optional(node, "release", |node| release(node.get("tag")?, &mode, problems))?;
    if target.as_ref().is_some_and(|target| matches!(target, Target::Render(_))) {
        refuse_settings(node, problems);
    }
    let health = health(node.get("health")?, problems)?;
    refuse_services(node, &health, problems);
    let overrides =
        layers.overrides.iter().map(|node| service_override(node, &mode, problems)).collect::<Option<Vec<_>>>()?;
    Some(Environment {
        role,
        branch: role.and_then(|role| Some(branches?.of(role).clone())),
        namespace: optional(node, "namespace", parsed_text)?,
        url: optional(node, "url", source_value)?,
        kubeconfig: optional(node, "kubeconfig", |node| kubeconfig(node, problems))?,
        target,
        conflicts: conflicts.into_iter().flatten().collect(),
        deploy: node.get("deploy")?.list()?.iter().map(pattern).collect::<Option<_>>()?,
        locked_only: optional(node, "locked-only", |node| parsed(node, "reason"))?,
        not_deployed: not_deployed(node.get("not-deployed")?)?,
        unpinned_images: unpinned_images(node.get("unpinned-images")?)?,
        sidecars: node.get("sidecars")?.list()?.iter().map(sidecar).collect::<Option<_>>()?,
        namespaces: namespaces(node.get("namespaces")?)?,
        waves: node.get("waves")?.list()?.iter().map(wave).collect::<Option<_>>()?,
        await_jobs: optional(node, "await-jobs", awaited_jobs)?,
        ready: ready(node.get("ready")?)?,
        tolerance: tolerance(node.get("tolerance")?)?,
        noise: node.get("noise")?.list()?.iter().map(noise).collect::<Option<_>>()?,
        migrations: node.get("migrations")?.list()?.iter().map(migration).collect::<Option<_>>()?,
        removed: parsed(node, "removed")?,
        config: sources(node.get("config")?, problems)?,
        secret: sources(node.get("secret")?, problems)?,
        pull_secret: optional(node, "pull-secret", pull_secret)?,
        health,
        suites: parsed_list(node, "suites")?,
        containers: optional(node, "containers", parsed_text)?,
        promote: optional(node, "promote", |node| Some(Promote { to: parsed(node, "to")? }))?,
        requires: requires(node.get("requires")?)?,
        release,
        overrides,
        prefix: prefix.to_owned(),
        origin: layers.key_origin.clone(),
        name,
        mode,
    })
}

pub(super) fn source_value(node: &Node) -> Option<SourceValue> {
    if let Some(value) = node.get("value") {
        return Some(SourceValue::Value(value.text()?.to_owned()));
    }
    if node.get("env").is_some() {
        return Some(SourceValue::Env(parsed(node, "env")?));
    }
    Some(SourceValue::File(parsed(node, "file")?))
}

fn with_mode(mode: &Mode) -> Values {
    sample_values().with(Variable::Mode, mode.as_str())
}

fn target(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Target> {
    match node.get("kind")?.text()? {
        "render" => render_target(node, mode, problems),
        "helm" => helm_target(node, mode, problems),
        "apply" => {
            let (source, source_origin) = source_template(node.get("source")?, mode, problems)?;
            let kustomization = optional(node, "kustomization", |found| kustomization(found, mode, problems))?;
            Some(Target::Apply(ApplyTarget { source, kustomization, source_origin }))
        }
        _ => None,
    }
}

fn helm_target(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Target> {
    let (chart, chart_origin) = source_template(node.get("chart")?, mode, problems)?;
    let values = ChartValues::decode(node)?;
    let origin = node.get("image-values").map_or(&node.origin, |found| &found.origin);
    for conflict in values.conflicts() {
        problems.add(origin, conflict);
    }
    let test_hooks = parsed(node, "test-hooks")?;
    Some(Target::Helm(HelmTarget { chart, test_hooks, values, chart_origin }))
}

/// Where target `render` reads, and what charts are given there.
fn rendered_source(
    node: &Node,
    mode: &Mode,
    problems: &mut Problems,
) -> Option<(Template, Origin, Option<ChartValues>)> {
    let (found, charts) = match (node.get("source"), node.get("chart")) {
        (Some(source), None) => {
            for key in ["values", "image-values"] {
                if let Some(found) = node.get(key) {
                    problems
                        .add(&found.origin, format!("`{key}` is given to charts, and `source` has plain manifests"))
                        .with_hint("a folder with charts is named by `chart`");
                }
            }
            (source, None)
        }
        (None, Some(chart)) => {
            let values = ChartValues::decode(node)?;
            let origin = node.get("image-values").map_or(&node.origin, |found| &found.origin);
            for conflict in values.conflicts() {
                problems.add(origin, conflict);
            }
            (chart, Some(values))
        }
        (Some(_), Some(chart)) => {
            problems
                .add(&chart.origin, "target `render` takes plain manifests (`source`) or charts (`chart`), not both");
            return None;
        }
        (None, None) => {
            problems.add(&node.origin, "target `render` needs `source`, or `chart`");
            return None;
        }
    };
    let (source, origin) = source_template(found, mode, problems)?;
    Some((source, origin, charts))
}

fn render_target(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Target> {
    let values = with_mode(mode);
    let (source, source_origin, charts) = rendered_source(node, mode, problems)?;
    let branch_node = node.get("branch")?;
    let branch = template(branch_node, MODE_VARIABLES)?.expand(&values).ok()?;
    let branch = BranchName::try_from(branch);
    let branch = branch.map_err(|error| violation(&branch_node.origin, &error.to_string(), problems)).ok()?;
    let folder = optional(node, "folder", |found| {
        let folder = TreePath::try_from(template(found, MODE_VARIABLES)?.expand(&values).ok()?);
        folder.map_err(|error| violation(&found.origin, &error.to_string(), problems)).ok()
    })?;
    Some(Target::Render(RenderTarget { source, charts, branch, folder, source_origin }))
}

fn source_template(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<(Template, Origin)> {
    let source = template(node, SOURCE_VARIABLES)?;
    let filled = source.expand(&with_mode(mode)).ok()?;
    if let Err(error) = named_folder(&filled) {
        violation(&node.origin, &error, problems);
    }
    Some((source, node.origin.clone()))
}

fn kustomization(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Template> {
    let folder = template(node, SOURCE_VARIABLES)?;
    let filled = folder.expand(&with_mode(mode)).ok()?;
    if let Err(error) = KustomizationFolder::parse(&filled) {
        violation(&node.origin, &error, problems);
    }
    Some(folder)
}

fn release(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Release> {
    let tag = template(node, RELEASE_TAG_VARIABLES)?;
    if !tag.uses(Variable::Id8) {
        problems
            .add(&node.origin, "the tag does not use `{id8}`: two releases of one day would have the same tag")
            .with_hint("`release-{date}-{id8}`");
    }
    let values = with_mode(mode).with(Variable::Date, "2025-11-20").with(Variable::Id8, "01234567");
    let filled = tag.expand(&values).ok()?;
    if let Err(error) = BranchName::try_from(filled.as_str()) {
        violation(&node.origin, &error.to_string().replace("branch name", "tag name"), problems);
    }
    Some(Release { tag })
}

fn not_deployed(node: &Node) -> Option<BTreeMap<ServiceName, NotDeployed>> {
    let decode = |node: &Node| {
        Some(NotDeployed {
            reason: parsed(node, "reason")?,
            owner: parsed(node, "owner")?,
            until: parsed(node, "until")?,
        })
    };
    node.map()?.entries.iter().map(|entry| Some((entry.key.parse().ok()?, decode(&entry.node)?))).collect()
}

fn unpinned_images(node: &Node) -> Option<BTreeMap<ImageReference, AllowedImage>> {
    let decode = |node: &Node| {
        Some(AllowedImage {
            reason: parsed(node, "reason")?,
            owner: parsed(node, "owner")?,
            until: parsed(node, "until")?,
        })
    };
    node.map()?.entries.iter().map(|entry| Some((entry.key.parse().ok()?, decode(&entry.node)?))).collect()
}

fn sidecar(node: &Node) -> Option<Sidecar> {
    Some(Sidecar { name: parsed(node, "name")?, image: optional(node, "image", parsed_text)? })
}

fn namespaces(node: &Node) -> Option<NamespaceRule> {
    Some(NamespaceRule {
        allow: parsed_list(node, "allow")?,
        rewrite: node.get("rewrite")?.boolean()?,
        cluster_scoped: parsed_list(node, "cluster-scoped")?,
        privileged: parsed_list(node, "privileged")?,
    })
}

fn wave(node: &Node) -> Option<Wave> {
    let matched = node.get("match")?;
    Some(Wave {
        pattern: pattern(matched)?,
        at_once: node.get("at-once")?.integer()?.try_into().ok()?,
        pause: optional(node, "pause", |node| parse_duration(node.text()?).ok())?.unwrap_or_default(),
        match_origin: matched.origin.clone(),
    })
}

fn noise(node: &Node) -> Option<Noise> {
    let matched = node.get("match")?;
    Some(Noise {
        pattern: pattern(matched)?,
        object: optional(node, "object", parsed_text)?,
        fields: parsed_list(node, "fields")?,
        match_origin: matched.origin.clone(),
    })
}

fn migration(node: &Node) -> Option<Migration> {
    let matched = node.get("match")?;
    Some(Migration {
        pattern: pattern(matched)?,
        irreversible: node.get("irreversible")?.boolean()?,
        match_origin: matched.origin.clone(),
    })
}

fn health(node: &Node, problems: &mut Problems) -> Option<Health> {
    let mut read = |key: &str, read: fn(&Node, &mut Problems) -> Option<Probe>| {
        let entries = node.get(key)?.map()?.entries.iter();
        // Every entry is looked at, so that all problems are reported.
        let all: Vec<_> = entries.map(|entry| Some((entry.key.clone(), read(&entry.node, problems)?))).collect();
        all.into_iter().collect::<Option<BTreeMap<_, _>>>()
    };
    let (probes, dependencies) = (read("probes", probe), read("dependencies", dependency));
    Some(Health { probes: probes?, dependencies: dependencies?, checks: cluster_checks(node.get("checks")?)? })
}

/// What goes through a cluster needs one.
fn refuse_services(node: &Node, health: &Health, problems: &mut Problems) {
    if node.get("kubeconfig").is_some() && node.get("namespace").is_some() {
        return;
    }
    for (name, service) in health.questions().filter_map(|(name, probe)| Some((name, probe.service()?))) {
        let origin = node.get("health").map_or(&node.origin, |health| &health.origin);
        problems
            .add(origin, format!("`{name}` asks `{service}`, and the environment has no cluster"))
            .with_hint("`kubeconfig` and `namespace` say which one");
    }
}

fn cluster_checks(node: &Node) -> Option<ClusterChecks> {
    let deadline = |node: &Node| parse_duration(node.text()?).ok();
    let retries = |node: &Node| node.integer()?.try_into().ok();
    let usual = (deadline(node.get("deadline")?)?, retries(node.get("retries")?)?);
    let rules = ClusterCheck::ALL.iter().map(|check| {
        let own = node.get(check.as_str())?;
        let rule = CheckRule {
            severity: parsed(own, "severity")?,
            deadline: optional(own, "deadline", deadline)?.unwrap_or(usual.0),
            retries: optional(own, "retries", retries)?.unwrap_or(usual.1),
        };
        Some((*check, rule))
    });
    Some(ClusterChecks {
        rules: rules.collect::<Option<_>>()?,
        ready_nodes: node.get("ready-nodes")?.integer()?.try_into().ok()?,
    })
}

fn requires(node: &Node) -> Option<Requires> {
    let proof = parsed(node, "proof")?;
    let approvals = optional(node, "approvals", |node| {
        let count = node.get("count")?.integer()?.try_into().ok()?;
        let fallback = optional(node, "fallback", |node| {
            Some(ApprovalFallback {
                count: node.get("count")?.integer()?.try_into().ok()?,
                owner: parsed(node, "owner")?,
                reason: parsed(node, "reason")?,
                until: parsed(node, "until")?,
            })
        })?;
        Some(ApprovalRequirement { count, exclude: parsed_list(node, "exclude")?, fallback })
    })?;
    Some(Requires {
        proven_in: optional(node, "proven-in", parsed_text)?,
        pull_request: optional(node, "pull-request", parsed_text)?,
        proof,
        approvals,
    })
}

/// What is rendered lies in git, where secrets must not be, and reaches no cluster from here.
fn refuse_settings(node: &Node, problems: &mut Problems) {
    for key in ["config", "secret", "pull-secret"] {
        let Some(found) = node.get(key) else { continue };
        if found.list().is_none_or(|list| !list.is_empty()) {
            problems
                .add(&found.origin, format!("`{key}` is written to a cluster, and target `render` writes to none"))
                .with_hint("leave it out, or let a target of a cluster deploy");
        }
    }
}

fn service_override(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Override> {
    let source = match node.get("target") {
        Some(target) => {
            let key = if target.get("chart").is_some() { "chart" } else { "source" };
            optional(target, key, |found| source_template(found, mode, problems))?
        }
        None => None,
    };
    let kustomization = match node.get("target") {
        Some(target) => optional(target, "kustomization", |found| kustomization(found, mode, problems))?,
        None => None,
    };
    let values = match node.get("target") {
        Some(target) => ChartValues::decode(target)?,
        None => ChartValues::default(),
    };
    let rule = node.get("namespaces");
    let allow = optional(rule.unwrap_or(node), "allow", parsed_items)?;
    let rewrite = optional(rule.unwrap_or(node), "rewrite", Node::boolean)?;
    let cluster_scoped = optional(rule.unwrap_or(node), "cluster-scoped", parsed_items)?;
    let privileged = optional(rule.unwrap_or(node), "privileged", parsed_items)?;
    let config = optional(node, "config", |list| sources(list, problems))?;
    let secret = optional(node, "secret", |list| sources(list, problems))?;
    let await_jobs = optional(node, "await-jobs", awaited_jobs)?;
    let matched = node.get("match")?;
    let (pattern, match_origin) = (pattern(matched)?, matched.origin.clone());
    Some(Override {
        pattern,
        source,
        kustomization,
        values,
        allow,
        rewrite,
        cluster_scoped,
        privileged,
        config,
        secret,
        await_jobs,
        match_origin,
    })
}
