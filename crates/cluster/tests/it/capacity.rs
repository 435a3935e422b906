//! Whether a deployment fits into the quotas of its namespace, at its highest moment.

use cluster::capacity::{Amount, Bounds, Demand, Headroom, headroom, placement};
use cluster::{Object, Resource, defined_resources};
use serde_json::{Value, json};

pub(crate) fn object(kind: &str, version: &str, fields: &Value) -> Object {
    let mut object = json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x", "namespace": "shop" } });
    for (key, value) in fields.as_object().unwrap() {
        object[key] = value.clone();
    }
    Object::new(object).unwrap()
}

/// A quota that has all of `hard`, of which `used` is in use.
pub(crate) fn quota(hard: &Value, used: &Value) -> Object {
    object("ResourceQuota", "v1", &json!({ "spec": { "hard": hard }, "status": { "hard": hard, "used": used } }))
}

fn deployment(replicas: i64, image: &str, memory: &str, strategy: &Value) -> Object {
    object(
        "Deployment",
        "apps/v1",
        &json!({ "spec": {
        "replicas": replicas, "strategy": strategy,
        "template": { "spec": { "containers": [{ "image": image, "resources": { "limits": { "memory": memory } } }] } },
    } }),
    )
}

pub(crate) fn definition(group: &str, kind: &str, plural: &str) -> Object {
    let names = json!({ "kind": kind, "plural": plural });
    object(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        &json!({ "spec": { "group": group, "names": names, "versions": [{ "name": "v1" }] } }),
    )
}

/// Kinds that the API server serves.
pub(crate) fn served() -> Vec<Resource> {
    let kinds = [
        ("", "ConfigMap", "configmaps"),
        ("", "Service", "services"),
        ("apps", "Deployment", "deployments"),
        ("batch", "Job", "jobs"),
        ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
        ("networking.k8s.io", "Ingress", "ingresses"),
        ("shop.example", "Box", "boxen"),
    ];
    let definitions: Vec<Object> = kinds.iter().map(|(group, kind, plural)| definition(group, kind, plural)).collect();
    defined_resources(&definitions)
}

