//! Which pods keep others away from a node, or must have them there: required affinity and anti-affinity between pods.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capacity::placement::holds;
use crate::capacity::workloads::pod_spec;
use crate::object::{Object, ObjectKey};

/// Where a pod's rules about other pods stand, below its spec.
const ANTI: &str = "/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";
const TOGETHER: &str = "/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution";

/// What other pods see of a pod.
#[derive(Clone, Debug)]
pub(super) struct Neighbour {
    /// The pod itself; none where an object makes it.
    pub(super) key: Option<ObjectKey>,
    namespace: String,
    labels: BTreeMap<String, String>,
    /// The terms by which it keeps others away.
    anti: Vec<Value>,
    /// The terms by which it needs others.
    together: Vec<Value>,
}

impl Neighbour {
    /// The pods that an object makes, or the pod that it is.
    pub(super) fn of(object: &Object) -> Option<Self> {
        let spec = pod_spec(object)?;
        let kind = &object.key().kind;
        let labels = match (kind.group.as_str(), kind.kind.as_str()) {
            ("", "Pod") => "/metadata/labels",
            ("batch", "CronJob") => "/spec/jobTemplate/spec/template/metadata/labels",
            _ => "/spec/template/metadata/labels",
        };
        let labels = object.at(labels).and_then(Value::as_object).into_iter().flatten();
        let terms = |pointer: &str| spec.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
        Some(Self {
            key: kind.is("", "Pod").then(|| object.key().clone()),
            namespace: object.key().namespace.clone().unwrap_or_default(),
            labels: labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
            anti: terms(ANTI),
            together: terms(TOGETHER),
        })
    }

    /// Whether it keeps pods like itself away.
    pub(super) fn avoids_itself(&self) -> bool {
        self.anti.iter().any(|term| self.is_meant(term, self))
    }

    /// Whether a term of this pod means another one. A selector of namespaces counts as all of them.
    fn is_meant(&self, term: &Value, other: &Self) -> bool {
        let named = term.get("namespaces").and_then(Value::as_array).into_iter().flatten();
        let named: Vec<&str> = named.filter_map(Value::as_str).collect();
        let has_selector = term.get("namespaceSelector").is_some_and(|selector| !selector.is_null());
        let is_there = has_selector
            || named.contains(&other.namespace.as_str())
            || named.is_empty() && self.namespace == other.namespace;
        is_there && term.get("labelSelector").is_some_and(|selector| other.is_selected(selector))
    }

    fn is_selected(&self, selector: &Value) -> bool {
        // No selector selects nothing, an empty one everything.
        if selector.is_null() {
            return false;
        }
        let label = |key: &str| self.labels.get(key).map(String::as_str);
        let mut equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
        let mut expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        equal.all(|(key, value)| label(key) == value.as_str())
            && expressions.all(|expression| {
                holds(expression, label(expression.get("key").and_then(Value::as_str).unwrap_or_default()))
            })
    }
}

/// A node that may get a pod, and the pods that are there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Object,
    pub(super) pods: &'a [Neighbour],
}

/// Why the pods of all nodes keep a pod away from one of them.
pub(super) fn kept_away(pod: &Neighbour, place: Place<'_>, all: &[Place<'_>]) -> Option<String> {
    let domain = |node: &Object, term: &Value| -> Option<String> {
        node.label(term.get("topologyKey").and_then(Value::as_str)?).map(str::to_owned)
    };
    // Every pod in the same part of the topology, by a term.
    let beside = |term: &Value| {
        let own = domain(place.node, term);
        let same = all.iter().filter(move |other| own.is_some() && domain(other.node, term) == own);
        same.flat_map(|other| other.pods).collect::<Vec<_>>()
    };
    if pod.anti.iter().any(|term| beside(term).into_iter().any(|other| pod.is_meant(term, other))) {
        return Some("the pod's anti-affinity keeps it away from a pod there".to_owned());
    }
    for other in all {
        for neighbour in other.pods {
            let keeps = |term: &Value| {
                let own = domain(place.node, term);
                own.is_some() && own == domain(other.node, term) && neighbour.is_meant(term, pod)
            };
            if neighbour.anti.iter().any(keeps) {
                return Some("the anti-affinity of a pod there keeps it away".to_owned());
            }
        }
    }
    let exists = |term: &Value| all.iter().flat_map(|other| other.pods).any(|other| pod.is_meant(term, other));
    let is_met = |term: &Value| {
        beside(term).into_iter().any(|other| pod.is_meant(term, other))
            // The first of pods that need each other has none yet.
            || domain(place.node, term).is_some() && !exists(term) && pod.is_meant(term, pod)
    };
    (!pod.together.iter().all(is_met)).then(|| "no pod there is one that the pod's affinity requires".to_owned())
}
