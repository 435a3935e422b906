//! When an environment counts objects of a cluster as ready, beyond what Kubernetes defines: `ready`, `await-jobs`.

use std::collections::BTreeMap;
use std::time::Duration;

use lock_model::identifier;

use super::decode::{optional, parsed};
use super::tree::Node;
use super::values::parse_duration;

/// The kinds of the core group. Any other kind without its group is written by mistake, and would match nothing.
const CORE_KINDS: [&str; 13] = [
    "ConfigMap",
    "Endpoints",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
];

/// Whether a text is a version of an API, such as `v1` or `v2beta1`.
fn is_version(text: &str) -> bool {
    let rest = text.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|first: char| first.is_ascii_digit()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

identifier!(
    /// API group and kind: `argoproj.io/Rollout`; the kinds of the core group stand alone: `Pod`.
    GroupKind,
    "kind with its API group",
    "`GROUP/KIND` without a version, such as `argoproj.io/Rollout` or `apps/Deployment`",
    at most 253 characters,
    pattern "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Z][A-Za-z0-9]*$",
    check |text| {
        let (group, kind) = text.split_once('/').map_or((None, text), |(group, kind)| (Some(group), kind));
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_group = |group: &str| {
            group.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
                && group.bytes().next().is_some_and(is_word)
                && group.bytes().last().is_some_and(is_word)
        };
        group.map_or(CORE_KINDS.contains(&kind), |group| is_group(group) && !is_version(group))
            && kind.starts_with(|first: char| first.is_ascii_uppercase())
            && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }
);

impl GroupKind {
    /// The group, empty for the core one, and the kind.
    pub fn parts(&self) -> (&str, &str) {
        self.as_str().split_once('/').unwrap_or(("", self.as_str()))
    }
}

identifier!(
    /// One object of any kind: `CustomResourceDefinition/widgets.shop.example`.
    NamedObject,
    "object",
    "`KIND/NAME`, such as `CustomResourceDefinition/widgets.shop.example`",
    at most 317 characters,
    pattern "^[A-Z][A-Za-z0-9]*/[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?$",
    check |text| {
        let Some((kind, name)) = text.split_once('/') else { return false };
        let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        kind.starts_with(|first: char| first.is_ascii_uppercase())
            && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte))
            && is_end(name.bytes().next())
            && is_end(name.bytes().last())
    }
);

identifier!(
    /// A label with its value: `app.kubernetes.io/component=migration`.
    Label,
    "label",
    "`KEY=VALUE`, such as `app.kubernetes.io/component=migration`",
    at most 380 characters,
    pattern "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?=[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$",
    check |text| {
        let Some((key, value)) = text.split_once('=') else { return false };
        let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
        let is_end = |text: &str| {
            text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                && text.bytes().last().is_some_and(|byte| byte.is_ascii_alphanumeric())
        };
        let is_name = |text: &str| {
            is_end(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        };
        let is_prefix = |text: &str| is_name(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'_');
        prefix.is_none_or(is_prefix) && is_name(name) && is_name(value)
    }
);

/// `ready.GROUP/KIND:` the condition that makes an object of the kind ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyCondition {
    /// The type of the condition.
    pub condition: String,
    /// Its status.
    pub value: String,
}

/// `await-jobs:` Jobs that a controller makes once the objects of a service are there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AwaitedJobs {
    /// The label that they have.
    pub label: Label,
    /// How long they may take once the objects are ready.
    pub deadline: Duration,
}

/// `tolerance:` what a wait takes for a disturbance that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tolerance {
    /// A container that ended again after this many restarts does not recover.
    pub restarts: u8,
    /// How long a pod may find no node, or no room in a quota.
    pub room: Duration,
    /// How long nothing may change about what is waited for; `None`: until the deadline of the run.
    pub silence: Option<Duration>,
}

pub(super) fn tolerance(node: &Node) -> Option<Tolerance> {
    let restarts = node.get("restarts")?.integer()?.try_into().ok()?;
    let duration = |node: &Node| parse_duration(node.text()?).ok();
    Some(Tolerance { restarts, room: duration(node.get("room")?)?, silence: optional(node, "silence", duration)? })
}

pub(super) fn ready(node: &Node) -> Option<BTreeMap<GroupKind, ReadyCondition>> {
    let decode =
        |node: &Node| Some(ReadyCondition { condition: parsed(node, "condition")?, value: parsed(node, "value")? });
    node.map()?.entries.iter().map(|entry| Some((entry.key.parse().ok()?, decode(&entry.node)?))).collect()
}

pub(super) fn awaited_jobs(node: &Node) -> Option<AwaitedJobs> {
    let deadline = match node.get("deadline") {
        Some(deadline) => parse_duration(deadline.text()?).ok()?,
        None => DEFAULT_DEADLINE,
    };
    Some(AwaitedJobs { label: parsed(node, "label")?, deadline })
}

/// Where neither the environment nor an override says one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5 * 60);