pub(crate) fn fits(demands: &[Demand<'_>], quotas: &[Object]) -> Headroom {
    headroom(demands, &Bounds { quotas, nodes: 3, resources: &served(), ..Bounds::default() })
}

pub(crate) fn needed(report: &Headroom) -> Vec<String> {
    assert!(report.unknown.is_empty(), "{:?}", report.unknown);
    let text = |it: &cluster::capacity::Shortage| {
        format!("{} wave {}: {} of {}, {} missing", it.resource, it.wave, it.needed, it.free, it.missing())
    };
    report.shortages.iter().map(text).collect()
}

#[test]
fn quantities_are_read_as_the_api_server_does() {
    for (text, thousandths, shown) in [
        ("1", 1000, "1"),
        ("500m", 500, "500m"),
        ("0.1", 100, "100m"),
        ("1.5Gi", 1_610_612_736_000, "1536Mi"),
        ("1e3", 1_000_000, "1000"),
        ("1E", 1_000_000_000_000_000_000_000, "1000000000000000000"),
        ("100n", 1, "1m"),
        ("-2k", -2_000_000, "-2000"),
        (".5", 500, "500m"),
        ("1.", 1000, "1"),
        ("75Mi", 78_643_200_000, "75Mi"),
    ] {
        let amount: Amount = text.parse().unwrap();
        assert_eq!((amount.thousandths(), amount.to_string()), (thousandths, shown.to_owned()), "{text}");
    }
    for text in ["", ".", "1 Gi", "1GiB", "Gi", "1.2.3", "e3", "1e99", "--1", "1Zi", "999999999999999999999999"] {
        text.parse::<Amount>().unwrap_err();
    }
}

/// A Deployment of one container with these resources.
fn of_one(resources: &Value) -> Object {
    let template = json!({ "spec": { "containers": [{ "name": "app", "image": "a:1", "resources": resources }] } });
    object("Deployment", "apps/v1", &json!({ "spec": { "replicas": 1, "template": template } }))
}

#[test]
fn q2_pods_that_a_quota_or_a_limit_range_refuses_are_found_before() {
    let range = |item: &Value| object("LimitRange", "v1", &json!({ "spec": { "limits": [item] } }));
    let ranged = |kind: &str, key: &str, amount: &str| range(&json!({ "type": kind, key: { "cpu": amount } }));
    let limits = quota(&json!({ "limits.cpu": "10" }), &json!({}));
    let none = quota(&json!({ "pods": "10" }), &json!({}));
    let both = |request: &str, limit: &str| json!({ "requests": { "cpu": request }, "limits": { "cpu": limit } });
    for (name, quota, range, resources, told) in [
        ("no limit", &limits, None, json!({}), "bounds `limits.cpu`, and container `app` of"),
        ("a default", &limits, Some(ranged("Container", "default", "1")), json!({}), ""),
        ("a limit", &limits, None, json!({ "limits": { "cpu": "1" } }), ""),
        (
            "above",
            &none,
            Some(ranged("Container", "max", "1")),
            both("2", "2"),
            "at most 1 of `cpu`, and container `app`",
        ),
        ("no limit at all", &none, Some(ranged("Container", "max", "1")), json!({}), "has no limit"),
        ("within", &none, Some(ranged("Container", "max", "1")), both("1", "1"), ""),
        ("below", &none, Some(ranged("Container", "min", "1")), both("100m", "200m"), "at least 1 of `cpu`"),
        ("pod above", &none, Some(ranged("Pod", "max", "1")), both("2", "2"), "a pod of"),
        ("ratio", &none, Some(ranged("Container", "maxLimitRequestRatio", "2")), both("1", "3"), "at most 2 times"),
        ("ratio kept", &none, Some(ranged("Container", "maxLimitRequestRatio", "2")), both("1", "2"), ""),
        (
            "default below",
            &none,
            Some(ranged("Container", "default", "1")),
            json!({ "requests": { "cpu": "2" } }),
            "is 1",
        ),
    ] {
        let wanted = of_one(&resources);
        let demand = Demand { service: "cart", wave: 0, wanted: &wanted, live: None, ends_with_wave: false };
        let ranges: Vec<Object> = range.into_iter().collect();
        let bounds =
            Bounds { quotas: std::slice::from_ref(quota), limit_ranges: &ranges, nodes: 1, ..Bounds::default() };
        let refused: Vec<String> = headroom(&[demand], &bounds).refused.into_iter().collect();
        assert_eq!(refused.is_empty(), told.is_empty(), "{name}: {refused:?}");
        assert!(refused.concat().contains(told), "{name}: {refused:?}");
        // What is there already is not made again.
        let same = Demand { live: Some(&wanted), ..demand };
        assert!(headroom(&[same], &bounds).refused.is_empty(), "{name}");
    }
}

#[test]
fn q2_what_controllers_make_and_autoscalers_ask_for_counts() {
    let wanted = of_one(&json!({ "limits": { "hugepages-2Mi": "4Mi", "cpu": "1" } }));
    let demand = Demand { service: "cart", wave: 0, wanted: &wanted, live: None, ends_with_wave: false };
    for (resource, hard) in
        [("count/replicasets.apps", "0"), ("hugepages-2Mi", "2Mi"), ("requests.hugepages-2Mi", "2Mi")]
    {
        let report = fits(&[demand], &[quota(&json!({ resource: hard }), &json!({}))]);
        assert_eq!(needed(&report).len(), 1, "{resource}: {report:?}");
    }
    let scaler = object(
        "HorizontalPodAutoscaler",
        "autoscaling/v2",
        &json!({ "spec": { "minReplicas": 4, "scaleTargetRef": { "kind": "Deployment", "name": "x" } } }),
    );
    let scaler = Demand { wanted: &scaler, ..demand };
    let three = quota(&json!({ "pods": "3" }), &json!({}));
    assert!(fits(&[demand], std::slice::from_ref(&three)).is_enough());
    let short = fits(&[demand, scaler], &[three]);
    assert_eq!(needed(&short), ["pods wave 0: 4 of 3, 1 missing"]);
    // Nothing is replaced: `Recreate` would be no help.
    assert!(!short.shortages[0].is_rolling);
}

#[test]
fn the_highest_moment_of_a_rollout_counts() {
    let rolling = |surge: Value, unavailable: Value| json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } });
    let full = |used: &str| quota(&json!({ "limits.memory": "150Mi" }), &json!({ "limits.memory": used }));
    let default = json!({});
    let recreate = json!({ "type": "Recreate" });
    // Replicas, memory of a pod and strategy: as it is, and as it is to be; then the shortage.
    let no_surge = rolling(json!(0), json!(1));
    let half = rolling(json!("50%"), json!("50%"));
    let table = [
        (
            "Q1 without surge the pod that goes still counts",
            (2, "75Mi"),
            (2, "75Mi"),
            &no_surge,
            "150Mi",
            "75Mi of 0, 75Mi missing",
        ),
        (
            "a quarter of two pods is rounded up to one",
            (2, "75Mi"),
            (2, "75Mi"),
            &default,
            "150Mi",
            "75Mi of 0, 75Mi missing",
        ),
        ("half of two is one, twice", (2, "50Mi"), (2, "50Mi"), &half, "100Mi", "100Mi of 50Mi, 50Mi missing"),
        ("Recreate needs no room for both", (2, "75Mi"), (2, "75Mi"), &recreate, "150Mi", ""),
        (
            "Recreate with more needs the rest",
            (2, "70Mi"),
            (2, "80Mi"),
            &recreate,
            "140Mi",
            "20Mi of 10Mi, 10Mi missing",
        ),
        ("larger pods replace smaller ones", (2, "40Mi"), (2, "60Mi"), &default, "80Mi", "80Mi of 70Mi, 10Mi missing"),
        ("smaller pods come beside larger ones", (2, "60Mi"), (2, "20Mi"), &default, "120Mi", ""),
        ("nothing to nothing", (0, "75Mi"), (0, "75Mi"), &default, "0", ""),
        ("from 0 to 2, as after the night", (0, "75Mi"), (2, "80Mi"), &default, "0", "160Mi of 150Mi, 10Mi missing"),
    ];
    for (name, (old, old_memory), (new, new_memory), strategy, used, expected) in table {
        let live = deployment(old, "a:1", old_memory, strategy);
        let wanted = deployment(new, "a:2", new_memory, strategy);
        let demand = Demand { service: "cart", wave: 0, wanted: &wanted, live: Some(&live), ends_with_wave: false };
        let short = needed(&fits(&[demand], &[full(used)])).concat();
        assert_eq!(short.trim_start_matches("limits.memory wave 0: "), expected, "{name}");
    }
    // The same template again rolls nothing.
    let same = deployment(2, "a:1", "75Mi", &default);
    let demand = Demand { service: "cart", wave: 0, wanted: &same, live: Some(&same), ends_with_wave: false };
    assert!(fits(&[demand], &[full("150Mi")]).is_enough());
}

