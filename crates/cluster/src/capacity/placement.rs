//! Whether the pods of a deployment find room on the nodes, beside what runs there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::capacity::pods::{Defaults, pod_amounts};
use crate::capacity::quota::Counts;
use crate::capacity::{Amount, Amounts, Bounds, Demand};
use crate::object::{Object, ObjectKey};
use crate::references::pod_spec;

/// Pods of one object for which no node has room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Unplaced {
    /// The service that it belongs to.
    pub service: String,
    /// What makes the pods.
    pub object: ObjectKey,
    /// How many have no place.
    pub pods: i64,
    /// Why not, by how many nodes: ``the most free of `cpu` is 200m, a pod needs 500m (2 nodes)``.
    pub reasons: Vec<String>,
}

/// Puts the pods of each wave on nodes, the largest first, each where the least room is left afterwards.
///
/// `pods` are those of all namespaces. Affinity and anti-affinity between pods and the spreading of pods are not computed,
/// and neither are pods of a `DaemonSet`: each of them has its own node.
pub fn placement(demands: &[Demand<'_>], bounds: &Bounds<'_>, nodes: &[Object], pods: &[Object]) -> Vec<Unplaced> {
    let mut unknown = BTreeSet::new();
    let defaults = Defaults::of(bounds.limit_ranges, &mut unknown);
    let mut rooms: Vec<Room<'_>> = nodes.iter().filter_map(Room::of).collect();
    let running: Vec<_> = pods.iter().filter(|pod| occupies(pod)).collect();
    for pod in &running {
        if let Some(room) = rooms.iter_mut().find(|room| pod.text("/spec/nodeName") == Some(room.name)) {
            room.take(&needs_of(pod, &Defaults::default()));
        }
    }
    let waves: BTreeSet<_> = demands.iter().map(|demand| demand.wave).collect();
    let mut unplaced: BTreeMap<(String, ObjectKey), (i64, Vec<String>)> = BTreeMap::new();
    for wave in waves {
        let mut wanted: Vec<_> = demands
            .iter()
            .filter(|demand| demand.wave == wave && demand.wanted.key().kind.kind != "DaemonSet")
            .filter_map(|demand| Some((demand, pod_spec(demand.wanted)?, needs_of(demand.wanted, &defaults))))
            .collect();
        wanted.sort_by_key(|(_, _, needs)| std::cmp::Reverse(size(needs)));
        // First what comes beside the old pods, then what takes their place.
        for replacing in [false, true] {
            for (demand, spec, needs) in &wanted {
                let counts = Counts::of(demand, 0);
                let is_beside = !(counts.is_replaced_first && counts.old > 0);
                let beside = if is_beside { (counts.most - counts.old).clamp(0, counts.new) } else { 0 };
                let count = match (replacing, counts.is_replaced) {
                    (false, _) => beside,
                    (true, false) => 0,
                    (true, true) => {
                        for pod in running.iter().filter(|pod| is_of(pod, demand)) {
                            let node = pod.text("/spec/nodeName");
                            if let Some(room) = rooms.iter_mut().find(|room| node == Some(room.name)) {
                                room.give_back(&needs_of(pod, &Defaults::default()));
                            }
                        }
                        counts.new - beside
                    }
                };
                let missing = (0..count).filter(|_| !place(&mut rooms, spec, needs)).count();
                if let Some(missing) = i64::try_from(missing).ok().filter(|missing| *missing > 0) {
                    let key = (demand.service.to_owned(), demand.wanted.key().clone());
                    let entry = unplaced.entry(key).or_insert_with(|| (0, reasons(&rooms, spec, needs)));
                    entry.0 = entry.0.max(missing);
                }
            }
        }
    }
    let result = unplaced.into_iter();
    result.map(|((service, object), (pods, reasons))| Unplaced { service, object, pods, reasons }).collect()
}

/// A node that takes pods, and what it has left.
struct Room<'a> {
    name: &'a str,
    node: &'a Object,
    free: Amounts,
}

impl<'a> Room<'a> {
    /// None where the node takes no pods now.
    fn of(node: &'a Object) -> Option<Self> {
        let takes = node.true_condition("Ready").is_some() && !node.is_true("/spec/unschedulable");
        let mut unknown = BTreeSet::new();
        let free = super::pods::amounts(node.at("/status/allocatable"), &mut unknown);
        takes.then_some(Self { name: &node.key().name, node, free })
    }

    fn take(&mut self, needs: &Amounts) {
        for (resource, amount) in needs {
            let free = self.free.entry(resource.clone()).or_default();
            *free = *free - *amount;
        }
    }

    fn give_back(&mut self, needs: &Amounts) {
        super::add(&mut self.free, needs);
    }

    /// The first resource that is too short, with what is free of it.
    fn short_of(&self, needs: &Amounts) -> Option<(String, Amount)> {
        let free = |resource: &String| self.free.get(resource).copied().unwrap_or_default();
        let short = needs.iter().find(|(resource, amount)| **amount > Amount::default() && **amount > free(resource));
        short.map(|(resource, _)| (resource.clone(), free(resource)))
    }
}

