//! An environment's tree → its type.

use std::collections::{BTreeMap, BTreeSet};

use lock_model::{BranchName, EnvironmentName, ServiceName, TreePath};

use super::branches::{Branches, Role};
use super::decode::{command_line, parsed, parsed_list, pattern, sample_values, template, violation};
use super::environment::{
    ApprovalRequirement, Dependency, Environment, Excluded, Health, NamespaceRule, NotDeployed, Override, Probe,
    ProbeKind, Promote, ProofRequirement, Release, RenderTarget, Requires, Severity, Target,
};
use super::layers::EnvironmentLayers;
use super::problem::Problems;
use super::schema_keys::{MODE_VARIABLES, RELEASE_TAG_VARIABLES, RUN_VARIABLES, SOURCE_VARIABLES};
use super::tree::Node;
use super::values::{Mode, Namespace, SourceValue, parse_duration};
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
    let role = optional(node, "branch", |node| Role::of_word(node.text()?))?;
    let target = match node.get("target") {
        Some(node) => Some(target(node, &mode, problems)?),
        None => None,
    };
    let release = match node.get("release") {
        Some(node) => Some(release(node.get("tag")?, &mode, problems)?),
        None => None,
    };
    let overrides =
        layers.overrides.iter().map(|node| service_override(node, &mode, problems)).collect::<Option<Vec<_>>>()?;
    Some(Environment {
        role,
        branch: role.and_then(|role| Some(branches?.of(role).clone())),
        namespace: optional(node, "namespace", |node| node.text()?.parse().ok())?,
        url: optional(node, "url", source_value)?,
        target,
        deploy: node.get("deploy")?.list()?.iter().map(pattern).collect::<Option<_>>()?,
        locked_only: optional(node, "locked-only", |node| Some(node.get("reason")?.text()?.to_owned()))?,
        not_deployed: not_deployed(node.get("not-deployed")?)?,
        namespaces: namespaces(node.get("namespaces")?)?,
        health: health(node.get("health")?)?,
        suites: parsed_list(node, "suites")?,
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

/// `Some(None)` where the key is absent, `None` where it does not decode.
#[expect(clippy::option_option, reason = "absent and undecodable are different; the second has been reported already")]
pub(super) fn optional<T>(node: &Node, key: &str, decode: impl FnOnce(&Node) -> Option<T>) -> Option<Option<T>> {
    match node.get(key) {
        Some(found) => decode(found).map(Some),
        None => Some(None),
    }
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
    let values = with_mode(mode);
    let source = source_template(node.get("source")?, mode, problems)?;
    let branch_node = node.get("branch")?;
    let branch = template(branch_node, MODE_VARIABLES)?.expand(&values).ok()?;
    let branch = match BranchName::try_from(branch.as_str()) {
        Ok(branch) => branch,
        Err(error) => {
            violation(&branch_node.origin, &error.to_string(), problems);
            return None;
        }
    };
    let folder = match node.get("folder") {
        Some(found) => {
            let folder = template(found, MODE_VARIABLES)?.expand(&values).ok()?;
            if folder.starts_with('-') || folder.contains(char::is_control) {
                violation(&found.origin, "the folder begins with `-` or holds a control character", problems);
            }
            Some(folder)
        }
        None => None,
    };
    Some(Target::Render(RenderTarget { source, branch, folder }))
}

fn source_template(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Template> {
    let source = template(node, SOURCE_VARIABLES)?;
    let filled = source.expand(&with_mode(mode)).ok()?;
    if let Err(error) = TreePath::try_from(filled.as_str()) {
        violation(&node.origin, &error.to_string(), problems);
    }
    Some(source)
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
            reason: node.get("reason")?.text()?.to_owned(),
            owner: node.get("owner")?.text()?.to_owned(),
            until: parsed(node, "until")?,
        })
    };
    node.map()?.entries.iter().map(|entry| Some((entry.key.parse().ok()?, decode(&entry.node)?))).collect()
}

fn namespaces(node: &Node) -> Option<NamespaceRule> {
    let allow: Vec<Namespace> = parsed_list(node, "allow")?;
    Some(NamespaceRule { allow: allow.into_iter().collect(), rewrite: node.get("rewrite")?.boolean()? })
}

fn health(node: &Node) -> Option<Health> {
    let probes = node.get("probes")?.map()?.entries.iter();
    let dependencies = node.get("dependencies")?.map()?.entries.iter();
    Some(Health {
        probes: probes.map(|entry| Some((entry.key.clone(), probe(&entry.node)?))).collect::<Option<_>>()?,
        dependencies: dependencies
            .map(|entry| {
                let dependency = match entry.node.text()?.strip_prefix("tcp://") {
                    Some(address) => Dependency::Tcp(address.to_owned()),
                    None => Dependency::Http(template(&entry.node, RUN_VARIABLES)?),
                };
                Some((entry.key.clone(), dependency))
            })
            .collect::<Option<_>>()?,
    })
}

fn probe(node: &Node) -> Option<Probe> {
    let kind = match node.get("kind")?.text()? {
        "http" => ProbeKind::Http {
            url: template(node.get("url")?, RUN_VARIABLES)?,
            status: node.get("status")?.integer()?.try_into().ok()?,
        },
        "tcp" => ProbeKind::Tcp { address: node.get("address")?.text()?.to_owned() },
        "command" => ProbeKind::Command(command_line(node)?),
        _ => return None,
    };
    let severity = Severity::of_word(node.get("severity")?.text()?)?;
    Some(Probe { kind, severity, deadline: parse_duration(node.get("deadline")?.text()?).ok()? })
}

fn requires(node: &Node) -> Option<Requires> {
    let proof = ProofRequirement::of_word(node.get("proof")?.text()?)?;
    let approvals = optional(node, "approvals", |node| {
        let exclude = node.get("exclude")?.list()?.iter().map(|item| Excluded::of_word(item.text()?));
        Some(ApprovalRequirement {
            count: node.get("count")?.integer()?.try_into().ok()?,
            exclude: exclude.collect::<Option<_>>()?,
        })
    })?;
    let proven_in = optional(node, "proven-in", |node| node.text()?.parse().ok())?;
    Some(Requires { proven_in, proof, approvals })
}

fn service_override(node: &Node, mode: &Mode, problems: &mut Problems) -> Option<Override> {
    let source = match node.get("target").and_then(|target| target.get("source")) {
        Some(found) => Some(source_template(found, mode, problems)?),
        None => None,
    };
    let rule = node.get("namespaces");
    let allow = optional(rule.unwrap_or(node), "allow", |list| {
        list.list()?.iter().map(|item| item.text()?.parse().ok()).collect::<Option<BTreeSet<Namespace>>>()
    })?;
    let rewrite = optional(rule.unwrap_or(node), "rewrite", Node::boolean)?;
    let matched = node.get("match")?;
    Some(Override { pattern: pattern(matched)?, source, allow, rewrite, match_origin: matched.origin.clone() })
}
