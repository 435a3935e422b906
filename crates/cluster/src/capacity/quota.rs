use std::collections::BTreeSet;

use serde_json::Value;

use crate::capacity::pods::{Defaults, amounts, list, pod_amounts};
use crate::capacity::workloads::{custom_replicas, is_custom, pod_spec};
use crate::capacity::{Amount, Amounts, Demand, Growth};
use crate::discovery::Resource;
use crate::object::Object;

/// One quota: what is free, and which pods it counts.
pub(super) struct Quota {
    pub(super) name: String,
    pub(super) free: Amounts,
    pub(super) hard: Amounts,
    scopes: Vec<Scope>,
}

#[derive(Clone, Debug)]
enum Scope {
    /// Pods with a deadline of their own, or those without.
    HasDeadline(bool),
    /// Pods without any request or limit, or those with one.
    BestEffort(bool),
    /// Pods of these priority classes; empty for any.
    Priority(Vec<String>, bool),
}

impl Quota {
    pub(super) fn of(object: &Object, unknown: &mut BTreeSet<String>) -> Self {
        let name = object.key().name.clone();
        let hard = object.at("/status/hard").or_else(|| object.at("/spec/hard"));
        let used = amounts(object.at("/status/used"), unknown);
        let mut free = Amounts::new();
        let hard = amounts(hard, unknown);
        for (resource, hard) in hard.clone() {
            if is_known(&resource) {
                let used = used.get(&resource).copied().unwrap_or_default();
                free.insert(resource, hard - used);
            } else {
                unknown.insert(format!("quota {name}: `{resource}` is not a resource that is computed here"));
            }
        }
        let scopes: Vec<_> = scopes(object)
            .into_iter()
            .filter_map(|scope| match scope {
                Ok(scope) => Some(scope),
                Err(scope) => {
                    unknown.insert(format!("quota {name}: its scope {scope} is not one that is computed here"));
                    None
                }
            })
            .collect();
        Self { name, free, hard, scopes }
    }

    /// What an object adds to what this quota counts.
    pub(super) fn growth(
        &self,
        demand: &Demand<'_>,
        defaults: &Defaults,
        nodes: i64,
        resources: &[Resource],
        unknown: &mut BTreeSet<String>,
    ) -> Growth {
        let mut growth = Growth::default();
        let new_pod = self.pod(demand.wanted, defaults, unknown);
        let old_pod = demand.live.map(|live| self.pod(live, defaults, unknown)).unwrap_or_default();
        let counts = Counts::of(demand, nodes);
        for resource in new_pod.keys().chain(old_pod.keys()).collect::<BTreeSet<_>>() {
            let amount = |pod: &Amounts| pod.get(resource).copied().unwrap_or_default();
            let (new, old) = (amount(&new_pod), amount(&old_pod));
            let now = old * counts.old;
            let peak = if counts.is_replaced_first {
                new * counts.new
            } else if new >= old {
                new * counts.new.min(counts.most) + old * (counts.most - counts.new).max(0)
            } else {
                old * counts.old + new * (counts.most - counts.old).max(0)
            };
            // A finished pod is counted by its number alone, and its claims go with it.
            let lasts = !counts.ends || resource.starts_with("count/") || is_of_claims(resource);
            let settled = if lasts { new * counts.new - now } else { Amount::default() };
            growth.peak.insert(resource.clone(), (peak - now).max(settled).max(Amount::default()));
            growth.settled.insert(resource.clone(), settled);
        }
        if self.scopes.is_empty() {
            let mut own = made_by_controllers(demand);
            self.count_object(demand, resources, &mut own, unknown);
            super::add(&mut own, &object_counts(demand.wanted, demand, counts.new, defaults, unknown));
            if let Some(live) = demand.live {
                let keeps_claims = demand.wanted.text(WHEN_SCALED) != Some("Delete");
                let replicas = if keeps_claims { counts.old.min(counts.new) } else { counts.old };
                for (resource, amount) in object_counts(live, demand, replicas, defaults, unknown) {
                    let entry = own.entry(resource).or_default();
                    *entry = *entry - amount;
                }
            }
            for (resource, amount) in own {
                for (part, amount) in [(&mut growth.peak, amount.max(Amount::default())), (&mut growth.settled, amount)]
                {
                    let entry = part.entry(resource.clone()).or_default();
                    *entry = *entry + amount;
                }
            }
        }
        growth
    }