#[test]
fn q2_each_quota_counts_pods_by_its_own_rule() {
    let wanted = deployment(2, "a:1", "1Mi", &json!({}));
    let demand = [Demand { service: "cart", wave: 0, wanted: &wanted, live: None, ends_with_wave: false }];
    let a = quota(&json!({ "pods": "8" }), &json!({ "pods": "2" }));
    assert!(fits(&demand, &[a]).is_enough());
    let b = quota(&json!({ "count/pods": "8" }), &json!({ "count/pods": "8" }));
    assert_eq!(needed(&fits(&demand, &[b])), ["count/pods wave 0: 2 of 0, 2 missing"]);
    let scoped = |scope: &str| {
        object(
            "ResourceQuota",
            "v1",
            &json!({
                "spec": { "hard": { "pods": "1" }, "scopes": [scope] }, "status": { "hard": { "pods": "1" }, "used": { "pods": "0" } },
            }),
        )
    };
    // A pod without a deadline, with a limit.
    for (scope, enough) in
        [("Terminating", true), ("NotTerminating", false), ("BestEffort", true), ("NotBestEffort", false)]
    {
        assert_eq!(fits(&demand, &[scoped(scope)]).is_enough(), enough, "{scope}");
    }
    // With a deadline: the scope means that, and not that a pod is being deleted.
    let mut limited = wanted.value().clone();
    limited["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 60.into();
    let limited = Object::new(limited).unwrap();
    let demand_of_limited = [Demand { wanted: &limited, ..demand[0] }];
    for (scope, enough) in [("Terminating", false), ("NotTerminating", true)] {
        assert_eq!(fits(&demand_of_limited, &[scoped(scope)]).is_enough(), enough, "{scope}");
    }
    let report =
        fits(&demand, &[scoped("CrossNamespacePodAffinity"), quota(&json!({ "nvidia.com/gpu": "1" }), &json!({}))]);
    assert_eq!(report.unknown.len(), 2, "{report:?}");
    assert!(!report.is_enough());
}

#[test]
fn services_of_a_wave_add_up_and_later_waves_see_what_earlier_ones_left() {
    let strategy = json!({});
    let services: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|image| {
            (
                deployment(1, &format!("{image}:1"), "100Mi", &strategy),
                deployment(1, &format!("{image}:2"), "100Mi", &strategy),
            )
        })
        .collect();
    let at = |waves: [usize; 3]| -> Vec<Demand<'_>> {
        let names = ["a", "b", "c"];
        services
            .iter()
            .zip(waves)
            .zip(names)
            .map(|(((live, wanted), wave), service)| Demand {
                service,
                wave,
                wanted,
                live: Some(live),
                ends_with_wave: false,
            })
            .collect()
    };
    let room = quota(&json!({ "limits.memory": "400Mi" }), &json!({ "limits.memory": "300Mi" }));
    let report = fits(&at([0, 0, 0]), std::slice::from_ref(&room));
    assert_eq!(needed(&report), ["limits.memory wave 0: 300Mi of 100Mi, 200Mi missing"]);
    assert_eq!(report.shortages[0].services.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(fits(&at([0, 1, 2]), std::slice::from_ref(&room)).is_enough());

    // A first wave that grows takes the room of the second.
    let grown = deployment(1, "a:2", "250Mi", &json!({ "type": "Recreate" }));
    let mut demands = at([0, 1, 2]);
    demands[0].wanted = &grown;
    let report = fits(&demands, &[room]);
    assert_eq!(needed(&report), ["limits.memory wave 0: 150Mi of 100Mi, 50Mi missing"]);
}

