//! What a run needs is asked before its first effect, and everything that is missing is one message.

use std::sync::Arc;

use git::RefUpdate;
use orchestrator::{
    Actor, Context, DeployRequest, ErrorKind, RunRequest, Settings, TestRequest, deploy, hold, run, run_tests,
};

use crate::shop::{BOT, CONFIGURATION, Shop, Watcher, environment, fails, production, promoted, staging, user, write};

/// A job without any variable.
fn bare_job(shop: &Shop) -> Context {
    let settings = Settings::new(shop.join("shop.git"), Actor::Named(user(BOT)));
    let mut surroundings = shop.surroundings();
    surroundings.variables = Arc::new(|_| None);
    let watcher = Watcher::new();
    Context::open(settings, surroundings, watcher.clone(), watcher).unwrap()
}

fn branch_at(shop: &Shop, name: &str) {
    let commit = shop.head("dev").unwrap();
    assert_eq!(shop.git().update_ref(name, commit.as_str(), None).unwrap(), RefUpdate::Done);
}

#[tokio::test]
async fn everything_that_is_missing_is_one_message_before_any_effect() {
    let configuration = CONFIGURATION
        .replace("    suites: [system]\n", "    url: { env: STAGING_URL }\n    suites: [system, web, k6]\n")
        .replace(
            "suites:\n  lint:",
            "suites:\n  web: { kind: http, file: tests/web.yaml }\n  k6: { kind: command, command: [no-such-program], env: [TOKEN] }\n  lint:",
        );
    let shop = Shop::with(&configuration);
    shop.commit(
        "dev",
        &[write(
            "tests/web.yaml",
            "requests:\n- { name: one, method: FETCH, url: \"{url}\", expect: { status: 1 } }\n",
        )],
        "a suite",
    );
    branch_at(&shop, "refs/heads/deploy");
    let number = shop.open_pull_request("dev", "staging").await;
    shop.merge_past_rules(number).await;
    let before = shop.untouched();
    let error = fails(run(&bare_job(&shop), &RunRequest::new(staging())).await, ErrorKind::Repository);
    let problems: Vec<String> =
        error.all_problems().iter().map(|problem| format!("{}: {}", problem.subject, problem.message)).collect();
    assert_eq!(
        problems,
        [
            "suite web: tests/web.yaml:2:24: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            "suite web: tests/web.yaml:2:63: 1 is not a status: 100 to 599",
            "suite k6: program `no-such-program` is not on the search path of this job",
            "SHOP_STATE: is not set, and read by probe platform, suite system",
            "STAGING_URL: is not set, and read by environments.staging.url",
            "TOKEN: is not set, and read by suite k6",
            "branch `deploy/staging`: cannot be made beside branch `deploy`: git keeps no ref inside another",
        ],
        "{error}"
    );
    assert_eq!(shop.untouched(), before);
    assert!(shop.ledger().records().is_empty(), "nothing is recorded");
    let statuses = shop.forge(BOT).statuses(&shop.head("staging").unwrap()).unwrap();
    assert!(statuses.is_empty(), "{statuses:?}");

    // The suites of a pull request are asked for by themselves.
    let mut request = TestRequest::new(environment("pull-request"));
    request.pull_request = Some(number);
    let error = fails(run_tests(&bare_job(&shop), &request).await, ErrorKind::Usage);
    assert_eq!(error.all_problems().len(), 1, "{error}");
}

#[tokio::test]
async fn a_branch_in_the_way_of_the_ledger_is_named_by_whatever_writes_first() {
    let shop = Shop::new();
    branch_at(&shop, "refs/heads/orchestrator");
    let number = shop.open_pull_request("dev", "staging").await;
    shop.merge_past_rules(number).await;
    let errors = [
        fails(run(&shop.bot(), &RunRequest::new(staging())).await.map(drop), ErrorKind::Repository),
        fails(hold(&shop.bot(), &staging(), "a freeze").await.map(drop), ErrorKind::Repository),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains("branch `orchestrator/ledger`") && text.contains("beside branch `orchestrator`"),
            "{text}"
        );
        assert!(error.hints().iter().any(|hint| hint.starts_with("delete the branch")), "{:?}", error.hints());
    }
}