    /// A new object by the plural of its kind.
    fn count_object(
        &self,
        demand: &Demand<'_>,
        resources: &[Resource],
        counts: &mut Amounts,
        unknown: &mut BTreeSet<String>,
    ) {
        let key = demand.wanted.key();
        if demand.live.is_some() || key.kind.is("", "Pod") {
            return;
        }
        let group = if key.kind.group.is_empty() { String::new() } else { format!(".{}", key.kind.group) };
        if let Some(resource) = resources.iter().find(|resource| resource.kind.is(&key.kind.group, &key.kind.kind)) {
            counts.insert(format!("count/{}{group}", resource.plural), Amount::whole(1));
            return;
        }
        let counted = self.hard.keys().filter_map(|name| name.strip_prefix("count/"));
        if let Some(name) =
            counted.into_iter().find(|name| name.split_once('.').map_or("", |(_, group)| group) == key.kind.group)
        {
            let quota = &self.name;
            unknown.insert(format!(
                "quota {quota}: whether `count/{name}` counts {key} is not known, since the API server does not name the kind"
            ));
        }
    }

    /// Whether it bounds claims by their storage class.
    pub(super) fn is_by_storage_class(&self) -> bool {
        self.hard.keys().any(|resource| resource.contains(".storageclass.storage.k8s.io/"))
    }

    /// Whether it counts pods by their priority class.
    pub(super) fn is_by_priority(&self) -> bool {
        self.scopes.iter().any(|scope| matches!(scope, Scope::Priority(..)))
    }

    /// What a pod of an object counts as; empty where this quota does not count it.
    pub(super) fn pod(&self, object: &Object, defaults: &Defaults, unknown: &mut BTreeSet<String>) -> Amounts {
        let Some(spec) = pod_spec(object) else { return Amounts::new() };
        let amounts = pod_amounts(spec, defaults, unknown);
        let counts = self.scopes.iter().all(|scope| match scope {
            Scope::HasDeadline(wanted) => spec.get("activeDeadlineSeconds").is_some() == *wanted,
            Scope::BestEffort(wanted) => {
                let sized = amounts.keys().any(|key| key.starts_with("requests.") || key.starts_with("limits."));
                sized != *wanted
            }
            Scope::Priority(classes, wanted) => {
                let named = spec.get("priorityClassName").and_then(Value::as_str);
                let class = named.or(defaults.classes.priority.as_deref());
                let is_one = class.is_some_and(|class| classes.is_empty() || classes.iter().any(|name| name == class));
                is_one == *wanted
            }
        });
        if !counts {
            return Amounts::new();
        }
        let mut amounts = amounts;
        // A quota with scopes counts pods alone.
        if self.scopes.is_empty() {
            for spec in ephemeral_claims(spec) {
                claim(&mut amounts, spec, defaults.classes.storage.as_deref(), 1, unknown);
                let number = Amounts::from([("count/persistentvolumeclaims".to_owned(), Amount::whole(1))]);
                super::add(&mut amounts, &number);
            }
        }
        amounts
    }
}

/// What becomes of the claims of a `StatefulSet` that gets smaller.
const WHEN_SCALED: &str = "/spec/persistentVolumeClaimRetentionPolicy/whenScaled";

/// The claim that an object is, or those that it makes for each of its pods to keep.
pub(super) fn claims(object: &Object) -> impl Iterator<Item = &Value> {
    let own = object.key().kind.is("", "PersistentVolumeClaim").then(|| object.at("/spec")).flatten();
    let templates = object.list("/spec/volumeClaimTemplates").iter().filter_map(|claim| claim.get("spec"));
    own.into_iter().chain(templates)
}

/// Claims that each pod brings for itself.
pub(super) fn ephemeral_claims(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "volumes").iter().filter_map(|volume| volume.pointer("/ephemeral/volumeClaimTemplate/spec"))
}

fn is_of_claims(resource: &str) -> bool {
    matches!(resource, "persistentvolumeclaims" | "requests.storage")
        || resource.contains(".storageclass.storage.k8s.io/")
}