/// A claim of each pod's own, which its controller makes and no manifest has.
#[test]
fn q2_claims_of_ephemeral_volumes_count_for_every_pod() {
    let claim = json!({ "spec": { "storageClassName": "fast", "resources": { "requests": { "storage": "1Gi" } } } });
    let volumes = json!([{ "name": "v", "ephemeral": { "volumeClaimTemplate": claim } }]);
    let of = |kind: &str, version: &str, image: &str| {
        let template = json!({ "spec": { "containers": [{ "name": "c", "image": image }], "volumes": volumes } });
        object(kind, version, &json!({ "spec": { "replicas": 2, "parallelism": 2, "template": template } }))
    };
    let (old, new, job) =
        (of("Deployment", "apps/v1", "a:1"), of("Deployment", "apps/v1", "a:2"), of("Job", "batch/v1", "a:1"));
    let hard = json!({ "persistentvolumeclaims": "0", "requests.storage": "0", "count/persistentvolumeclaims": "0",
        "fast.storageclass.storage.k8s.io/requests.storage": "0", "count/pods": "9" });
    let quotas = [quota(&hard, &json!({}))];
    for (wanted, live, claims) in [(&old, None, 2), (&new, Some(&old), 1), (&job, None, 2)] {
        let demand = Demand { service: "cart", wave: 0, wanted, live, ends_with_wave: false };
        let expected = [
            format!("count/persistentvolumeclaims wave 0: {claims} of 0, {claims} missing"),
            format!("fast.storageclass.storage.k8s.io/requests.storage wave 0: {claims}Gi of 0, {claims}Gi missing"),
            format!("persistentvolumeclaims wave 0: {claims} of 0, {claims} missing"),
            format!("requests.storage wave 0: {claims}Gi of 0, {claims}Gi missing"),
        ];
        assert_eq!(needed(&fits(&[demand], &quotas)), expected);
        // A quota with scopes counts pods alone.
        let scoped = object(
            "ResourceQuota",
            "v1",
            &json!({ "spec": { "scopes": ["BestEffort"], "hard": hard }, "status": { "hard": hard } }),
        );
        assert_eq!(needed(&fits(&[demand], &[scoped])), [""; 0]);
        let range = json!({ "type": "PersistentVolumeClaim", "max": { "storage": "100Mi" } });
        let ranges = [object("LimitRange", "v1", &json!({ "spec": { "limits": [range] } }))];
        let refused = headroom(&[demand], &Bounds { limit_ranges: &ranges, nodes: 1, ..Bounds::default() }).refused;
        assert!(refused.iter().any(|one| one.contains("at most 100Mi of `storage`, and a claim of")), "{refused:?}");
    }
    let same = Demand { service: "cart", wave: 0, wanted: &old, live: Some(&old), ends_with_wave: false };
    assert!(fits(&[same], &quotas).is_enough());
}

