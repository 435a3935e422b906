//! T60: an environment writes only the place that it owns.

use std::collections::BTreeSet;
use std::fs;

use git::TreeChange;
use ledger::{Accepts, Step, StepResult};
use lock_model::EnvironmentName;
use orchestrator::forge::ReviewState;
use orchestrator::{
    Context, DeployRequest, ErrorKind, RollbackRequest, RunRequest, deploy, hold, plan, rollback, run, take_over,
};
use promotion::gates::Gate;

use crate::shop::{
    BOT, CONFIGURATION, Shop, Watcher, branch, environment, fails, merged, production, proven, released,
    released_twice, staging, write,
};

/// Plan, deployment and run of an environment refuse, among other gates by that of its places, in these words, and change
/// nothing.
async fn refuses(shop: &Shop, name: &EnvironmentName, words: &str) {
    refuses_in(shop, &|| shop.bot(), name, words).await;
}

async fn refuses_in(shop: &Shop, context: &(dyn Fn() -> Context + Sync), name: &EnvironmentName, words: &str) {
    let before = shop.untouched();
    let error = fails(plan(&context(), name, None).await, ErrorKind::Refused);
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("environments.")), "{:?}", error.hints());
    for report in [
        deploy(&context(), &DeployRequest::new(name.clone())).await.unwrap(),
        run(&context(), &RunRequest::new(name.clone())).await.unwrap(),
    ] {
        assert!(matches!(report.stopped, Some(ErrorKind::Refused | ErrorKind::Repository)), "{report:#?}");
        assert!(shop.refused_gates(name).contains(&Gate::OwnPlace), "{report:#?}");
        let said = report.steps.iter().find(|line| line.step == "gates").unwrap();
        assert!(said.detail.contains(words), "{}", said.detail);
    }
    assert_eq!(shop.count(name, Step::Deploy, StepResult::Started), deployments(shop, name), "nothing was begun");
    assert_eq!(shop.untouched(), before, "nothing was changed");
}

/// How many deployments came through.
fn deployments(shop: &Shop, name: &EnvironmentName) -> usize {
    shop.count(name, Step::Deploy, StepResult::Ok)
}

/// Refused by nothing but the gate of its places.
async fn refuses_alone(shop: &Shop, name: &EnvironmentName, words: &str) {
    refuses(shop, name, words).await;
    assert_eq!(shop.refused_gates(name), BTreeSet::from([Gate::OwnPlace]));
}

/// What staging and production are called where `{mode}` stands, in the other's words.
fn swapped(configuration: &str) -> String {
    configuration
        .replace("    mode: staging\n", "    mode: other\n")
        .replace("    mode: production\n", "    mode: staging\n")
        .replace("    mode: other\n", "    mode: production\n")
}

#[tokio::test]
async fn t60_an_environment_of_an_open_branch_does_not_write_productions_branch() {
    let shop = released();
    let shadow =
        "environments:\n  shadow:\n    branch: integration\n    mode: production\n    namespace: shop-production\n";
    shop.force("dev", &shop.head("staging").unwrap());
    shop.configure("dev", "    mode: production\n", "    mode: live\n");
    shop.configure("dev", "environments:\n", shadow);
    let words = format!(
        "branch `deploy/production` belongs to `production`, by the configuration of `main` at {}",
        shop.head("main").unwrap().short(12)
    );
    refuses(&shop, &environment("shadow"), &words).await;
    let error = fails(plan(&shop.bot(), &environment("shadow"), None).await, ErrorKind::Refused);
    assert!(error.hints().iter().any(|hint| hint.contains("policy take-over shadow")), "{:?}", error.hints());
}

#[tokio::test]
async fn t60_staging_that_takes_productions_mode_is_refused_and_production_goes_on() {
    let shop = released();
    shop.configure("dev", "    mode: production\n", "    mode: prod\n");
    shop.configure("dev", "    mode: staging\n", "    mode: production\n");
    shop.merge_dev().await;
    refuses_alone(&shop, &staging(), "branch `deploy/production` belongs to `production`").await;
    // A second merge on top of what was refused is judged by the same owner.
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    // The lock of the merge is committed before the gates are asked.
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    refuses_alone(&shop, &staging(), "branch `deploy/production` belongs to `production`").await;

    let mut again = DeployRequest::new(production());
    again.again = true;
    assert_eq!(deploy(&shop.bot(), &again).await.unwrap().stopped, None);
}