fn scopes(object: &Object) -> Vec<Result<Scope, String>> {
    let named = object.list("/spec/scopes").iter().filter_map(Value::as_str).map(|scope| match scope {
        // Not "is being deleted".
        "Terminating" => Ok(Scope::HasDeadline(true)),
        "NotTerminating" => Ok(Scope::HasDeadline(false)),
        "BestEffort" => Ok(Scope::BestEffort(true)),
        "NotBestEffort" => Ok(Scope::BestEffort(false)),
        other => Err(other.to_owned()),
    });
    let selected = object.list("/spec/scopeSelector/matchExpressions").iter().map(|expression| {
        let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<_> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        match (text("scopeName"), text("operator")) {
            ("PriorityClass", "In") => Ok(Scope::Priority(values, true)),
            ("PriorityClass", "NotIn") => Ok(Scope::Priority(values, false)),
            ("PriorityClass", "Exists") => Ok(Scope::Priority(Vec::new(), true)),
            ("PriorityClass", "DoesNotExist") => Ok(Scope::Priority(Vec::new(), false)),
            ("Terminating", "Exists") => Ok(Scope::HasDeadline(true)),
            ("NotTerminating", "Exists") => Ok(Scope::HasDeadline(false)),
            ("BestEffort", "Exists") => Ok(Scope::BestEffort(true)),
            ("NotBestEffort", "Exists") => Ok(Scope::BestEffort(false)),
            (name, operator) => Err(format!("{name} {operator}")),
        }
    });
    named.chain(selected).collect()
}

fn is_known(resource: &str) -> bool {
    let plain = ["cpu", "memory", "ephemeral-storage", "pods"].contains(&resource);
    let object = matches!(
        resource,
        "services"
            | "services.loadbalancers"
            | "services.nodeports"
            | "configmaps"
            | "secrets"
            | "replicationcontrollers"
    );
    plain
        || object
        || resource.starts_with("requests.")
        || resource.starts_with("limits.")
        || resource.starts_with("count/")
        || resource.starts_with("hugepages-")
        || is_of_claims(resource)
}

/// How many pods there are, are to be, and are there at most at one time.
pub(super) struct Counts {
    pub(super) old: i64,
    pub(super) new: i64,
    pub(super) most: i64,
    /// Whether old pods are gone before new ones come.
    pub(super) is_replaced_first: bool,
    /// Whether old pods go away for new ones at all.
    pub(super) is_replaced: bool,
    /// Whether the pods end by themselves.
    pub(super) ends: bool,
    /// Whether a pod may be missing while pods are replaced.
    pub(super) may_be_missing: bool,
}

impl Counts {
    pub(super) fn of(demand: &Demand<'_>, nodes: i64) -> Self {
        let wanted = demand.wanted;
        let pods = |object: &Object| match object.key().kind.kind.as_str() {
            "Pod" => 1,
            "Job" => object.integer("/spec/parallelism").unwrap_or(1),
            "DaemonSet" => object.integer("/status/desiredNumberScheduled").unwrap_or(nodes),
            // Its runs come later, by its schedule.
            "CronJob" => 0,
            _ if is_custom(object) => custom_replicas(object).unwrap_or(0),
            _ => object.integer("/spec/replicas").unwrap_or(1),
        };
        let old = demand.live.map_or(0, pods);
        let new = match (wanted.key().kind.kind.as_str(), demand.live) {
            ("DaemonSet", Some(live)) => pods(live),
            // An autoscaler owns the number, where the manifest names none.
            (_, Some(live)) if wanted.at("/spec/replicas").is_none() => pods(live),
            _ => pods(wanted),
        };
        // Another label or annotation replaces the pods as well.
        let template = |object: &Object| object.at("/spec/template").or_else(|| object.at("/spec")).cloned();
        let is_same = demand.live.is_some_and(|live| template(live) == template(wanted));
        // As far as is known of custom resources, they roll as a Deployment does.
        let is_custom = is_custom(wanted);
        let is_rolling = is_custom || wanted.key().kind.is("apps", "Deployment");
        let strategy = if is_custom { "/spec/strategy/canary" } else { "/spec/strategy/rollingUpdate" };
        // Old and new pods stand side by side until all are switched.
        let is_doubled = is_custom
            && ["/spec/strategy/blueGreen", "/spec/strategy/canary/trafficRouting"]
                .iter()
                .any(|key| wanted.at(key).is_some());
        let is_recreated = wanted.text("/spec/strategy/type") == Some("Recreate");
        let surge = |key: &str, default: &str, up: bool| {
            let value = wanted.at(&format!("{strategy}/{key}")).cloned().unwrap_or_else(|| default.into());
            percent_of(&value, new, up)
        };
        let step = if is_same || old == 0 {
            0
        } else if is_doubled {
            new
        } else if is_rolling {
            let more = surge("maxSurge", "25%", true);
            // Old pods count until they are gone, so that one that may be missing is still there.
            more + surge("maxUnavailable", "25%", false).max(i64::from(more == 0))
        } else {
            0
        };
        let missing = surge("maxUnavailable", "25%", false);
        Self {
            may_be_missing: !is_rolling || is_recreated || missing > 0,
            old,
            new,
            most: old.max(new) + step.min(new),
            is_replaced_first: !is_same && (!is_rolling || is_recreated),
            is_replaced: !is_same && old > 0,
            ends: wanted.key().kind.is("batch", "Job"),
        }
    }
}

