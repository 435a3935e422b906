//! Workloads that are scaled to 0.

use std::collections::BTreeSet;

use super::HealthAnswer;
use crate::capacity::Demand;
use crate::object::Object;

/// Whether every workload that is to have replicas has some. `remedy` is the command that starts those that have none.
pub fn replicas_health(demands: &[Demand<'_>], remedy: &str) -> HealthAnswer {
    let stopped = demands.iter().filter(|demand| {
        demand.live.is_some_and(|live| replicas(live) == Some(0))
            && replicas(demand.wanted).is_some_and(|wanted| wanted > 0)
    });
    let stopped: BTreeSet<&str> = stopped.map(|demand| demand.service).collect();
    if stopped.is_empty() {
        return HealthAnswer::Healthy("every workload that is there has replicas".to_owned());
    }
    let names = stopped.into_iter().collect::<Vec<_>>().join(", ");
    HealthAnswer::unhealthy(format!(
        "scaled to 0 replicas, and to be started by the deployment: {names}; where nothing else is to be deployed, {remedy}"
    ))
}

/// Of a `Deployment`, `StatefulSet` or `ReplicaSet`; the API server gives one where the manifest says nothing.
fn replicas(object: &Object) -> Option<i64> {
    let kind = &object.key().kind;
    (kind.group == "apps" && kind.kind != "DaemonSet").then(|| object.integer("/spec/replicas").unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload(kind: &str, replicas: Option<u8>) -> Object {
        let spec = replicas.map_or_else(|| json!({}), |replicas| json!({ "replicas": replicas }));
        let object = json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "a", "namespace": "shop" }, "spec": spec });
        Object::new(object).unwrap()
    }

    #[test]
    fn services_that_were_scaled_to_nothing_are_named_with_the_command() {
        let answer = |wanted: Option<u8>, live: Option<Object>, kind: &str| {
            let wanted = workload(kind, wanted);
            let demand =
                Demand { service: "shop-cart", wave: 1, wanted: &wanted, live: live.as_ref(), ends_with_wave: false };
            replicas_health(&[demand], "`orchestrator deploy staging --again`")
        };
        for kind in ["Deployment", "StatefulSet"] {
            let stopped = answer(None, Some(workload(kind, Some(0))), kind);
            let HealthAnswer::Unhealthy(said) = stopped else { panic!("{kind}: {stopped:?}") };
            assert!(said[0].contains("shop-cart") && said[0].contains("deploy staging --again"), "{said:?}");
            // Meant to have none; new; has some.
            for (wanted, live) in [(Some(0), Some(0)), (Some(2), None), (Some(2), Some(1))] {
                let live = live.map(|replicas| workload(kind, Some(replicas)));
                assert!(matches!(answer(wanted, live, kind), HealthAnswer::Healthy(_)), "{kind} {wanted:?}");
            }
        }
        assert!(matches!(answer(None, Some(workload("DaemonSet", Some(0))), "DaemonSet"), HealthAnswer::Healthy(_)));
    }
}
