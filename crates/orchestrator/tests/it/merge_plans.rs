//! What a merge would deploy is judged on the pull request, by the code of the run that follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use git::TreeChange;
use orchestrator::forge::StatusState;
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::report::v1::{LockPublishReport, MergePlan, PlanVerdict, Report as _, Verdict};
use orchestrator::{Actor, Context, Error, ErrorKind, RunRequest, Settings, plan_pull_request, run};

use crate::shop::{
    BOT, CONFIGURATION, Shop, Watcher, executable, fails, manifest, production, proven, staging, user, write,
};

async fn publish(shop: &Shop, number: u64) -> LockPublishReport {
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap()
}

fn plans(report: &LockPublishReport) -> &[MergePlan] {
    &report.published.as_ref().unwrap().plans
}

/// The plan of one environment.
fn plan_of<'a>(report: &'a LockPublishReport, name: &str) -> &'a MergePlan {
    plans(report).iter().find(|plan| plan.environment.as_str() == name).unwrap()
}

/// State and text of the lock's status.
fn status(shop: &Shop) -> (StatusState, String) {
    let statuses = shop.forge(BOT).statuses(&shop.head("dev").unwrap()).unwrap();
    let status = statuses.into_iter().find(|status| status.context == "orchestrator/lock").unwrap();
    (status.state, status.description)
}

async fn comment(shop: &Shop, number: u64) -> String {
    let shown = orchestrator::pull_requests::view_pull_request(&shop.bot(), number).await.unwrap();
    shown.comments.first().unwrap().body.replace(['\\', '\u{200b}'], "")
}

/// Everything that an error says.
fn said(error: &Error) -> String {
    let details = error.all_problems().iter().flat_map(|problem| problem.details.iter());
    format!("{error}\n{}", details.cloned().collect::<Vec<_>>().join("\n"))
}

fn namespace(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: more, namespace: {name} }}\n")
}

fn link(path: &str) -> TreeChange {
    TreeChange::Write { path: path.into(), mode: 0o120_000, bytes: b"app.yaml".to_vec() }
}

/// Another suite of staging, and its file.
fn suite(shop: &Shop, definition: &str, file: TreeChange) {
    shop.configure("dev", "suites:\n", &format!("suites:\n  more: {definition}\n"));
    shop.configure("dev", "suites: [system]", "suites: [system, more]");
    shop.commit("dev", &[file], "another suite");
}

