//! Images that neither the lock nor a digest decides: refused where a release has to show something, listed everywhere.

use ledger::{Step, StepResult};
use orchestrator::forge::ReviewState;
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::report::v1::RunReport;
use orchestrator::{ErrorKind, RollbackRequest, RunRequest, plan, rollback, run};

use promotion::gates::Gate;

use crate::shop::{BOT, CONFIGURATION, Shop, branch, fails, production, proven, released, staging};

/// The registry of this host has it; nobody locks it.
const TOOL: &str = "registry.example/tools/proxy:1.2";

fn pod(fields: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{ name: more }}\nspec: {{ {fields} }}\n")
}

/// Everywhere that a manifest can name an image.
fn hiding_places(image: &str) -> Vec<String> {
    let init = format!("initContainers: [{{ name: i, image: \"{image}\" }}], containers: []");
    let sidecar = format!("containers: [{{ name: s, image: \"{image}\" }}]");
    let volume = format!("containers: [], volumes: [{{ name: v, image: {{ reference: \"{image}\" }} }}]");
    let job = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ name: more }}\nspec: {{ schedule: \"* * * * *\", jobTemplate: \
         {{ spec: {{ template: {{ spec: {{ containers: [{{ name: c, image: \"{image}\" }}] }} }} }} }} }}\n"
    );
    let custom = |fields: String| {
        format!("apiVersion: example.org/v1\nkind: Proxy\nmetadata: {{ name: more }}\nspec: {{ {fields} }}\n")
    };
    let (repository, tag) = image.rsplit_once(':').unwrap();
    vec![
        pod(&init),
        pod(&sidecar),
        pod(&volume),
        job,
        custom(format!("image: \"{image}\"")),
        custom(format!("proxyImage: \"{image}\"")),
        custom(format!("repository: \"{repository}\", tag: \"{tag}\"")),
        custom(format!("image: {{ repository: \"{repository}\", tag: {tag} }}")),
        custom(format!("image: \" {image} \"")),
        pod(&format!("containers: [{{ name: a, image: \"{TOOL_PINNED}\", args: [\"--sidecar={image}\"] }}]")),
    ]
}

const TOOL_PINNED: &str =
    "registry.example/tools/other:1@sha256:3333333333333333333333333333333333333333333333333333333333333333";

/// Everything is through staging and approved for production.
async fn to_production(shop: &Shop) {
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    shop.approve_and_merge(promotion.number).await;
}

/// A run of staging that proves the release there, and says that production would refuse it.
async fn proven_and_refused(shop: &Shop) -> RunReport {
    shop.merge_dev().await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    let said = report.steps.iter().map(|step| step.detail.as_str()).collect::<Vec<_>>().join("\n");
    assert!(said.contains("`production` would refuse it: shop-web: "), "{said}");
    report
}

/// The promotion is approved, and an administrator merges it past its failed status.
async fn approve_and_merge_past_rules(shop: &Shop) {
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, promotion.number, ReviewState::Approved).await;
    }
    shop.merge_past_rules(promotion.number).await;
}

/// What production would refuse, on its branch all the same.
async fn past_the_promotion(shop: &Shop) {
    proven_and_refused(shop).await;
    approve_and_merge_past_rules(shop).await;
}

/// A run of production that this gate alone refuses; gives what it says.
async fn refused(shop: &Shop, context: &orchestrator::Context) -> String {
    let report = run(context, &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
    assert_eq!(shop.refused_gates(&production()), [Gate::PinnedImages].into(), "{report:#?}");
    report.steps[0].detail.clone()
}

fn exception(until: &str) -> String {
    format!(
        "    unpinned-images: {{ \"{TOOL}\": {{ owner: eve, reason: its vendor, until: \"{until}\" }} }}\n    mode: production\n"
    )
}

#[tokio::test]
async fn t55_an_image_that_nothing_decides_does_not_reach_production_in_any_form() {
    let shop = released();
    let digest = shop.foreign_image("registry.example/tools/proxy", "1.2");
    let last = hiding_places(TOOL).len();
    for (index, manifests) in hiding_places(TOOL).into_iter().enumerate() {
        shop.bump_with("shop-web", u32::try_from(index).unwrap() + 2, &manifests);
        let report = proven_and_refused(&shop).await;
        assert!(report.warnings.iter().any(|warning| warning.contains("tools/proxy")), "{manifests}: {report:#?}");
        let error = {
            let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
            assert!(promotion.body.contains(&format!("`{TOOL}`")), "{manifests}: {}", promotion.body);
            assert!(
                promotion.body.contains("refused: it is neither locked nor written with a digest"),
                "{}",
                promotion.body
            );
            if index + 1 < last {
                continue;
            }
            approve_and_merge_past_rules(&shop).await;
            fails(plan(&shop.bot(), &production(), None).await.map(drop), ErrorKind::Refused)
        };
        let pasted = format!("write {TOOL}@{digest}");
        assert!(
            error.all_problems().iter().any(|problem| problem.details.contains(&pasted)),
            "{:?}",
            error.all_problems()
        );
    }
    let (before, deployed) = (shop.untouched(), shop.count(&production(), Step::Deploy, StepResult::Started));
    let said = refused(&shop, &shop.bot()).await;
    assert!(said.contains("environments.production.unpinned-images") && said.contains(digest.as_str()), "{said}");
    assert_eq!(shop.untouched(), before);
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), deployed, "nothing was begun");
}