/// What is listed adds up to what is needed, also with what was made in waves before.
#[test]
fn p15_a_shortage_names_everything_that_needs_it() {
    let map = object("ConfigMap", "v1", &json!({}));
    let demand = |service, wave| Demand { service, wave, wanted: &map, live: None, ends_with_wave: false };
    let demands = [demand("orchestrator", 0), demand("cart", 1), demand("cart", 1), demand("pay", 2)];
    let report = fits(&demands, &[quota(&json!({ "configmaps": "1" }), &json!({}))]);
    assert_eq!(needed(&report), ["configmaps wave 1: 3 of 1, 2 missing"]);
    let services: Vec<_> =
        report.shortages[0].services.iter().map(|(name, amount)| format!("{name} {amount}")).collect();
    assert_eq!(services, ["cart 2", "orchestrator 1"]);
}

/// A suite begins when the last rollout is over, and is gone before the next suite begins.
#[test]
fn p15_p17_suites_need_room_after_all_waves_one_at_a_time() {
    let (before, after) = (deployment(1, "a:1", "100Mi", &json!({})), deployment(1, "a:2", "100Mi", &json!({})));
    let container = json!({ "image": "tests", "resources": { "limits": { "memory": "80Mi" } } });
    let spec = json!({ "template": { "spec": { "restartPolicy": "Never", "containers": [container] } } });
    let job = object("Job", "batch/v1", &json!({ "spec": spec }));
    let suite = |service, wave| Demand { service, wave, wanted: &job, live: None, ends_with_wave: true };
    let rollout = Demand { service: "cart", wave: 2, wanted: &after, live: Some(&before), ends_with_wave: false };
    let demands = [rollout, suite("suite a", 3), suite("suite b", 4)];
    let with = |name: &str, hard: &str, used: &str| quota(&json!({ name: hard }), &json!({ name: used }));

    // The surge of the rollout and a suite need the room one after another.
    let report = fits(&demands, &[with("limits.memory", "200Mi", "100Mi"), with("pods", "2", "1")]);
    assert!(report.is_enough(), "{:?}", report.shortages);
    let memory = report.effects.iter().find(|effect| effect.resource == "limits.memory").unwrap();
    assert_eq!((memory.highest.to_string(), memory.after.to_string()), ("200Mi".to_owned(), "100Mi".to_owned()));
    let jobs = [with("count/jobs.batch", "1", "0"), with("count/pods", "2", "1")];
    assert!(fits(&demands, &jobs).is_enough(), "{:?}", fits(&demands, &jobs).shortages);

    let same = Demand { wanted: &before, ..rollout };
    let report = fits(&[same, suite("suite a", 3), suite("suite b", 4)], &[with("limits.memory", "150Mi", "100Mi")]);
    assert_eq!(needed(&report), ["limits.memory wave 3: 80Mi of 50Mi, 30Mi missing"]);
    assert_eq!(report.shortages[0].services.keys().collect::<Vec<_>>(), ["suite a"]);

    // Nodes have room for one of them at a time as well.
    let sized = |name: &str, cpu: &str| {
        let node = json!({ "status": { "allocatable": { "cpu": cpu, "memory": "100Mi", "pods": "10" },
            "conditions": [{ "type": "Ready", "status": "True" }] } });
        let mut node = object("Node", "v1", &node).into_value();
        node["metadata"] = json!({ "name": name });
        Object::new(node).unwrap()
    };
    let suites = [suite("suite a", 3), suite("suite b", 4)];
    assert_eq!(placement(&suites, &Bounds::default(), &[sized("one", "1")], &[]), []);
    let beside = suites.map(|suite| Demand { ends_with_wave: false, ..suite });
    assert_eq!(placement(&beside, &Bounds::default(), &[sized("one", "1")], &[]).len(), 1);
}

