//! Whether the pods of a deployment find room on the nodes, beside what runs there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::capacity::affinity::{Neighbour, Place, kept_away};
use crate::capacity::pods::{Defaults, pod_amounts};
use crate::capacity::quota::Counts;
use crate::capacity::workloads::{self, pod_spec};
use crate::capacity::{Amount, Amounts, Bounds, Demand};
use crate::object::{Object, ObjectKey};

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
/// `pods` are those of all namespaces. Required affinity and anti-affinity between pods count; what is only preferred, and the
/// spreading of pods, are not computed. A pod of a `DaemonSet` has a node of its own to be on.
pub fn placement(demands: &[Demand<'_>], bounds: &Bounds<'_>, nodes: &[Object], pods: &[Object]) -> Vec<Unplaced> {
    let mut unknown = BTreeSet::new();
    let replaced = workloads::replaced(demands);
    let demands = &workloads::with(demands, &replaced);
    let defaults = Defaults::of(bounds, &mut unknown);
    let running: Vec<&Object> = pods.iter().filter(|pod| occupies(pod)).collect();
    let mut rooms: Vec<Room<'_>> = nodes.iter().filter_map(Room::of).collect();
    for room in &mut rooms {
        for pod in running.iter().filter(|pod| pod.text("/spec/nodeName") == Some(room.name)) {
            if let Some(pod) = Pod::of(pod, &Defaults::default()) {
                room.take(&pod);
            }
        }
    }
    let waves: BTreeSet<_> = demands.iter().map(|demand| demand.wave).collect();
    let mut unplaced: BTreeMap<(String, ObjectKey), (i64, Vec<String>)> = BTreeMap::new();
    for wave in waves {
        let mut wanted: Vec<_> = demands
            .iter()
            .filter(|demand| demand.wave == wave)
            .filter_map(|demand| Some((demand, Pod::of(demand.wanted, &defaults)?)))
            .collect();
        wanted.sort_by_key(|(_, pod)| std::cmp::Reverse(size(&pod.needs)));
        // First what comes beside the old pods, then what takes their place.
        for replacing in [false, true] {
            for (demand, pod) in &wanted {
                let old: Vec<&Object> = running.iter().copied().filter(|pod| is_of(pod, demand)).collect();
                let (missing, reasons) = if demand.wanted.key().kind.is("apps", "DaemonSet") {
                    // Each of its pods takes the place of the old one on its node.
                    if replacing { place_on_each(&mut rooms, demand, pod, &old) } else { (0, Vec::new()) }
                } else if demand.ends_with_wave {
                    // What comes later finds the room as it was.
                    place_all(&mut rooms.clone(), demand, pod, &old, replacing)
                } else {
                    place_all(&mut rooms, demand, pod, &old, replacing)
                };
                if missing > 0 {
                    let key = (demand.service.to_owned(), demand.wanted.key().clone());
                    let entry = unplaced.entry(key).or_insert((0, reasons));
                    entry.0 = entry.0.max(missing);
                }
            }
        }
    }
    let result = unplaced.into_iter();
    result.map(|((service, object), (pods, reasons))| Unplaced { service, object, pods, reasons }).collect()
}

/// Places the pods of an object that come beside the old ones, or that replace them; how many find no place, and why.
fn place_all(
    rooms: &mut [Room<'_>],
    demand: &Demand<'_>,
    pod: &Pod,
    old: &[&Object],
    replacing: bool,
) -> (i64, Vec<String>) {
    let counts = Counts::of(demand, 0);
    // One that keeps its own kind away comes when an old one has gone, where one may be missing.
    let waits = counts.may_be_missing && pod.seen.avoids_itself();
    let is_later = counts.is_replaced_first && counts.old > 0 || waits && counts.is_replaced;
    let beside = if is_later { 0 } else { (counts.most - counts.old).clamp(0, counts.new) };
    let count = match (replacing, counts.is_replaced) {
        (false, _) => beside,
        (true, false) => 0,
        (true, true) => {
            for room in rooms.iter_mut() {
                for old in old {
                    room.give_back(old);
                }
            }
            counts.new - beside
        }
    };
    let missing = (0..count).filter(|_| !place(rooms, pod)).count();
    if missing == 0 {
        return (0, Vec::new());
    }
    let reasons = reasons(rooms, pod, |_| true);
    (i64::try_from(missing).unwrap_or(i64::MAX), reasons)
}

/// Places one pod of a `DaemonSet` on each node that its labels and tolerations let it on.
fn place_on_each(rooms: &mut [Room<'_>], demand: &Demand<'_>, pod: &Pod, old: &[&Object]) -> (i64, Vec<String>) {
    let counts = Counts::of(demand, 0);
    let mut lacking = BTreeSet::new();
    for room in rooms.iter_mut().filter(|room| accepts(room.node, &pod.spec).is_ok()) {
        let there = old.iter().find(|old| old.text("/spec/nodeName") == Some(room.name));
        match there {
            Some(_) if !counts.is_replaced => continue,
            Some(old) => room.give_back(old),
            None => {}
        }
        if room.short_of(&pod.needs).is_some() {
            lacking.insert(room.name.to_owned());
        } else {
            room.take(pod);
        }
    }
    if lacking.is_empty() {
        return (0, Vec::new());
    }
    let missing = i64::try_from(lacking.len()).unwrap_or(i64::MAX);
    (missing, reasons(rooms, pod, |room| lacking.contains(room.name)))
}

/// What a pod needs of a node.
struct Pod {
    spec: Value,
    needs: Amounts,
    seen: Neighbour,
}

impl Pod {
    fn of(object: &Object, defaults: &Defaults) -> Option<Self> {
        let (spec, seen) = (pod_spec(object)?.clone(), Neighbour::of(object)?);
        Some(Self { spec, needs: needs_of(object, defaults), seen })
    }
}

/// A node that takes pods, and what it has left.
#[derive(Clone)]
struct Room<'a> {
    name: &'a str,
    node: &'a Object,
    free: Amounts,
    pods: Vec<Neighbour>,
}

impl<'a> Room<'a> {
    /// None where the node takes no pods now.
    fn of(node: &'a Object) -> Option<Self> {
        let takes = node.true_condition("Ready").is_some() && !node.is_true("/spec/unschedulable");
        let mut unknown = BTreeSet::new();
        let free = super::pods::amounts(node.at("/status/allocatable"), &mut unknown);
        takes.then_some(Self { name: &node.key().name, node, free, pods: Vec::new() })
    }

    fn take(&mut self, pod: &Pod) {
        for (resource, amount) in &pod.needs {
            let free = self.free.entry(resource.clone()).or_default();
            *free = *free - *amount;
        }
        self.pods.push(pod.seen.clone());
    }

    /// Lets a running pod go, if it is here.
    fn give_back(&mut self, pod: &Object) {
        let before = self.pods.len();
        self.pods.retain(|seen| seen.key.as_ref() != Some(pod.key()));
        if self.pods.len() < before {
            super::add(&mut self.free, &needs_of(pod, &Defaults::default()));
        }
    }

    /// The first resource that is too short, with what is free of it.
    fn short_of(&self, needs: &Amounts) -> Option<(String, Amount)> {
        let free = |resource: &String| self.free.get(resource).copied().unwrap_or_default();
        let short = needs.iter().find(|(resource, amount)| **amount > Amount::default() && **amount > free(resource));
        short.map(|(resource, _)| (resource.clone(), free(resource)))
    }

    fn as_place(&self) -> Place<'_> {
        Place { node: self.node, pods: &self.pods }
    }
}

fn place(rooms: &mut [Room<'_>], pod: &Pod) -> bool {
    let places: Vec<Place<'_>> = rooms.iter().map(Room::as_place).collect();
    let fitting = rooms.iter().enumerate().filter(|(_, room)| {
        accepts(room.node, &pod.spec).is_ok()
            && room.short_of(&pod.needs).is_none()
            && kept_away(&pod.seen, room.as_place(), &places).is_none()
    });
    let Some(index) = fitting.min_by_key(|(_, room)| size(&room.free)).map(|(index, _)| index) else { return false };
    if let Some(room) = rooms.get_mut(index) {
        room.take(pod);
    }
    true
}

/// Memory decides before the processor: it is what cannot be shared in time.
fn size(amounts: &Amounts) -> (Amount, Amount) {
    let amount = |resource: &str| amounts.get(resource).copied().unwrap_or_default();
    (amount("memory"), amount("cpu"))
}

/// Why a pod is on none of some nodes.
fn reasons(rooms: &[Room<'_>], pod: &Pod, is_meant: impl Fn(&Room<'_>) -> bool) -> Vec<String> {
    if rooms.is_empty() {
        return vec!["no node takes pods".to_owned()];
    }
    let places: Vec<Place<'_>> = rooms.iter().map(Room::as_place).collect();
    let needs = &pod.needs;
    let mut short: BTreeMap<String, (Amount, usize)> = BTreeMap::new();
    let mut refusing: BTreeMap<String, usize> = BTreeMap::new();
    for room in rooms.iter().filter(|room| is_meant(room)) {
        let refused = accepts(room.node, &pod.spec).err();
        match (refused, room.short_of(needs)) {
            (Some(reason), _) => *refusing.entry(reason).or_default() += 1,
            (None, Some((resource, free))) => {
                let entry = short.entry(resource).or_insert((free, 0));
                *entry = (entry.0.max(free), entry.1 + 1);
            }
            (None, None) => {
                if let Some(reason) = kept_away(&pod.seen, room.as_place(), &places) {
                    *refusing.entry(reason).or_default() += 1;
                }
            }
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

pub(super) fn holds(expression: &Value, found: Option<&str>) -> bool {
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
