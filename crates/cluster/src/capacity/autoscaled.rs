//! Workloads that an autoscaler of the same deployment raises to its least number of pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::capacity::Demand;
use crate::object::Object;

/// For the place of each demand that is raised, what it is raised to.
pub(super) fn raised(demands: &[Demand<'_>]) -> BTreeMap<usize, Object> {
    let mut raised = BTreeMap::new();
    for (place, demand) in demands.iter().enumerate() {
        let Some(least) = least_of(demands, demand.wanted) else { continue };
        let own = demand.wanted.integer("/spec/replicas");
        let now = own.or_else(|| demand.live.and_then(|live| live.integer("/spec/replicas"))).unwrap_or(1);
        let mut value: Value = demand.wanted.value().clone();
        value["spec"]["replicas"] = json!(now.max(least));
        if let Ok(object) = Object::new(value)
            && now < least
        {
            raised.insert(place, object);
        }
    }
    raised
}

fn least_of(demands: &[Demand<'_>], workload: &Object) -> Option<i64> {
    let key = workload.key();
    let scales = |scaler: &Object| {
        scaler.key().kind.is("autoscaling", "HorizontalPodAutoscaler")
            && scaler.key().namespace == key.namespace
            && scaler.text("/spec/scaleTargetRef/kind") == Some(&key.kind.kind)
            && scaler.text("/spec/scaleTargetRef/name") == Some(&key.name)
    };
    let scalers = demands.iter().map(|demand| demand.wanted).filter(|scaler| scales(scaler));
    scalers.map(|scaler| scaler.integer("/spec/minReplicas").unwrap_or(1)).max()
}
