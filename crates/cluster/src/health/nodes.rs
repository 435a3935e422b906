use lock_model::escaping::excerpt;

use crate::health::HealthAnswer;
use crate::object::Object;

/// Whether at least so many percent of the nodes are ready, schedulable and without pressure.
pub fn judge_nodes(nodes: &[Object], percent: u8) -> HealthAnswer {
    let problems: Vec<(usize, String)> =
        nodes.iter().enumerate().filter_map(|(index, node)| Some((index, problem(node)?))).collect();
    let good = nodes.len() - problems.len();
    if nodes.is_empty() {
        return HealthAnswer::unhealthy("the cluster has no nodes");
    }
    if good * 100 >= nodes.len() * usize::from(percent) {
        return HealthAnswer::Healthy(format!("{good} of {} nodes are ready", nodes.len()));
    }
    HealthAnswer::Unhealthy(problems.into_iter().map(|(_, problem)| problem).collect())
}

fn problem(node: &Object) -> Option<String> {
    let name = &node.key().name;
    match node.condition("Ready") {
        Some(ready) if ready.is_true() => {}
        Some(ready) => return Some(format!("node `{name}` is not ready: {}", excerpt(ready.reason))),
        None => return Some(format!("node `{name}` does not say whether it is ready")),
    }
    if node.is_true("/spec/unschedulable") {
        return Some(format!("node `{name}` is cordoned: `kubectl uncordon {name}` lets pods in again"));
    }
    let pressures = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];
    let pressure = pressures.into_iter().find_map(|pressure| node.true_condition(pressure))?;
    Some(format!("node `{name}` has the condition {}: {}", pressure.name, excerpt(pressure.reason)))
}