#[test]
fn defaults_of_the_namespace_init_containers_sidecars_and_overhead_count() {
    let ranges = [object(
        "LimitRange",
        "v1",
        &json!({ "spec": { "limits": [
        { "type": "Container", "default": { "cpu": "2" }, "defaultRequest": { "cpu": "100m" } }, { "type": "Pod", "max": { "cpu": "9" } },
    ] } }),
    )];
    let pod = |spec: Value| object("Pod", "v1", &json!({ "spec": spec }));
    let cpu = |it: &str| json!({ "resources": { "requests": { "cpu": it } } });
    let sidecar = |it: &str| json!({ "restartPolicy": "Always", "resources": { "requests": { "cpu": it } } });
    let table = [
        (json!({ "containers": [{}] }), "requests.cpu", "100m"),
        (json!({ "containers": [{}, cpu("1")] }), "requests.cpu", "1100m"),
        (json!({ "containers": [{}] }), "limits.cpu", "2"),
        (json!({ "containers": [{ "resources": { "limits": { "cpu": "3" } } }] }), "requests.cpu", "3"),
        (json!({ "containers": [cpu("1")], "initContainers": [cpu("3"), cpu("2")] }), "cpu", "3"),
        (json!({ "containers": [cpu("1")], "initContainers": [sidecar("1"), cpu("3"), sidecar("1")] }), "cpu", "4"),
        (json!({ "containers": [cpu("2")], "initContainers": [cpu("3"), sidecar("2")] }), "cpu", "4"),
        (json!({ "containers": [cpu("1")], "overhead": { "cpu": "250m" } }), "cpu", "1250m"),
        (json!({ "containers": [cpu("1")], "resources": { "requests": { "cpu": "500m" } } }), "cpu", "500m"),
    ];
    for (spec, resource, expected) in table {
        let (wanted, quotas) = (pod(spec.clone()), [quota(&json!({ resource: "0" }), &json!({}))]);
        let demand = [Demand { service: "cart", wave: 0, wanted: &wanted, live: None, ends_with_wave: false }];
        let report =
            headroom(&demand, &Bounds { quotas: &quotas, limit_ranges: &ranges, nodes: 3, ..Bounds::default() });
        assert_eq!(report.shortages[0].needed.to_string(), expected, "{spec} {resource}");
    }
}

