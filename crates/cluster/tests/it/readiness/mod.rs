//! The rules of readiness on tables of objects: each case is one object with its children and warnings.

use std::time::Duration;

use cluster::ready::{Facts, Memory, RequiredCondition, Rules, VolumeBinding, Warning, judge};
use cluster::{Object, Verdict};
use serde_json::{Value, json};

const TABLES: &[(&str, &str)] = &[
    ("workloads", include_str!("workloads.yaml")),
    ("pods", include_str!("pods.yaml")),
    ("others", include_str!("others.yaml")),
];

#[test]
fn b17_b18_b19_b21_b22_b24_every_object_of_the_tables_is_judged_as_written() {
    let mut wrong = Vec::new();
    for (table, text) in TABLES {
        let cases: Vec<Value> = serde_saphyr::from_str(text).unwrap();
        assert!(cases.len() > 20, "{table}");
        for case in cases {
            let verdict = judged(&case);
            wrong.extend(differences(&case, &verdict).map(|difference| {
                format!("{table}: {}: {difference}\n    {verdict:?}", case["name"].as_str().unwrap())
            }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn differences(case: &Value, verdict: &Verdict) -> impl Iterator<Item = String> {
    let word = match verdict {
        Verdict::Ready { .. } => "ready",
        Verdict::Undefined { .. } => "undefined",
        Verdict::Waiting { .. } => "waiting",
        Verdict::Failed { .. } => "failed",
    };
    let mut found = Vec::new();
    if case["expect"] != word {
        found.push(format!("{} expected", case["expect"]));
    }
    if let Some(classes) = case["classes"].as_array() {
        let actual: Vec<_> = verdict.causes().iter().map(|cause| json!(cause.class.as_str())).collect();
        if *classes != actual {
            found.push(format!("classes {}", case["classes"]));
        }
    }
    if !verdict.detail().contains(case["says"].as_str().unwrap_or_default()) {
        found.push(format!("says {}", case["says"]));
    }
    let said = case["cause"].as_str().unwrap_or_default();
    if !said.is_empty() && !verdict.causes().iter().any(|cause| cause.message.contains(said)) {
        found.push(format!("cause {said}"));
    }
    found.into_iter()
}

fn judged(case: &Value) -> Verdict {
    let object = object(&case["object"]);
    let list = |key: &str| case[key].as_array().cloned().unwrap_or_default();
    let children: Vec<_> = list("children").iter().map(self::object).collect();
    let children: Vec<_> = children.iter().collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let warnings: Vec<_> = list("warnings")
        .iter()
        .map(|warning| Warning {
            uid: text(&warning["uid"]),
            reason: text(&warning["reason"]),
            message: text(&warning["message"]),
        })
        .collect();
    let warnings: Vec<_> = warnings.iter().collect();
    let mut rules = Rules::default();
    if let Some(required) = case.get("required") {
        let kind = (object.key().kind.group.clone(), object.key().kind.kind.clone());
        let condition = RequiredCondition { condition: text(&required["condition"]), value: text(&required["value"]) };
        rules.required.insert(kind, condition);
    }
    let mut facts = Facts::of(&object);
    facts.children = &children;
    facts.warnings = &warnings;
    facts.generation = case["generation"].as_i64();
    facts.has_backend = case["backend"].as_bool().unwrap_or_default();
    facts.binding = match case["binding"].as_str() {
        Some("wait") => Some(VolumeBinding::WaitForFirstConsumer),
        Some("immediate") => Some(VolumeBinding::Immediate),
        Some(_) | None => None,
    };
    let mut memory = Memory::default();
    let first = judge(&facts, &rules, &mut memory);
    match case["after"].as_u64() {
        Some(seconds) => {
            memory.set_now(Duration::from_secs(seconds));
            judge(&facts, &rules, &mut memory)
        }
        None => first,
    }
}

/// Fills in what a table leaves out: version, name, UID, generation 1, and the owner by its name.
fn object(short: &Value) -> Object {
    let mut object = short.clone();
    let kind = short["kind"].as_str().unwrap();
    let version = match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" => "apps/v1",
        "Job" | "CronJob" => "batch/v1",
        "Ingress" => "networking.k8s.io/v1",
        "EndpointSlice" => "discovery.k8s.io/v1",
        "HTTPRoute" => "gateway.networking.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        _ => "v1",
    };
    let fields = object.as_object_mut().unwrap();
    fields.entry("apiVersion").or_insert(version.into());
    let owner = fields.remove("owner");
    let metadata = fields.entry("metadata").or_insert(json!({})).as_object_mut().unwrap();
    let name = metadata.entry("name").or_insert(kind.to_lowercase().into()).clone();
    metadata.entry("uid").or_insert(name);
    metadata.entry("namespace").or_insert("shop".into());
    metadata.entry("generation").or_insert(1.into());
    if let Some(owner) = owner {
        metadata.insert("ownerReferences".into(), json!([{ "uid": owner, "controller": true }]));
    }
    Object::new(object).unwrap()
}

#[test]
fn a_cause_that_goes_away_starts_its_time_again() {
    let pod = |reason: &str| {
        object(&json!({ "kind": "Pod", "status": { "phase": "Pending", "containerStatuses": [
            { "name": "app", "state": { "waiting": { "reason": reason, "message": "secret \"a\" not found" } } },
        ] } }))
    };
    let (missing, starting) = (pod("CreateContainerConfigError"), pod("ContainerCreating"));
    let (mut memory, rules) = (Memory::default(), Rules::default());
    let mut at = |seconds: u64, pod: &Object| {
        memory.set_now(Duration::from_secs(seconds));
        judge(&Facts::of(pod), &rules, &mut memory).is_failed()
    };
    assert!(!at(0, &missing));
    assert!(!at(19, &missing));
    assert!(!at(20, &starting));
    assert!(!at(21, &missing));
    assert!(!at(40, &missing));
    assert!(at(41, &missing));
}

#[test]
fn an_older_kubelet_that_only_backs_off_keeps_what_the_registry_said() {
    let pod = |reason: &str, message: &str| {
        object(&json!({ "kind": "Pod", "spec": { "containers": [{ "name": "app", "image": "r.io/a:1" }] },
            "status": { "phase": "Pending", "containerStatuses": [
            { "name": "app", "state": { "waiting": { "reason": reason, "message": message } } },
        ] } }))
    };
    let mut memory = Memory::default();
    let rules = Rules::default();
    let denied = pod("ErrImagePull", "pull access denied for r.io/a");
    let backing_off = pod("ImagePullBackOff", "Back-off pulling image \"r.io/a:1\"");
    assert!(!judge(&Facts::of(&denied), &rules, &mut memory).is_failed());
    memory.set_now(Duration::from_secs(30));
    let verdict = judge(&Facts::of(&backing_off), &rules, &mut memory);
    assert!(verdict.is_failed(), "{verdict:?}");
    // A kubelet that names another reason now is believed.
    let away = pod("ImagePullBackOff", "Back-off pulling image \"r.io/a:1\": ErrImagePull: dial tcp: i/o timeout");
    assert!(!judge(&Facts::of(&away), &rules, &mut memory).is_failed());
}

/// Room comes back with the end of the old pods, and the controller, which doubles its pauses, notices only at its next attempt.
#[test]
fn q1_a_controller_that_was_refused_while_pods_were_ending_has_time_for_its_next_attempt() {
    let refusal = "pods \"cart-1\" is forbidden: exceeded quota: small, requested: limits.memory=75Mi";
    let full = object(&json!({ "kind": "Deployment", "spec": { "replicas": 2 }, "status": {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 0,
        "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refusal }],
    } }));
    let ending =
        object(&json!({ "kind": "Pod", "metadata": { "name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z" },
        "status": { "phase": "Running" } }));
    for (grace, fails_at) in [(0, 90), (10, 100), (90, 180), (300, 600)] {
        let (mut memory, rules) = (Memory::default(), Rules::default());
        let mut fails = |seconds: u64| {
            let children = if seconds <= grace && grace > 0 { vec![&ending] } else { Vec::new() };
            let mut facts = Facts::of(&full);
            facts.children = &children;
            memory.set_now(Duration::from_secs(seconds));
            judge(&facts, &rules, &mut memory).is_failed()
        };
        let failed = (0..=1000).find(|second| fails(*second));
        assert_eq!(failed, Some(fails_at), "pods that end for {grace} s");
    }
}