/// A change of `dev` that cannot be deployed, and what everybody says of it.
type Fault = (&'static str, fn(&Shop));

const FAULTS: &[Fault] = &[
    ("`deploy/more.yaml` (line 2, column 1): not readable as YAML: key `kind` is in this map a second time", |shop| {
        drop(shop.bump_with("shop-web", 2, "kind: A\nkind: B\n"));
    }),
    ("elsewhere", |shop| drop(shop.bump_with("shop-web", 2, &namespace("elsewhere")))),
    ("has no folder `deploy`", |shop| shop.rewrite("shop-web", &[write("VERSION", "2\n")])),
    ("symbolic link", |shop| {
        shop.rewrite("shop-web", &[write("deploy/app.yaml", &manifest("shop-web")), link("deploy/more.yaml")]);
    }),
    ("no container of its image", |shop| {
        shop.rewrite("shop-web", &[write("deploy/app.yaml", &namespace("shop-staging"))]);
    }),
    ("there is no manifest among its 1 files", |shop| {
        shop.rewrite("shop-web", &[write("deploy/app.yaml", "# later\n")]);
    }),
    ("this is a chart", |shop| {
        shop.rewrite(
            "shop-web",
            &[write("deploy/Chart.yaml", "name: web\n"), write("deploy/app.yaml", &manifest("shop-web"))],
        );
    }),
    ("tests/more.yaml:3:", |shop| {
        let file = "requests:\n- name: one\n  method: FETCH\n  url: http://x.example\n  expect: { status: 200 }\n";
        suite(shop, "{ kind: http, file: tests/more.yaml }", write("tests/more.yaml", file));
    }),
    ("`environments.staging` has no `url:`", |shop| {
        let file = "requests:\n- { name: one, method: GET, url: \"{url}/\", expect: { status: 200 } }\n";
        suite(shop, "{ kind: http, file: tests/more.yaml }", write("tests/more.yaml", file));
    }),
    ("program `no-such-program` is not on the search path", |shop| {
        suite(shop, "{ kind: command, command: [no-such-program] }", write("notes", ""));
    }),
    ("is run by `no-such-interpreter`", |shop| {
        let script = executable("tests/more", "#!/usr/bin/env no-such-interpreter\n");
        suite(shop, "{ kind: command, command: [./tests/more] }", script);
    }),
    ("`./tests/more` is empty: it would pass", |shop| {
        suite(shop, "{ kind: command, command: [./tests/more] }", executable("tests/more", ""));
    }),
    ("has no `#!` in its first line", |shop| {
        suite(shop, "{ kind: command, command: [./tests/more] }", executable("tests/more", "exit 0\n"));
    }),
    ("ends with a carriage return", |shop| {
        suite(shop, "{ kind: command, command: [./tests/more] }", executable("tests/more", "#!/bin/sh\r\nexit 0\r\n"));
    }),
    ("tests/more.yaml:2:", |shop| {
        let file =
            "requests:\n- { name: one, method: GET, url: \"http://127.0.0.1:99999/\", expect: { status: 200 } }\n";
        suite(shop, "{ kind: http, file: tests/more.yaml }", write("tests/more.yaml", file));
    }),
];

#[tokio::test]
async fn what_the_run_would_refuse_fails_the_pull_request() {
    for (index, (expected, break_it)) in FAULTS.iter().enumerate() {
        let shop = proven();
        break_it(&shop);
        let number = shop.open_pull_request("dev", "staging").await;
        let report = publish(&shop, number).await;
        let plan = plan_of(&report, "staging");
        assert_eq!((plan.decides, plan.verdict), (true, PlanVerdict::Refused), "{expected}: {plan:#?}");
        assert_eq!(report.verdict(), Verdict::Negative(ErrorKind::Refused), "{expected}");
        assert_eq!(status(&shop).0, StatusState::Failure, "{expected}: {:?}", status(&shop));
        let text = comment(&shop, number).await;
        assert!(text.contains("### What the merge deploys") && text.contains(expected), "{expected}: {text}");

        if index == 0 {
            let error = fails(plan_pull_request(&shop.bot(), &staging(), number).await, ErrorKind::Refused);
            assert!(said(&error).contains(expected), "{expected}: {}", said(&error));
        }

        // Past the rules, the run says the same.
        shop.merge_past_rules(number).await;
        let before = shop.untouched();
        let answer = run(&shop.bot(), &RunRequest::new(staging())).await;
        let story = match &answer {
            Ok(report) => format!("{report:#?}"),
            Err(error) => said(error),
        };
        // A hint that fits: no file has to be corrected.
        if expected.contains("has no `url:`") {
            let hints = answer.as_ref().unwrap_err().hints().join("\n");
            assert!(text.contains("hint: say where") && hints.starts_with("say where `staging` answers"), "{hints}");
        }
        assert!(story.contains(expected), "{expected}: {story}");
        let deployed = "refs/heads/deploy/staging";
        assert_eq!(shop.untouched().get(deployed), before.get(deployed), "{expected}");
    }
}

/// The configuration names what is not in the tree: 2, as for `config check`.
#[tokio::test]
async fn a_folder_of_manifests_that_is_not_in_the_superproject_is_a_fault_of_the_configuration() {
    let shop = Shop::with(&CONFIGURATION.replace("source: \"{path}/deploy\"", "source: \"manifests/{short}\""));
    let number = shop.open_pull_request("dev", "staging").await;
    shop.merge_past_rules(number).await;
    for error in [
        fails(run(&shop.bot(), &RunRequest::new(staging())).await.map(drop), ErrorKind::Usage),
        fails(orchestrator::plan(&shop.bot(), &staging(), None).await.map(drop), ErrorKind::Usage),
    ] {
        assert!(error.message().starts_with("`target.source` of `staging` (orchestrator.yaml:"), "{error}");
        assert!(error.hints()[0].contains("or correct `target.source`"), "{error:?}");
    }
}

#[tokio::test]
async fn a_later_environment_warns_and_says_so_in_the_status() {
    let shop = proven();
    let image =
        "apiVersion: v1\nkind: Pod\nmetadata: { name: more }\nspec: { containers: [{ name: s, image: busybox:1 }] }\n";
    shop.bump_with("shop-web", 2, image);
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish(&shop, number).await;
    assert_eq!(report.verdict(), Verdict::Positive);
    assert_eq!(plan_of(&report, "staging").verdict, PlanVerdict::Deploys);
    let later = plan_of(&report, "production");
    assert_eq!((later.decides, later.verdict), (false, PlanVerdict::Refused), "{later:#?}");
    let (state, text) = status(&shop);
    assert_eq!(state, StatusState::Success);
    assert!(text.ends_with("; production will refuse it"), "{text}");
    assert!(report.warnings().iter().any(|warning| warning.starts_with("`production` would refuse it: shop-web:")));
    assert!(comment(&shop, number).await.contains("**production** **will refuse it** when its turn comes"));
    // The same question about production, to the same pull request.
    let error = fails(plan_pull_request(&shop.bot(), &production(), number).await, ErrorKind::Refused);
    assert!(said(&error).contains("busybox:1"), "{}", said(&error));
    let plan = plan_pull_request(&shop.bot(), &staging(), number).await.unwrap();
    assert_eq!(plan.pull_request, Some(number));
    assert!(plan.plan.is_some() && !plan.changes.is_empty(), "{plan:#?}");
}

#[tokio::test]
async fn what_the_next_environment_would_refuse_keeps_its_promotion_from_being_merged() {
    let shop = proven();
    let image =
        "apiVersion: v1\nkind: Pod\nmetadata: { name: more }\nspec: { containers: [{ name: s, image: busybox:1 }] }\n";
    shop.bump_with("shop-web", 2, image);
    let number = shop.open_pull_request("dev", "staging").await;
    shop.check(number).await;
    shop.merge("dana", number).await;
    let refused = run(&shop.bot(), &RunRequest::new(staging())).await;
    let story = match &refused {
        Ok(report) => format!("{report:#?}"),
        Err(error) => said(error),
    };
    let reason = "`production` would refuse it: shop-web: `docker.io/library/busybox:1`";
    assert!(story.contains(reason), "{story}");
    // Staging is proven all the same, and the promotion is there for people to see.
    let open =
        shop.forge(BOT).find_open(&crate::shop::branch("staging"), &crate::shop::branch("main")).unwrap().unwrap();
    assert!(open.body.replace(['\\', '\u{200b}'], "").contains("would refuse it"), "{}", open.body);
    for _ in 0..2 {
        let counted = orchestrator::approvals(&shop.bot(), &production(), None).await.unwrap();
        assert!(!counted.approved && counted.obstacles[0].starts_with(reason), "{counted:#?}");
        let statuses = shop.forge(BOT).statuses(&shop.head("staging").unwrap()).unwrap();
        let status = statuses.into_iter().find(|status| status.context == "orchestrator/approvals").unwrap();
        assert!(status.state == StatusState::Failure && status.description.contains("would refuse it"), "{status:?}");
    }
    // The cure is another change, which carries both.
    shop.bump_with("shop-web", 3, "");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let counted = orchestrator::approvals(&shop.bot(), &production(), None).await.unwrap();
    assert_eq!(counted.obstacles, [""; 0]);
}

#[tokio::test]
async fn a_tag_in_the_way_of_the_release_is_said_before_the_merge() {
    let shop = Shop::with(&CONFIGURATION.replace("release-{date}-{id8}", "release/{id8}"));
    let commit = shop.head("dev").unwrap();
    shop.git().update_ref("refs/tags/release", commit.as_str(), None).unwrap();
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish(&shop, number).await;
    let later = plan_of(&report, "production");
    let text = format!("{:?}", later.problems);
    assert!(
        later.verdict == PlanVerdict::Refused && text.contains("cannot be made beside tag `release`"),
        "{later:#?}"
    );
    let error = fails(plan_pull_request(&shop.bot(), &production(), number).await, ErrorKind::Refused);
    assert!(said(&error).contains("cannot be made beside tag `release`"), "{}", said(&error));
}

#[tokio::test]
async fn what_is_planned_for_the_merge_is_what_the_run_deploys() {
    let shop = proven();
    shop.bump("shop-web", 2);
    let number = shop.open_pull_request("dev", "staging").await;
    let plan = plan_pull_request(&shop.bot(), &staging(), number).await.unwrap();
    shop.check(number).await;
    shop.merge("dana", number).await;
    shop.run_ok(&staging()).await;
    let files: Vec<&str> = plan.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(files, ["release.yaml", "services/shop-web/app.yaml"]);
    let again = orchestrator::plan(&shop.bot(), &staging(), None).await.unwrap();
    assert_eq!((again.release, again.changes.len()), (plan.release, 0));
    // A promotion carries its lock.
    let promotion = shop.forge(BOT).find_open(&crate::shop::branch("staging"), &crate::shop::branch("main")).unwrap();
    let planned = plan_pull_request(&shop.bot(), &production(), promotion.unwrap().number).await.unwrap();
    assert_eq!(planned.lock, again.lock);
    assert_eq!(planned.changes.len(), 3, "{planned:#?}");
}

#[tokio::test]
async fn content_that_cannot_be_had_is_not_checked_and_equal_problems_are_one() {
    let shop = proven();
    for service in ["shop-web", "shop-cart"] {
        shop.bump_with(service, 2, "kind: A\nkind: B\n");
    }
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish(&shop, number).await;
    let [problem] = plan_of(&report, "staging").problems.as_slice() else { panic!("{report:#?}") };
    assert_eq!(problem.subjects, ["shop-cart", "shop-web"]);

    let shop = proven();
    shop.bump("shop-web", 2);
    std::fs::rename(shop.join("shop-web.git"), shop.join("gone.git")).unwrap();
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish(&shop, number).await;
    assert_eq!(report.verdict(), Verdict::Positive, "{report:#?}");
    let plan = plan_of(&report, "staging");
    assert_eq!((plan.verdict, plan.changes), (PlanVerdict::Deploys, None));
    let open: Vec<String> = plan.not_checked.iter().map(ToString::to_string).collect();
    assert!(open[0].starts_with("shop-web: ") && open[0].contains("fetch"), "{open:?}");
    assert_eq!(open[1], "variables of the job that deploys: `SHOP_STATE`");
    let text = comment(&shop, number).await;
    assert!(text.contains("\nNot checked:\n\n- `shop-web` (staging, production): "), "{text}");
    let plan = plan_pull_request(&shop.bot(), &staging(), number).await.unwrap();
    assert!(plan.plan.is_none() && plan.not_checked.len() == 2, "{plan:#?}");
}

#[tokio::test]
async fn a_place_that_is_given_away_later_stops_no_merge() {
    let shop = proven();
    let renamed =
        CONFIGURATION.replace("  staging:\n    mode: staging\n", "  stage:\n    branch: staging\n    mode: staging\n");
    let renamed = renamed.replace("proven-in: staging", "proven-in: stage");
    shop.commit("dev", &[write("orchestrator.yaml", &renamed)], "another name");
    let number = shop.open_pull_request("dev", "staging").await;
    let report = publish(&shop, number).await;
    let plan = plan_of(&report, "stage");
    assert_eq!((plan.decides, plan.verdict), (true, PlanVerdict::Deploys), "{plan:#?}");
    let open: Vec<String> = plan.not_checked.iter().map(ToString::to_string).collect();
    assert!(open[0].contains("branch `deploy/staging` holds the tree of environment `staging`"), "{open:?}");
}

/// A cluster that takes connections and answers none; counts those that are open at the same time, until each is given up.
fn silent_cluster() -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = most.clone();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let (open, most) = (open.clone(), counted.clone());
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let _end = std::io::copy(&mut connection, &mut std::io::sink());
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let kubeconfig = format!(
        "{{ current-context: a, contexts: [{{ name: a, context: {{ cluster: c, user: u }} }}], clusters: [{{ name: c, \
         cluster: {{ server: \"https://{address}\" }} }}], users: [{{ name: u, user: {{ token: t }} }}] }}"
    );
    (kubeconfig, most)
}