#[test]
fn every_kind_counts_as_its_controller_makes_pods_and_objects() {
    let template = json!({ "spec": { "containers": [{}] } });
    let claims = json!([{ "metadata": { "name": "d" }, "spec": { "storageClassName": "fast", "resources": { "requests": { "storage": "1Gi" } } } }]);
    let table = [
        (
            "StatefulSet",
            "apps/v1",
            json!({ "replicas": 2, "template": template, "volumeClaimTemplates": claims }),
            "requests.storage",
            Some("2Gi"),
        ),
        (
            "StatefulSet",
            "apps/v1",
            json!({ "replicas": 2, "volumeClaimTemplates": claims }),
            "fast.storageclass.storage.k8s.io/persistentvolumeclaims",
            Some("2"),
        ),
        (
            "PersistentVolumeClaim",
            "v1",
            json!({ "resources": { "requests": { "storage": "3Gi" } } }),
            "requests.storage",
            Some("3Gi"),
        ),
        ("DaemonSet", "apps/v1", json!({ "template": template }), "pods", Some("3")),
        ("Job", "batch/v1", json!({ "parallelism": 4, "template": template }), "pods", Some("4")),
        ("CronJob", "batch/v1", json!({ "jobTemplate": { "spec": { "template": template } } }), "pods", None),
        ("Service", "v1", json!({ "type": "LoadBalancer", "ports": [{}, {}] }), "services.nodeports", Some("2")),
        (
            "Service",
            "v1",
            json!({ "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{}, { "nodePort": 30080 }] }),
            "services.nodeports",
            Some("1"),
        ),
        ("Service", "v1", json!({}), "services", Some("1")),
        ("ConfigMap", "v1", json!({}), "configmaps", Some("1")),
        ("Deployment", "apps/v1", json!({ "template": template }), "count/deployments.apps", Some("1")),
        ("Ingress", "networking.k8s.io/v1", json!({}), "count/ingresses.networking.k8s.io", Some("1")),
    ];
    for (kind, version, spec, resource, expected) in table {
        let (wanted, quotas) =
            (object(kind, version, &json!({ "spec": spec })), [quota(&json!({ resource: "0" }), &json!({}))]);
        let report =
            fits(&[Demand { service: "cart", wave: 0, wanted: &wanted, live: None, ends_with_wave: false }], &quotas);
        let needed = report.shortages.first().map(|shortage| shortage.needed.to_string());
        assert_eq!(needed.as_deref(), expected, "{kind} {resource}");
        // What is there already is no new object.
        let again = fits(
            &[Demand { service: "cart", wave: 0, wanted: &wanted, live: Some(&wanted), ends_with_wave: false }],
            &quotas,
        );
        assert!(again.is_enough(), "{kind} {resource} {again:?}");
    }
}

pub(crate) fn node(name: &str, zone: &str, cpu: &str) -> Object {
    Object::new(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "zone": zone } },
        "status": {
            "allocatable": { "cpu": cpu, "memory": "8Gi", "pods": "10" },
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    }))
    .unwrap()
}

fn pod(name: &str, node: &str, app: &str, spec: &Value) -> Object {
    let mut spec = spec.clone();
    spec["nodeName"] = node.into();
    Object::new(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "shop", "labels": { "app": app } },
        "spec": spec, "status": { "phase": "Running" },
    }))
    .unwrap()
}

/// A workload whose pods are called `cart` by their label.
fn workload(kind: &str, image: &str, cpu: &str, more: &Value, spec: &Value) -> Object {
    let mut pods = json!({ "containers": [{ "image": image, "resources": { "requests": { "cpu": cpu } } }] });
    for (key, value) in more.as_object().unwrap() {
        pods[key] = value.clone();
    }
    let mut all = json!({
        "selector": { "matchLabels": { "app": "cart" } },
        "template": { "metadata": { "labels": { "app": "cart" } }, "spec": pods },
    });
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    object(kind, "apps/v1", &json!({ "spec": all }))
}

pub(crate) fn unplaced(wanted: &Object, live: Option<&Object>, nodes: &[Object], pods: &[Object]) -> String {
    let demand = Demand { service: "cart", wave: 0, wanted, live, ends_with_wave: false };
    let found = placement(&[demand], &Bounds::default(), nodes, pods);
    found.iter().map(|one| format!("{}: {}", one.pods, one.reasons.join(", "))).collect::<Vec<_>>().join("; ")
}

fn affinity(kind: &str, key: &str, app: &str) -> Value {
    json!({ "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "topologyKey": key, "labelSelector": { "matchExpressions": [{ "key": "app", "operator": "In", "values": [app] }] } },
    ] } } })
}