#[tokio::test]
async fn t60_two_environments_that_swap_their_branches_are_both_refused() {
    let shop = released();
    let swapped = swapped(CONFIGURATION);
    for branch in ["dev", "main"] {
        shop.commit(branch, &[write("orchestrator.yaml", &swapped)], "swapped");
    }
    shop.merge_dev().await;
    refuses_alone(&shop, &staging(), "branch `deploy/production` belongs to `production`").await;
    refuses(&shop, &production(), "branch `deploy/staging` belongs to `staging`, by the configuration of `staging`")
        .await;
}

#[tokio::test]
async fn t60_a_second_environment_of_a_protected_branch_gets_no_place_of_another_and_blocks_none() {
    let shop = released();
    let second = "environments:\n  second:\n    branch: staging\n    mode: production\n    namespace: shop-second\n";
    shop.configure("dev", "    mode: production\n", "    mode: prod\n");
    shop.configure("dev", "environments:\n", second);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    refuses_alone(&shop, &environment("second"), "branch `deploy/production` belongs to `production`").await;

    // That staging's configuration, which passed its gates, gives the branch to somebody else is no reason to stop production.
    let mut again = DeployRequest::new(production());
    again.again = true;
    assert_eq!(deploy(&shop.bot(), &again).await.unwrap().stopped, None);
}

#[tokio::test]
async fn t60_before_production_was_ever_deployed_its_branch_is_kept_for_it() {
    let shop = proven();
    shop.force("dev", &shop.head("staging").unwrap());
    shop.configure("dev", "    mode: production\n", "    mode: live\n");
    let shadow =
        "environments:\n  shadow:\n    branch: integration\n    mode: production\n    namespace: shop-shadow\n";
    shop.configure("dev", "environments:\n", shadow);
    refuses(
        &shop,
        &environment("shadow"),
        "branch `deploy/production` belongs to `production`, by the configuration of `staging`",
    )
    .await;
}

#[tokio::test]
async fn t60_before_production_was_ever_deployed_what_was_refused_gives_its_branch_to_nobody() {
    let shop = proven();
    // Main has a history of its own, of which nothing has passed.
    let mut changes: Vec<TreeChange> = ["orchestrator.yaml", "tests/check", ".gitmodules", "locks/lock.yaml"]
        .map(|path| write(path, &shop.file("staging", path).unwrap()))
        .into();
    for path in ["ops/shop-dashboards", "services/shop-cart", "services/shop-web"] {
        changes.push(TreeChange::Gitlink { path: path.to_owned(), commit: shop.gitlink("staging", path) });
    }
    let honest = shop.commit("main", &changes, "as it is");
    let swapped = [write("orchestrator.yaml", &swapped(CONFIGURATION))];
    shop.commit("main", &swapped, "past the rules");
    run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert!(!shop.refused_gates(&production()).is_empty());
    shop.commit("dev", &swapped, "the same");
    shop.merge_dev().await;
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    let words = "branch `deploy/production` belongs to `production`, by the configuration of `main` at ";
    refuses_alone(&shop, &staging(), &format!("{words}{}", honest.short(12))).await;
}

#[tokio::test]
async fn t60_a_first_deployment_into_a_branch_with_other_content_is_refused() {
    let shop = merged().await;
    shop.commit("deploy/staging", &[write("README.md", "# The documentation\n")], "years of work");
    // The lock is committed first: that is the merge's.
    let words = "branch `deploy/staging` holds files that were not rendered";
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    refuses_alone(&shop, &staging(), words).await;
    shop.git().update_ref("refs/heads/deploy/staging", git::ABSENT, None).unwrap();
    shop.run_ok(&staging()).await;
}

#[tokio::test]
async fn t60_the_tree_of_another_environment_is_kept_whatever_the_configuration_says() {
    let shop = merged().await;
    let other = proven();
    let own = other.file("deploy/staging", "release.yaml").unwrap();
    let stored = own.replace("environment: staging", "environment: qa");
    assert_ne!(own, stored);
    shop.commit("deploy/staging", &[write("release.yaml", &stored)], "qa: its tree");
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    refuses_alone(&shop, &staging(), "branch `deploy/staging` holds the tree of `qa`").await;
}