/// A number of pods, or a share of them as Kubernetes rounds it.
fn percent_of(value: &Value, pods: i64, up: bool) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<i64>().ok());
    match percent {
        Some(percent) if up => (pods * percent + 99) / 100,
        Some(percent) => pods * percent / 100,
        None => value.as_i64().unwrap_or_default(),
    }
}

/// What the object itself counts as by other names than that of its kind, apart from its pods; `replicas` is the number of
/// pods that have claims of their own.
fn object_counts(
    object: &Object,
    demand: &Demand<'_>,
    replicas: i64,
    defaults: &Defaults,
    unknown: &mut BTreeSet<String>,
) -> Amounts {
    let kind = &object.key().kind;
    let one = Amount::whole(1);
    let mut counts = Amounts::new();
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap") => drop(counts.insert("configmaps".to_owned(), one)),
        ("", "Secret") => drop(counts.insert("secrets".to_owned(), one)),
        ("", "ReplicationController") => drop(counts.insert("replicationcontrollers".to_owned(), one)),
        ("", "Service") => {
            counts.insert("services".to_owned(), one);
            // A load balancer that needs no node ports counts those that are named.
            let allocates = object.at("/spec/allocateLoadBalancerNodePorts").and_then(Value::as_bool) != Some(false);
            let is_named = |port: &&Value| port.get("nodePort").and_then(Value::as_i64).is_some_and(|port| port != 0);
            let all = object.list("/spec/ports");
            let number = |ports: usize| Amount::whole(i64::try_from(ports).unwrap_or(i64::MAX));
            let (ports, named) = (number(all.len()), number(all.iter().filter(is_named).count()));
            match object.text("/spec/type") {
                Some("LoadBalancer") => {
                    counts.insert("services.loadbalancers".to_owned(), one);
                    counts.insert("services.nodeports".to_owned(), if allocates { ports } else { named });
                }
                Some("NodePort") => drop(counts.insert("services.nodeports".to_owned(), ports)),
                Some(_) | None => {}
            }
        }
        ("", "PersistentVolumeClaim") => {
            // One that is there keeps its class.
            let own = demand.live.and_then(|live| live.text("/spec/storageClassName"));
            for spec in claims(object) {
                claim(&mut counts, spec, own.or(defaults.classes.storage.as_deref()), 1, unknown);
            }
        }
        ("apps", "StatefulSet") => {
            for spec in claims(object) {
                claim(&mut counts, spec, defaults.classes.storage.as_deref(), replicas, unknown);
                let number = Amounts::from([("count/persistentvolumeclaims".to_owned(), one * replicas)]);
                super::add(&mut counts, &number);
            }
        }
        _ => {}
    }
    counts
}

/// Objects that controllers make of it. They keep those of earlier versions.
fn made_by_controllers(demand: &Demand<'_>) -> Amounts {
    let wanted = demand.wanted;
    let template = |object: &Object| object.at("/spec/template").cloned();
    let is_new_version = demand.live.is_none_or(|live| template(live) != template(wanted));
    let kind = &wanted.key().kind;
    let names: &[&str] = match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") if is_new_version => &["count/replicasets.apps"],
        ("apps", "StatefulSet" | "DaemonSet") if is_new_version => &["count/controllerrevisions.apps"],
        ("", "Service") if demand.live.is_none() => &["count/endpoints", "count/endpointslices.discovery.k8s.io"],
        _ => &[],
    };
    names.iter().map(|name| ((*name).to_owned(), Amount::whole(1))).collect()
}

/// `class` is the one that it gets where it names none.
fn claim(counts: &mut Amounts, spec: &Value, class: Option<&str>, times: i64, unknown: &mut BTreeSet<String>) {
    let storage = amounts(spec.pointer("/resources/requests"), unknown).get("storage").copied().unwrap_or_default();
    let mut more = Amounts::from([
        ("persistentvolumeclaims".to_owned(), Amount::whole(1) * times),
        ("requests.storage".to_owned(), storage * times),
    ]);
    // An empty name asks for none.
    let named = spec.get("storageClassName").and_then(Value::as_str);
    if let Some(class) = named.or(class).filter(|class| !class.is_empty()) {
        let class = format!("{class}.storageclass.storage.k8s.io");
        more.insert(format!("{class}/requests.storage"), storage * times);
        more.insert(format!("{class}/persistentvolumeclaims"), Amount::whole(1) * times);
    }
    super::add(counts, &more);
}