#[tokio::test]
async fn clusters_that_do_not_answer_are_waited_for_side_by_side_and_fail_nothing() {
    let configuration = CONFIGURATION
        .replace(
            "kind: render, source: \"{path}/deploy\", branch: \"deploy/{mode}\"",
            "kind: apply, source: \"{path}/deploy\"",
        )
        .replace("    namespace: shop-staging\n", "    namespace: shop-staging\n    kubeconfig: { env: CLUSTER }\n")
        .replace(
            "    namespace: shop-production\n",
            "    namespace: shop-production\n    kubeconfig: { env: CLUSTER }\n",
        );
    let shop = Shop::with(&configuration);
    let number = shop.open_pull_request("dev", "staging").await;
    let (kubeconfig, most) = silent_cluster();
    let mut surroundings = shop.surroundings();
    let others = surroundings.variables.clone();
    surroundings.variables =
        Arc::new(move |name| if name == "CLUSTER" { Some(kubeconfig.clone()) } else { others(name) });
    let watcher = Watcher::new();
    let mut settings = Settings::new(shop.join("shop.git"), Actor::Named(user(BOT)));
    // What is left for a question is a part of this.
    settings.deadline = Instant::now() + Duration::from_secs(4);
    let job = Context::open(settings, surroundings, watcher.clone(), watcher).unwrap();
    let report = publish_lock(&job, &LockPublishRequest::new(number)).await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 2, "one after another");
    for plan in plans(&report) {
        assert_eq!(plan.verdict, PlanVerdict::Deploys, "{plan:#?}");
        let said = plan.not_checked.iter().find(|open| open.message.starts_with("what changes there: ")).unwrap();
        let reason = format!("{} {}", said.message, said.details.join(" "));
        let is_said = ["the API server did not answer within", "the API server cannot be reached"];
        assert!(is_said.iter().any(|why| reason.contains(why)), "{reason}");
    }
    assert_eq!(status(&shop).0, StatusState::Success);
}
