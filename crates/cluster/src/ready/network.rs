use serde_json::Value;

use crate::object::{Condition, Object};
use crate::ready::{Facts, Memory, Rules};
use crate::verdict::{Cause, FailureClass, Permanence, Verdict};

/// Ready with one ready endpoint; the address of a load balancer is not awaited, as that of an Ingress is not.
pub(super) fn service(facts: &Facts<'_>) -> Verdict {
    let service = facts.object;
    if service.text("/spec/type") == Some("ExternalName") {
        return Verdict::ready("names a host outside of the cluster");
    }
    let has_selector =
        service.at("/spec/selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
    if !has_selector {
        return Verdict::ready("has no selector");
    }
    let needs_port = !service.list("/spec/ports").is_empty();
    // Absent means ready, by the definition of the field.
    let ready_of = |slice: &Object| {
        let endpoints = slice.list("/endpoints").iter();
        endpoints
            .filter(|endpoint| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true))
            .map(|endpoint| endpoint.get("addresses").and_then(Value::as_array).map_or(0, Vec::len))
            .sum::<usize>()
    };
    let slices = || facts.children_of("discovery.k8s.io", "EndpointSlice");
    let ready: usize = slices().filter(|slice| !needs_port || !slice.list("/ports").is_empty()).map(ready_of).sum();
    let without_port: usize = slices().map(ready_of).sum::<usize>() - ready;
    match (ready, facts.has_backend) {
        (0, true) if without_port > 0 => Verdict::waiting(
            "its ready endpoints have no port: `targetPort` names a port that no container of them has",
        ),
        (0, true) => Verdict::waiting("has no ready endpoint"),
        (0, false) => Verdict::undefined("has no ready endpoint, and no pod that is deployed here is behind it"),
        (ready, _) => Verdict::ready(format!("has {ready} ready endpoints")),
    }
}

pub(super) fn route(facts: &Facts<'_>, rules: &Rules, memory: &mut Memory) -> Verdict {
    let route = facts.object;
    let parents = route.list("/status/parents");
    if parents.is_empty() {
        return Verdict::undefined("no gateway controller has written a status");
    }
    let generation = route.generation();
    let mut causes = Vec::new();
    let mut missing = false;
    for parent in parents {
        let list = parent.get("conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for wanted in ["Accepted", "ResolvedRefs"] {
            let found = Condition::all(list).find(|condition| condition.name == wanted);
            let seen = found.filter(|found| found.observed_generation.is_none_or(|seen| Some(seen) >= generation));
            match seen {
                Some(found) if found.is_true() => {}
                Some(found) => {
                    let message = format!("{wanted} is {}: {} {}", found.status, found.reason, found.message);
                    let permanence = Permanence::After(rules.tolerance.settling);
                    causes.push(Cause::new(FailureClass::Condition, permanence, route.key(), message));
                }
                None => missing = true,
            }
        }
    }
    if causes.is_empty() && !missing {
        return Verdict::ready("is accepted by every gateway");
    }
    memory.judged("is not accepted by every gateway yet", causes)
}
