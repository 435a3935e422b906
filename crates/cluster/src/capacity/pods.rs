use std::collections::BTreeSet;

use serde_json::Value;

use crate::capacity::classes::DefaultClasses;
use crate::capacity::{Amount, Amounts, Bounds};

/// What a namespace gives to containers that do not name an amount, and a cluster to what names no class.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    requests: Amounts,
    limits: Amounts,
    pub(super) classes: DefaultClasses,
}

impl Defaults {
    pub(super) fn of(bounds: &Bounds<'_>, unknown: &mut BTreeSet<String>) -> Self {
        let mut defaults = Self { classes: DefaultClasses::of(bounds), ..Self::default() };
        for range in bounds.limit_ranges {
            let containers = |item: &&Value| item.get("type").and_then(Value::as_str) == Some("Container");
            for item in range.list("/spec/limits").iter().filter(containers) {
                defaults.requests.extend(amounts(item.get("defaultRequest"), unknown));
                defaults.limits.extend(amounts(item.get("default"), unknown));
            }
        }
        defaults
    }
}

/// Requests and limits that one pod counts with, named as quotas name them, and `pods`.
pub(super) fn pod_amounts(spec: &Value, defaults: &Defaults, unknown: &mut BTreeSet<String>) -> Amounts {
    let mut sum = Amounts::from([("pods".to_owned(), Amount::whole(1)), ("count/pods".to_owned(), Amount::whole(1))]);
    for part in ["requests", "limits"] {
        let main: Vec<_> = list(spec, "containers").iter().map(|it| container(it, part, defaults, unknown)).collect();
        let mut total = Amounts::new();
        for amounts in &main {
            plus(&mut total, amounts);
        }
        // Init containers run one after another, beside the sidecars that came before them.
        let mut sidecars = Amounts::new();
        let mut highest = Amounts::new();
        for init in list(spec, "initContainers") {
            let amounts = container(init, part, defaults, unknown);
            if init.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
                plus(&mut sidecars, &amounts);
                raise(&mut highest, &sidecars);
            } else {
                let mut now = sidecars.clone();
                plus(&mut now, &amounts);
                raise(&mut highest, &now);
            }
        }
        plus(&mut total, &sidecars);
        raise(&mut total, &highest);
        // The pod as a whole can name its amounts itself.
        let own = spec.get("resources").and_then(|resources| resources.get(part));
        total.extend(amounts(own, unknown));
        plus(&mut total, &amounts(spec.get("overhead"), unknown));
        for (resource, amount) in total {
            let is_plain = matches!(resource.as_str(), "cpu" | "memory" | "ephemeral-storage");
            if part == "requests" && (is_plain || resource.starts_with("hugepages-")) {
                sum.insert(resource.clone(), amount);
            }
            sum.insert(format!("{part}.{resource}"), amount);
        }
    }
    sum
}

pub(super) fn container(container: &Value, part: &str, defaults: &Defaults, unknown: &mut BTreeSet<String>) -> Amounts {
    let own = |part: &str, unknown: &mut BTreeSet<String>| {
        amounts(container.get("resources").and_then(|resources| resources.get(part)), unknown)
    };
    let mut limits = own("limits", unknown);
    if part == "limits" {
        for (resource, amount) in &defaults.limits {
            limits.entry(resource.clone()).or_insert(*amount);
        }
        return limits;
    }
    let mut requests = own("requests", unknown);
    // A limit alone is a request too, and comes before the default of the namespace.
    for (resource, amount) in limits.iter().chain(&defaults.requests).chain(&defaults.limits) {
        requests.entry(resource.clone()).or_insert(*amount);
    }
    requests
}

pub(super) fn amounts(value: Option<&Value>, unknown: &mut BTreeSet<String>) -> Amounts {
    let mut amounts = Amounts::new();
    for (resource, amount) in value.and_then(Value::as_object).into_iter().flatten() {
        let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
        match text.parse() {
            Ok(amount) => drop(amounts.insert(resource.clone(), amount)),
            Err(error) => drop(unknown.insert(format!("{resource}: {error}"))),
        }
    }
    amounts
}

fn plus(sum: &mut Amounts, more: &Amounts) {
    super::add(sum, more);
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (resource, amount) in other {
        let entry = most.entry(resource.clone()).or_default();
        *entry = (*entry).max(*amount);
    }
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