#[tokio::test]
async fn a_branch_that_comes_during_the_run_is_named_and_not_tried_again() {
    let shop = Arc::new(Shop::new());
    shop.merge_dev().await;
    let other = Arc::clone(&shop);
    let watcher = Watcher::new().after("health", move || branch_at(&other, "refs/heads/deploy"));
    let error = fails(run(&shop.watched(BOT, &watcher), &RunRequest::new(staging())).await, ErrorKind::Repository);
    let text = error.to_string();
    assert!(text.contains("branch `deploy/staging`: cannot be made beside branch `deploy`"), "{text}");
    assert!(error.hints()[0].starts_with("delete the branch"), "{:?}", error.hints());
    // The same again is refused before anything begins.
    fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Repository);
    assert_eq!(shop.head("deploy/staging"), None);
}

#[tokio::test]
async fn a_tag_that_is_taken_is_found_before_the_deployment() {
    for (tag, expected) in [
        ("release-ID", "is taken: it carries no release of ours"),
        ("release-ID/old", "cannot be made beside tag `release-ID/old`: git keeps no ref inside another"),
    ] {
        let shop = Shop::with(&CONFIGURATION.replace("release-{date}-{id8}", "release-{id8}"));
        shop.merge_dev().await;
        shop.run_ok(&staging()).await;
        shop.approve_and_merge(2).await;
        let plan = orchestrator::plan(&shop.bot(), &production(), None).await.unwrap();
        let tag = tag.replace("ID", plan.release.id8());
        branch_at(&shop, &format!("refs/tags/{tag}"));
        let before = (shop.untouched(), shop.ledger().records().len());
        let error = fails(run(&shop.bot(), &RunRequest::new(production())).await, ErrorKind::Refused);
        let expected = expected.replace("ID", plan.release.id8());
        assert!(error.to_string().contains(&expected), "{error}");
        assert_eq!((shop.untouched(), shop.ledger().records().len()), before, "nothing was deployed");
    }
}

#[tokio::test]
async fn an_address_without_a_scheme_names_the_variable_that_holds_it() {
    let address = "{ env: STAGING_URL }\n    suites: [system]\n";
    let shop = Shop::with(&CONFIGURATION.replace("    suites: [system]\n", &format!("    url: {address}")));
    shop.merge_dev().await;
    let mut surroundings = shop.surroundings();
    let others = surroundings.variables.clone();
    surroundings.variables =
        Arc::new(move |name| if name == "STAGING_URL" { Some("shop.example:8080".to_owned()) } else { others(name) });
    let watcher = Watcher::new();
    let settings = Settings::new(shop.join("shop.git"), Actor::Named(user(BOT)));
    let job = Context::open(settings, surroundings, watcher.clone(), watcher).unwrap();
    let before = shop.untouched();
    let asked = fails(orchestrator::health(&job, &staging()).await.map(drop), ErrorKind::Usage);
    let ran = fails(run(&job, &RunRequest::new(staging())).await.map(drop), ErrorKind::Usage);
    for error in [asked, ran] {
        let text = error.to_string();
        let expected = "`environments.staging.url` is environment variable `STAGING_URL`, whose value \
                        `shop.example:8080` has no scheme";
        assert!(text.contains(expected), "{text}");
        let hints = error.hints().join("\n");
        assert!(hints.contains("variable `STAGING_URL` be `https://shop.example:8080`"), "{hints}");
    }
    assert_eq!(shop.untouched(), before);
}

