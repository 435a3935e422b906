//! The first user's start: nine charts that helm 3 installed from tags, the tags have moved since, and a job has scaled
//! everything to nothing. One lock takes all of it over.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use test_support::{Cluster, bench};

use crate::first_user::{FirstUser, GATEWAY_ENV, OTHERS, SERVICES, TESTS, name_of, serves};

#[test]
fn p27_p28_p29_nine_releases_of_the_old_pipeline_are_taken_over() {
    let Some(cluster) = Cluster::shared_or_skip() else { return };
    if bench::part_or_skip("helm3").is_none() || bench::part_or_skip("helm4").is_none() {
        return;
    }
    let Some(user) = FirstUser::new_or_skip(cluster) else { return };
    user.shop.work_on("dev").write("deploy/gateway.env", GATEWAY_ENV);

    // Nine releases from tags; the tests failed, and their pod is still there. The tags move; staging sleeps.
    let (mut digests, mut runner_digest) = (BTreeMap::new(), String::new());
    for (path, prefix) in OTHERS {
        let commit = user.version(path, 2);
        let (tag, _) = user.push(path, prefix, &commit, "echo the load is too high; exit 1");
        if *path == "infra/shop-test-runner" {
            user.install_by_helm_3("shop-test-runner-1764000000", "shop-test-runner", &tag);
            let (_, new) = user.push(path, prefix, &commit, TESTS);
            runner_digest = new;
        }
    }
    for (path, prefix, port) in SERVICES {
        let (name, commit) = (name_of(path), user.version(path, 2));
        let (tag, old) = user.push(path, prefix, &commit, &serves(*port, "old"));
        user.install_by_helm_3(name, name, &tag);
        let (_, new) = user.push(path, prefix, &commit, &serves(*port, "new"));
        assert_ne!(old, new, "the tag of {name} has moved");
        digests.insert(name.to_owned(), new);
    }
    assert_eq!(user.revisions().len(), 9);
    user.kubectl(&[
        "wait",
        "--for=condition=Failed",
        "job",
        "--selector=app.kubernetes.io/name=shop-test-runner",
        "--timeout=60s",
    ]);
    user.kubectl(&["scale", "deployment", "--all", "--replicas=0"]);

    user.shop.commit_and_push("dev", "the shop");
    user.use_helm("helm4");
    user.shop.merge_dev();
    user.ends("lock commit staging", 0);
    let mut names: Vec<&str> = SERVICES.iter().map(|(path, ..)| name_of(path)).collect();
    names.sort_unstable();
    let all = names.join(", ");
    let health = user.ends("health staging", 0);
    let stopped = format!("scaled to 0 replicas, and to be started by the deployment: {all}; where nothing else");
    for told in [stopped.as_str(), "`orchestrator deploy staging --again`"] {
        assert!(health.text().contains(told), "`{told}` is not in:\n{}", health.text());
    }
    let plan = user.ends("plan staging", 0);
    for told in [
        format!("taken over, since another program made their helm releases: {all}"),
        format!("the pods of all of these are made anew, with digests and settings of the plan: {all}"),
        "Pod/shop-orders-test-connection is started by `helm test` only".to_owned(),
    ] {
        assert!(plan.text().contains(&told), "`{told}` is not in:\n{}", plan.text());
    }
    assert!(names.iter().all(|name| user.revisions()[*name] == 1), "a plan changes nothing");

    // One lock, by helm 4: what runs is what the tags led to when it was made.
    let ran = user.ends("run staging", 0);
    assert!(ran.text().contains("8 taken over"), "{}", ran.text());
    let running = user.pods();
    for (name, digest) in &digests {
        let containers = if name == "shop-recommender" { 2 } else { 1 };
        assert_eq!(running[name].1, vec![digest.clone(); containers], "{name}");
        assert_eq!(user.revisions()[name], 2, "{name}");
    }
    user.ends("verify staging", 0);
    // The locked test runner is a suite, which installs nothing and leaves nothing behind.
    let superproject = user.shop.superproject();
    let place = superproject.git(&["grep", "-l", "--", &runner_digest, "orchestrator/ledger", "--", "evidence"]);
    let evidence: Value = serde_json::from_str(&superproject.git(&["show", place.trim()])).unwrap();
    assert!(evidence.to_string().contains(r#""suite":"system","verdict":"passed""#), "{evidence}");
    assert_eq!(user.kubectl(&["get", "job", "--selector=app.kubernetes.io/component=suite", "--output=name"]), "");
    // The old test runner is no service, and its failed pod stops no deployment.
    let runner = user.json(&["get", "pods", "--selector=app.kubernetes.io/name=shop-test-runner"]);
    assert_eq!(runner["items"][0]["status"]["phase"], "Failed");
    assert_eq!(user.revisions()["shop-test-runner-1764000000"], 1);
    // Charts that list neither `env` nor `envFrom` in their values have their configuration all the same.
    let access = user.json(&["get", "deployment", "shop-access"]);
    let container = &access["spec"]["template"]["spec"]["containers"][0];
    let configuration = container["envFrom"][0]["configMapRef"]["name"].as_str().unwrap();
    let data = user.json(&["get", "configmap", configuration]);
    assert_eq!(data["data"], json!({ "SHOP": "SHOP_ACCESS", "QUOTED": "\"kept\"" }));
    for job in ["shop-auth-b2c-migration", "shop-auth-b2e-migration"] {
        assert_eq!(user.json(&["get", "job", job])["status"]["succeeded"], 1, "{job}");
    }
    // The manifest that lies beside the templates of a chart is no part of it.
    cluster.try_kubectl(&["get", "deployment", "qdrant", "--namespace", &user.namespace]).unwrap_err();

    // The same again starts no pod, and asks no helm about staging: the promotion says what production would deploy.
    user.watch_helm();
    user.ends("run staging", 0);
    let started = fs::read_to_string(user.tools.join("helm.log")).unwrap_or_default();
    let of_production =
        |line: &&str| line.starts_with("version ") || line.contains(&format!("--namespace {}-prod ", user.namespace));
    assert!(started.lines().all(|line| of_production(&line)), "{started}");
    assert_eq!(user.pods(), running);

    // One of them changes, by helm 3: the others stay as they are.
    user.use_helm("helm3");
    user.shop.work_on("dev");
    let commit = user.version("services/shop-orders", 3);
    let (_, orders) = user.push("services/shop-orders", "main-native", &commit, &serves(8082, "newer"));
    user.shop.commit_and_push("dev", "orders 3");
    user.shop.merge_dev();
    user.ends("run staging", 0);
    let mut wanted = running;
    let after = user.pods();
    let before = wanted.insert("shop-orders".to_owned(), (after["shop-orders"].0.clone(), vec![orders]));
    assert_eq!(after, wanted);
    assert_ne!(before.unwrap().0, after["shop-orders"].0);
    user.ends("verify staging", 0);
}