#[tokio::test]
async fn t55_an_image_with_a_digest_passes_and_a_registry_that_does_not_answer_hides_nothing() {
    let shop = released();
    shop.bump_with("shop-web", 2, &pod(&format!("containers: [{{ name: s, image: \"{TOOL_PINNED}\" }}]")));
    to_production(&shop).await;
    shop.run_ok(&production()).await;
    let unknown = "registry.example/nobody/knows:1";
    shop.bump_with("shop-web", 3, &pod(&format!("containers: [{{ name: s, image: \"{unknown}\" }}]")));
    past_the_promotion(&shop).await;
    let said = refused(&shop, &shop.bot()).await;
    assert!(said.contains(&format!("`{unknown}` of Pod")), "{said}");
    assert!(said.contains("the registry gives no digest to write: "), "{said}");
}

#[tokio::test]
async fn t55_an_exception_holds_until_its_day_where_the_rules_or_the_approvers_have_it() {
    // The rules in force allow it; the change says nothing about it.
    let allowed = CONFIGURATION.replace("    mode: production\n", &exception("2026-01-31"));
    let shop = Shop::with(&allowed);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
    shop.bump_with("shop-web", 2, &pod(&format!("containers: [{{ name: s, image: \"{TOOL}\" }}]")));
    to_production(&shop).await;
    let late = shop.watched(BOT, &crate::shop::Watcher::days_later(60));
    let said = refused(&shop, &late).await;
    assert!(said.contains("the exception of eve ended on 2026-01-31"), "{said}");
    let report = shop.run_ok(&production()).await;
    assert!(report.warnings.iter().any(|warning| warning.contains("tools/proxy")), "{report:#?}");

    // The change brings it, and four eyes saw exactly this content.
    let shop = released();
    shop.configure("dev", "    mode: production\n", &exception("2026-01-31"));
    shop.bump_with("shop-web", 2, &pod(&format!("containers: [{{ name: s, image: \"{TOOL}\" }}]")));
    let number = shop.open_pull_request("dev", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let shown = orchestrator::pull_requests::view_pull_request(&shop.bot(), number).await.unwrap();
    let comment = shown.comments[0].body.replace('\\', "");
    assert!(comment.contains("allowed: its vendor (eve, until 2026-01-31)"), "{comment}");
    assert!(comment.contains("may be deployed without a digest until 2026-01-31"), "{comment}");
    shop.check(number).await;
    shop.merge("dana", number).await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    shop.approve_and_merge(promotion.number).await;
    shop.run_ok(&production()).await;
}

#[tokio::test]
async fn t55_a_change_that_nobody_approves_does_not_allow_its_own_images() {
    let shop = Shop::with(&CONFIGURATION.replace("proof: stored, approvals: { count: 2 } }", "proof: stored }"));
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
    shop.configure("dev", "    mode: production\n", &exception("2026-01-31"));
    shop.bump_with("shop-web", 2, &pod(&format!("containers: [{{ name: s, image: \"{TOOL}\" }}]")));
    past_the_promotion(&shop).await;
    let said = refused(&shop, &shop.bot()).await;
    assert!(said.contains("only the change itself allows it"), "{said}");
    // What was refused is no policy for what comes after it.
    shop.bump("shop-cart", 2);
    past_the_promotion(&shop).await;
    let said = refused(&shop, &shop.bot()).await;
    assert!(said.contains("only the change itself allows it"), "{said}");
}

#[tokio::test]
async fn t55_a_rollback_lists_such_images_and_is_not_stopped() {
    let allowed = CONFIGURATION.replace("    mode: production\n", &exception("2026-01-31"));
    let shop = Shop::with(&allowed);
    shop.bump_with("shop-web", 2, &pod(&format!("containers: [{{ name: s, image: \"{TOOL}\" }}]")));
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
    shop.bump_with("shop-web", 3, "");
    shop.release_next().await;
    let late = shop.watched(BOT, &crate::shop::Watcher::days_later(60));
    let report = rollback(&late, &RollbackRequest::new(production(), "orders are lost")).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    assert!(report.warnings.iter().any(|warning| warning.contains(TOOL)), "{report:#?}");
}

#[tokio::test]
async fn t55_an_environment_that_asks_for_nothing_deploys_it_and_lists_it() {
    let shop = proven();
    shop.bump_with("shop-web", 2, &pod("containers: [{ name: s, image: \"busybox:1.36\" }]"));
    let number = shop.open_pull_request("dev", "staging").await;
    let published = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await.unwrap();
    let said: Vec<&String> = published.warnings.iter().filter(|warning| warning.contains("busybox:1.36")).collect();
    assert_eq!(said.len(), 2, "{:?}", published.warnings);
    assert!(said[0].starts_with("`production` would refuse it: shop-web: "), "{said:?}");
    assert!(said[1].starts_with("staging: ") && said[1].ends_with("deployed as it is written"), "{said:?}");
}