#[tokio::test]
async fn what_is_done_needs_nothing_any_more() {
    let shop = promoted().await;
    shop.run_ok(&production()).await;
    let job = shop.bot();
    // A suite that passed is not run again, and its program not looked for.
    assert_eq!(run(&job, &RunRequest::new(production())).await.unwrap().stopped, None);
    let error = fails(deploy(&bare_job(&shop), &DeployRequest::new(production())).await, ErrorKind::Usage);
    assert!(error.to_string().contains("SHOP_STATE: is not set, and read by probe platform"), "{error}");
    assert!(!error.to_string().contains("suite"), "{error}");
}

/// A job with these variables and no others.
fn job(shop: &Shop, variables: &'static [(&'static str, &'static str)]) -> Context {
    let settings = Settings::new(shop.join("shop.git"), Actor::Named(user(BOT)));
    let mut surroundings = shop.surroundings();
    surroundings.variables =
        Arc::new(move |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
    let watcher = Watcher::new();
    Context::open(settings, surroundings, watcher.clone(), watcher).unwrap()
}

#[tokio::test]
async fn what_settings_and_targets_need_of_the_machine_is_known_before_the_lock_is_committed() {
    let cluster = CONFIGURATION
        .replace(
            "target: { kind: render, source: \"{path}/deploy\", branch: \"deploy/{mode}\" }",
            "target: { kind: apply, source: \"{path}/deploy\" }",
        )
        .replace(
            "    namespace: shop-staging\n",
            "    namespace: shop-staging\n    kubeconfig: { env: STAGING_KUBECONFIG, encoding: base64 }\n    \
             config: [{ env: NOT_SET, format: dotenv }]\n    \
             secret: [{ command: [no-such-vault, read], format: json, variables: [VAULT_TOKEN] }]\n",
        )
        .replace(
            "    namespace: shop-production\n",
            "    namespace: shop-production\n    kubeconfig: { env: OTHER }\n",
        );
    let said = async |configuration: &str, variables| {
        let shop = Shop::with(configuration);
        let number = shop.open_pull_request("dev", "staging").await;
        shop.merge_past_rules(number).await;
        let before = shop.untouched();
        let error = fails(run(&job(&shop, variables), &RunRequest::new(staging())).await, ErrorKind::Usage);
        assert_eq!(shop.untouched(), before);
        assert!(shop.ledger().records().is_empty(), "nothing is recorded");
        let problems = error.all_problems().iter().map(|problem| format!("{}: {}", problem.subject, problem.message));
        let problems = problems.collect::<Vec<String>>();
        assert!(!problems.is_empty(), "{error}");
        problems
    };
    let missing = said(&cluster, &[("SHOP_STATE", "/tmp")]).await;
    let starts = |prefix: &str| missing.iter().any(|line| line.starts_with(prefix));
    for prefix in [
        "`secret` of shop-cart: program `no-such-vault` is not on the search path",
        "shop-cart: `config[0]`: environment variable `NOT_SET` is not set",
        "STAGING_KUBECONFIG: is not set",
        "VAULT_TOKEN: is not set, and read by `secret` of shop-cart",
    ] {
        assert!(starts(prefix), "{prefix}: {missing:#?}");
    }
    let all = &[("SHOP_STATE", "/tmp"), ("NOT_SET", "A=b"), ("STAGING_KUBECONFIG", "xyz!"), ("VAULT_TOKEN", "t")];
    let wrong = said(&cluster, all).await;
    assert!(wrong.iter().any(|line| line.starts_with("kubeconfig: ") && line.contains("is no base64")), "{wrong:#?}");

    // Charts are rendered by helm, kustomizations by kustomize: none is on this search path.
    let charts = CONFIGURATION.replace("source: \"{path}/deploy\"", "chart: \"{path}/deploy\"");
    let without = said(&charts, &[("SHOP_STATE", "/tmp")]).await;
    assert_eq!(without, ["environments.staging.target: program `helm` is not on the search path of this job"]);
}