#[tokio::test]
async fn t60_a_protected_branch_is_no_place_and_cannot_be_taken_over() {
    let configuration = CONFIGURATION
        .replace(
            "branches: { integration: dev, staging: staging, production: main }",
            "branches: { integration: dev, staging: staging, production: stable }",
        )
        .replace("    mode: staging\n", "    mode: staging\n    target: { branch: main }\n");
    let shop = Shop::with(&configuration);
    shop.merge_dev().await;
    run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    refuses_alone(&shop, &staging(), "branch `main` is protected").await;
    let error = fails(take_over(&shop.context("eve"), &staging(), "we want it").await, ErrorKind::Refused);
    assert!(error.to_string().contains("is protected"), "{error}");
    assert_eq!(shop.ledger().of(&staging()).filter(|record| record.entry.step == Step::Policy).count(), 0);
}

#[tokio::test]
async fn t60_a_render_branch_that_was_deleted_is_made_again() {
    let shop = released();
    shop.git().update_ref("refs/heads/deploy/production", git::ABSENT, None).unwrap();
    let mut again = DeployRequest::new(production());
    again.again = true;
    assert_eq!(deploy(&shop.bot(), &again).await.unwrap().stopped, None);
    assert_eq!(shop.commits("deploy/production"), 1);
}

/// `production` is called `live` from now on: through staging and two approvals to `main`.
async fn rename_production(shop: &Shop) {
    shop.configure(
        "dev",
        "  production:\n    mode: production\n",
        "  live:\n    branch: production\n    mode: production\n",
    );
    shop.configure("dev", "promote: { to: production }", "promote: { to: live }");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, promotion.number, ReviewState::Approved).await;
    }
    let approved = orchestrator::approvals(&shop.bot(), &environment("live"), Some(promotion.number)).await.unwrap();
    assert!(approved.approved, "{approved:#?}");
    shop.merge("ana", promotion.number).await;
}

#[tokio::test]
async fn t60_a_renamed_environment_takes_its_place_over_and_the_old_name_loses_it() {
    let shop = released();
    let live = environment("live");
    Box::pin(rename_production(&shop)).await;
    refuses_alone(&shop, &live, "branch `deploy/production` belongs to `production`").await;

    for actor in ["dana", "rita", BOT] {
        let error = fails(take_over(&shop.context(actor), &live, "it has a new name").await, ErrorKind::Denied);
        assert!(error.message().contains(&format!("`{actor}`")), "{error}");
    }
    refuses_alone(&shop, &live, "branch `deploy/production` belongs to `production`").await;
    let report = take_over(&shop.context("eve"), &live, "it has a new name").await.unwrap();
    assert_eq!((report.places.len(), report.hold), (1, None));
    assert_eq!(report.places[0].place, "branch deploy/production");
    let record = shop.newest(&live, Step::Policy);
    assert_eq!(record.accepts, Some(Accepts::Place("branch deploy/production".to_owned())));
    assert_eq!((record.run.actor.as_str(), record.reason.as_deref()), ("eve", Some("it has a new name")));

    plan(&shop.bot(), &live, None).await.unwrap();
    shop.run_ok(&live).await;
    assert_eq!(shop.commits("deploy/production"), 2);
    let nothing = take_over(&shop.context("eve"), &live, "again").await.unwrap();
    assert!(nothing.places.is_empty(), "it is its own now: {nothing:#?}");

    // Somebody brings the old name back, and `live` moves elsewhere.
    shop.configure("main", "    mode: production\n", "    mode: live\n");
    let back = "environments:\n  production:\n    mode: production\n    namespace: shop-production\n";
    shop.configure("main", "environments:\n", back);
    refuses(&shop, &production(), "branch `deploy/production` belongs to `live`, which took it over").await;
}

#[tokio::test]
async fn t60_the_hold_of_a_place_comes_with_it() {
    let shop = released();
    let live = environment("live");
    Box::pin(rename_production(&shop)).await;
    hold(&shop.context("dana"), &staging(), "this one stays where it is").await.unwrap();
    hold_old_name(&shop);
    let report = take_over(&shop.context("eve"), &live, "it has a new name").await.unwrap();
    assert!(report.hold < report.places[0].record, "the hold is there before the place is: {report:#?}");
    let held = shop.ledger().held(&live).unwrap();
    assert!(held.reason.contains("taken over from `production`, held since"), "{}", held.reason);
    assert!(held.reason.contains("the payment provider is down"), "{}", held.reason);

    let before = shop.untouched();
    let stopped = run(&shop.bot(), &RunRequest::new(live.clone())).await.unwrap().stopped;
    assert_eq!((stopped, shop.refused_gates(&live)), (Some(ErrorKind::Refused), BTreeSet::from([Gate::NotHeld])));
    assert_eq!(shop.untouched(), before);
    orchestrator::unhold(&shop.context("dana"), &live, "it is back").await.unwrap();
    shop.run_ok(&live).await;
}

