//! Which pods objects make: those of Kubernetes itself, and those of custom resources as far as their shape tells.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::capacity::{Demand, autoscaled};
use crate::object::Object;

/// The specification of the pods that an object makes, also of a custom resource with a pod template.
pub(super) fn pod_spec(object: &Object) -> Option<&Value> {
    crate::references::pod_spec(object).or_else(|| {
        let spec = object.at("/spec/template/spec").filter(|_| is_custom(object))?;
        spec.get("containers").is_some_and(Value::is_array).then_some(spec)
    })
}

/// Whether its kind is none of Kubernetes itself.
pub(super) fn is_custom(object: &Object) -> bool {
    let group = object.key().kind.group.as_str();
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// How many pods a custom resource asks for; an Argo Rollout has one where it does not say.
pub(super) fn custom_replicas(object: &Object) -> Option<i64> {
    let own = object.integer("/spec/replicas");
    own.or_else(|| object.key().kind.is("argoproj.io", "Rollout").then_some(1))
}

/// A sentence for each custom resource that makes pods which are not counted.
pub(super) fn uncounted(demands: &[Demand<'_>]) -> BTreeSet<String> {
    let is_uncounted = |demand: &&Demand<'_>| {
        let wanted = demand.wanted;
        let has_pods = holds_pods(wanted.value()) || wanted.text("/spec/workloadRef/name").is_some();
        is_custom(wanted) && has_pods && (pod_spec(wanted).is_none() || custom_replicas(wanted).is_none())
    };
    let sentence = |demand: &Demand<'_>| {
        format!(
            "{}: the pods of {} are not counted, since it does not say how many there are, or of what",
            demand.service,
            demand.wanted.key()
        )
    };
    demands.iter().filter(is_uncounted).map(sentence).collect()
}

/// Whether something in it is a list of containers.
fn holds_pods(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            let containers = map.get("containers").and_then(Value::as_array);
            containers.is_some_and(|all| all.iter().any(|one| one.get("image").is_some()))
                || map.values().any(holds_pods)
        }
        Value::Array(list) => list.iter().any(holds_pods),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A demand whose objects are others than those that are written.
pub(super) struct Replaced {
    wanted: Object,
    live: Option<Object>,
}

/// What stands in the place of some demands: workloads that an autoscaler raises, and custom resources that take their pods from
/// another workload of the deployment (`workloadRef`).
pub(super) fn replaced(demands: &[Demand<'_>]) -> BTreeMap<usize, Replaced> {
    let mut replaced: BTreeMap<usize, Replaced> = BTreeMap::new();
    for (place, demand) in demands.iter().enumerate() {
        let Some(referred) = referred(demands, demand.wanted) else { continue };
        let Some(wanted) = with_pods_of(demand.wanted, referred.wanted) else { continue };
        let live = demand.live.map(|live| with_pods_of(live, referred.live?)).map_or(demand.live.cloned(), |live| live);
        replaced.insert(place, Replaced { wanted, live });
    }
    for (place, wanted) in autoscaled::raised(&with(demands, &replaced)) {
        let live = match replaced.remove(&place) {
            Some(known) => known.live,
            None => demands.get(place).and_then(|demand| demand.live.cloned()),
        };
        replaced.insert(place, Replaced { wanted, live });
    }
    replaced
}

/// The demands with what stands in their places.
pub(super) fn with<'a>(demands: &[Demand<'a>], replaced: &'a BTreeMap<usize, Replaced>) -> Vec<Demand<'a>> {
    let of = |(place, demand): (usize, &Demand<'a>)| match replaced.get(&place) {
        Some(Replaced { wanted, live }) => Demand { wanted, live: live.as_ref(), ..*demand },
        None => *demand,
    };
    demands.iter().enumerate().map(of).collect()
}

fn referred<'a>(demands: &'a [Demand<'a>], object: &Object) -> Option<&'a Demand<'a>> {
    let (kind, name) = (object.text("/spec/workloadRef/kind")?, object.text("/spec/workloadRef/name")?);
    demands.iter().find(|demand| {
        let key = demand.wanted.key();
        is_custom(object) && key.namespace == object.key().namespace && key.kind.kind == kind && key.name == name
    })
}

fn with_pods_of(object: &Object, workload: &Object) -> Option<Object> {
    let mut value = object.value().clone();
    let spec = value.get_mut("spec")?.as_object_mut()?;
    for key in ["template", "selector"] {
        if let Some(part) = workload.at(&format!("/spec/{key}"))
            && !spec.contains_key(key)
        {
            spec.insert(key.to_owned(), part.clone());
        }
    }
    Object::new(value).ok()
}