fn place(rooms: &mut [Room<'_>], spec: &Value, needs: &Amounts) -> bool {
    let fitting = rooms.iter_mut().filter(|room| accepts(room.node, spec).is_ok() && room.short_of(needs).is_none());
    match fitting.min_by_key(|room| size(&room.free)) {
        Some(room) => {
            room.take(needs);
            true
        }
        None => false,
    }
}

/// Memory decides before the processor: it is what cannot be shared in time.
fn size(amounts: &Amounts) -> (Amount, Amount) {
    let amount = |resource: &str| amounts.get(resource).copied().unwrap_or_default();
    (amount("memory"), amount("cpu"))
}

fn reasons(rooms: &[Room<'_>], spec: &Value, needs: &Amounts) -> Vec<String> {
    if rooms.is_empty() {
        return vec!["no node takes pods".to_owned()];
    }
    let mut short: BTreeMap<String, (Amount, usize)> = BTreeMap::new();
    let mut refusing: BTreeMap<String, usize> = BTreeMap::new();
    for room in rooms {
        match (accepts(room.node, spec), room.short_of(needs)) {
            (Err(reason), _) => *refusing.entry(reason).or_default() += 1,
            (Ok(()), Some((resource, free))) => {
                let entry = short.entry(resource).or_insert((free, 0));
                *entry = (entry.0.max(free), entry.1 + 1);
            }
            (Ok(()), None) => {}
        }
    }
    let nodes = |count: usize| if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
    let short = short.into_iter().map(|(resource, (free, count))| {
        let needed = needs.get(&resource).copied().unwrap_or_default();
        format!(
            "the most free of `{resource}` is {}, a pod needs {needed} ({})",
            free.max(Amount::default()),
            nodes(count)
        )
    });
    short.chain(refusing.into_iter().map(|(reason, count)| format!("{reason} ({})", nodes(count)))).collect()
}

/// Whether the labels and taints of a node let a pod in.
fn accepts(node: &Object, spec: &Value) -> Result<(), String> {
    let selector = spec.get("nodeSelector").and_then(Value::as_object).into_iter().flatten();
    for (label, value) in selector {
        if node.label(label) != value.as_str() {
            return Err(format!("the node's label `{label}` is not what the pod selects"));
        }
    }
    let terms = spec
        .pointer("/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms")
        .and_then(Value::as_array);
    if terms.is_some_and(|terms| !terms.iter().any(|term| is_met(node, term))) {
        return Err("the node's labels are not what the pod's affinity requires".to_owned());
    }
    let tolerations = spec.get("tolerations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for taint in node.list("/spec/taints") {
        let text = |key: &str| taint.get(key).and_then(Value::as_str).unwrap_or_default();
        let repels = matches!(text("effect"), "NoSchedule" | "NoExecute");
        if repels && !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            return Err(format!(
                "the pod does not tolerate the taint `{}`",
                lock_model::escaping::excerpt(text("key"))
            ));
        }
    }
    Ok(())
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    let is_key = key.is_empty() || key == text(taint, "key");
    let is_effect = effect.is_empty() || effect == text(taint, "effect");
    let exists = text(toleration, "operator") == "Exists";
    is_key && is_effect && (exists || !key.is_empty() && text(toleration, "value") == text(taint, "value"))
}

fn is_met(node: &Object, term: &Value) -> bool {
    let list = |key: &str| term.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let (labels, fields) = (list("matchExpressions"), list("matchFields"));
    let is_name = |expression: &Value| expression.get("key").and_then(Value::as_str) == Some("metadata.name");
    // A term without conditions matches nothing.
    !(labels.is_empty() && fields.is_empty())
        && labels.iter().all(|expression| {
            let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
            holds(expression, node.label(key))
        })
        && fields.iter().all(|expression| is_name(expression) && holds(expression, Some(&node.key().name)))
}

fn holds(expression: &Value, found: Option<&str>) -> bool {
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<&str> = values.filter_map(Value::as_str).collect();
    let numbers = || Some((found?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match expression.get("operator").and_then(Value::as_str).unwrap_or_default() {
        "In" => found.is_some_and(|found| values.contains(&found)),
        "NotIn" => found.is_none_or(|found| !values.contains(&found)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => numbers().is_some_and(|(found, bound)| found > bound),
        "Lt" => numbers().is_some_and(|(found, bound)| found < bound),
        _ => false,
    }
}

/// What one pod takes of a node, as nodes name it.
fn needs_of(object: &Object, defaults: &Defaults) -> Amounts {
    let mut unknown = BTreeSet::new();
    let Some(spec) = pod_spec(object) else { return Amounts::new() };
    let amounts = pod_amounts(spec, defaults, &mut unknown).into_iter();
    let mut needs: Amounts = amounts
        .filter_map(|(resource, amount)| Some((resource.strip_prefix("requests.")?.to_owned(), amount)))
        .collect();
    needs.insert("pods".to_owned(), Amount::whole(1));
    needs
}

fn occupies(pod: &Object) -> bool {
    !matches!(pod.text("/status/phase"), Some("Succeeded" | "Failed"))
}

/// Whether a pod belongs to the workload that is replaced.
fn is_of(pod: &Object, demand: &Demand<'_>) -> bool {
    let Some(live) = demand.live else { return false };
    let labels = live.at("/spec/selector/matchLabels").and_then(Value::as_object);
    pod.key().namespace == live.key().namespace
        && labels.is_some_and(|labels| {
            !labels.is_empty() && labels.iter().all(|(label, value)| pod.label(label) == value.as_str())
        })
}