#[test]
fn pods_that_keep_each_other_away_need_nodes_of_their_own() {
    let nodes = [node("a", "west", "4"), node("b", "west", "4"), node("c", "east", "4")];
    let replicas = |count: i64| json!({ "replicas": count });
    let apart = affinity("podAntiAffinity", "kubernetes.io/hostname", "cart");
    let cart = |more: &Value, count: i64| workload("Deployment", "a:1", "1", more, &replicas(count));
    let kept = "the pod's anti-affinity keeps it away from a pod there";
    assert_eq!(unplaced(&cart(&apart, 3), None, &nodes, &[]), "");
    assert_eq!(unplaced(&cart(&apart, 4), None, &nodes, &[]), format!("1: {kept} (3 nodes)"));
    let by_zone = affinity("podAntiAffinity", "zone", "cart");
    assert_eq!(unplaced(&cart(&by_zone, 2), None, &nodes, &[]), "");
    assert_eq!(unplaced(&cart(&by_zone, 3), None, &nodes, &[]), format!("1: {kept} (3 nodes)"));
    // The rule of a pod that runs counts as well.
    let running = [pod("web", "c", "web", &by_zone)];
    let alone = [node("c", "east", "4")];
    let refused = "1: the anti-affinity of a pod there keeps it away (1 node)";
    assert_eq!(unplaced(&cart(&json!({}), 1), None, &alone, &running), refused);

    // With others: where they are, and for the first of its own kind anywhere.
    let with_web = affinity("podAffinity", "zone", "web");
    let none = "1: no pod there is one that the pod's affinity requires (3 nodes)";
    assert_eq!(unplaced(&cart(&with_web, 1), None, &nodes, &[]), none);
    assert_eq!(unplaced(&cart(&with_web, 4), None, &nodes, &[pod("web", "c", "web", &json!({}))]), "");
    let at_most = "1: the most free of `cpu` is 0, a pod needs 1 (1 node), no pod there is one that the pod's affinity requires (2 nodes)";
    assert_eq!(unplaced(&cart(&with_web, 5), None, &nodes, &[pod("web", "c", "web", &json!({}))]), at_most);
    let own = affinity("podAffinity", "zone", "cart");
    assert_eq!(unplaced(&cart(&own, 2), None, &nodes, &[]), "");

    // A rollout on as many nodes as pods goes on only where a pod may be missing.
    let pods: Vec<_> = ["a", "b", "c"].iter().map(|name| pod(name, name, "cart", &apart)).collect();
    let rolling = |image: &str, unavailable: i64| {
        let strategy = json!({ "rollingUpdate": { "maxSurge": 1, "maxUnavailable": unavailable } });
        workload("Deployment", image, "1", &apart, &json!({ "replicas": 3, "strategy": strategy }))
    };
    let said = unplaced(&rolling("a:2", 0), Some(&rolling("a:1", 0)), &nodes, &pods);
    assert!(said.starts_with("1: ") && said.contains("keep"), "{said}");
    assert_eq!(unplaced(&rolling("a:2", 1), Some(&rolling("a:1", 1)), &nodes, &pods), "");
}

#[test]
fn a_pod_of_a_daemon_set_needs_room_on_its_own_node() {
    let nodes = [node("a", "west", "4"), node("b", "west", "2"), node("c", "east", "1")];
    let daemon = |image: &str, cpu: &str| workload("DaemonSet", image, cpu, &json!({}), &json!({}));
    assert_eq!(unplaced(&daemon("a:1", "1"), None, &nodes, &[]), "");
    let short = "2: the most free of `cpu` is 2, a pod needs 3 (2 nodes)";
    assert_eq!(unplaced(&daemon("a:1", "3"), None, &nodes, &[]), short);
    let west = workload("DaemonSet", "a:1", "2", &json!({ "nodeSelector": { "zone": "west" } }), &json!({}));
    assert_eq!(unplaced(&west, None, &nodes, &[]), "");
    // The old pod makes room for the new one; without a change there is nothing to place.
    let full = json!({ "containers": [{ "resources": { "requests": { "cpu": "1" } } }] });
    let running = [pod("x", "c", "cart", &full), pod("y", "b", "web", &full)];
    let mut live = daemon("a:1", "1").into_value();
    live["status"] = json!({ "desiredNumberScheduled": 3 });
    let live = Object::new(live).unwrap();
    assert_eq!(unplaced(&daemon("a:2", "1"), Some(&live), &nodes, &running), "");
    let short = "2: the most free of `cpu` is 1, a pod needs 2 (2 nodes)";
    assert_eq!(unplaced(&daemon("a:2", "2"), Some(&live), &nodes, &running), short);
    assert_eq!(unplaced(&live, Some(&live), &nodes, &running), "");
}