/// The environment that no configuration names any more is held, as `hold` does it.
fn hold_old_name(shop: &Shop) {
    let mut draft = ledger::RecordDraft::new(
        Step::Hold,
        StepResult::Ok,
        ledger::RunIdentity::new("by-hand", "ana"),
        "2026-01-05T10:00:00Z".parse().unwrap(),
    )
    .environment(&production())
    .reason("the payment provider is down");
    draft.commit = shop.head("main");
    shop.append(draft);
}

#[tokio::test]
async fn t60_a_hold_that_lands_while_the_place_is_taken_over_stops_it() {
    let shop = std::sync::Arc::new(released());
    let live = environment("live");
    Box::pin(rename_production(&shop)).await;
    let other = std::sync::Arc::clone(&shop);
    let next = shop.ledger().next_seq();
    let watcher = Watcher::new().before_record(next, move || hold_old_name(&other));
    fails(take_over(&shop.watched("eve", &watcher), &live, "a new name").await, ErrorKind::Temporary);
    assert_eq!(shop.count(&live, Step::Policy, StepResult::Ok), 0);
    let report = take_over(&shop.context("eve"), &live, "a new name").await.unwrap();
    assert!(report.hold.is_some() && shop.ledger().held(&live).is_some());
}

#[tokio::test]
async fn t60_a_rollback_does_not_go_back_to_a_place_that_another_environment_has_now() {
    let shop = released_twice();
    // Production moved on to a place of its own, and another environment took the old one over.
    let mut draft = shop.newest(&staging(), Step::Gates);
    (draft.step, draft.policy, draft.evidence) = (Step::Policy, None, Vec::new());
    draft.reason = Some("production has another branch".to_owned());
    draft.accepts = Some(Accepts::Place("branch deploy/production".to_owned()));
    draft.run.actor = "eve".to_owned();
    shop.append_as("eve", draft);
    let (before, records) = (shop.untouched(), shop.ledger().records().len());
    let error = fails(rollback(&shop.bot(), &RollbackRequest::new(production(), "broken")).await, ErrorKind::Refused);
    assert!(error.to_string().contains("branch `deploy/production` belongs to `staging`"), "{error}");
    assert_eq!((shop.untouched(), shop.ledger().records().len()), (before, records), "not even begun");
}

#[tokio::test]
async fn t60_a_folder_belongs_to_one_environment_too() {
    let with_folder =
        CONFIGURATION.replace("branch: \"deploy/{mode}\"", "branch: \"deploy/{mode}\", folder: \"out/{mode}\"");
    let shop = Shop::with(&with_folder);
    shop.merge_dev().await;
    let clone = shop.join("clone");
    test_support::Repository::clone_from(shop.join("shop.git").to_str().unwrap(), &clone);
    let context = || shop.context_at("clone", BOT, &Watcher::new());
    let report = run(&context(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    shop.approve_and_merge(2).await;
    let own = fs::read_to_string(clone.join("out/staging/release.yaml")).unwrap();

    // Another environment's tree, files of other origin, and a link in its place.
    fs::write(clone.join("out/staging/release.yaml"), own.replace("environment: staging", "environment: qa")).unwrap();
    refuses_in(&shop, &context, &staging(), "folder `out/staging` holds the tree of `qa`").await;
    fs::remove_file(clone.join("out/staging/release.yaml")).unwrap();
    refuses_in(&shop, &context, &staging(), "folder `out/staging` holds files that were not rendered").await;
    fs::rename(clone.join("out"), clone.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", clone.join("out")).unwrap();
    let before = shop.untouched();
    let error = fails(plan(&context(), &staging(), None).await, ErrorKind::Refused);
    assert!(error.causes().iter().any(|cause| cause.contains("is a symbolic link")), "{error}: {:?}", error.causes());
    fails(run(&context(), &RunRequest::new(staging())).await, ErrorKind::Refused);
    assert_eq!(shop.untouched(), before);

    // A place that lies in that of staging, in another spelling.
    fs::remove_file(clone.join("out")).unwrap();
    shop.configure("main", "    mode: staging\n", "    mode: staging\n    target: { folder: moved }\n");
    shop.configure("main", "    mode: production\n", "    mode: production\n    target: { folder: Out/Staging/x }\n");
    let words = "folder `Out/Staging/x` belongs to `staging` with folder `out/staging`";
    refuses_in(&shop, &context, &production(), words).await;
}
