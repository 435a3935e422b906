//! Who is left to approve: authors and mergers of what a promotion carries, and a team that is too small.

use git::{CommitIdentity, MergeTree};
use ledger::{Step, StepResult};
use lock_model::{CommitId, Timestamp};
use orchestrator::forge::{NewPullRequest, ReviewState, Role, StatusState, User};
use orchestrator::lock::{LockPublishRequest, publish_lock};
use orchestrator::pull_requests::{ReviewRequest, open_pull_request, review_pull_request};
use orchestrator::report::v1::{ApprovalsReport, Report as _, StepResult as StepWord, Verdict};
use orchestrator::simulator::{ForgeInitRequest, init_forge};
use orchestrator::{ErrorKind, RunRequest, approvals, check_config, run};

use crate::shop::{
    BOT, CONFIGURATION, Shop, Watcher, branch, production, proven, released, staging, step_words, user, write,
};

/// A shop with other rules for approvals, whose first change `dana` opened and `merger` merged; it is proven in staging.
async fn shop_with(rules: &str, merger: &str) -> Shop {
    let configuration = CONFIGURATION.replace("approvals: { count: 2 }", &format!("approvals: {{ {rules} }}"));
    assert_ne!(configuration, CONFIGURATION);
    let shop = Shop::with(&configuration);
    assert_eq!(shop.open_pull_request("dev", "staging").await, 1);
    shop.check(1).await;
    shop.merge(merger, 1).await;
    shop
}

/// Everybody who may write approves the promotion; gives the answer.
async fn everybody_approves(shop: &Shop, number: u64) -> ApprovalsReport {
    for person in ["ana", "ben", "dana", "eve"] {
        shop.review(person, number, ReviewState::Approved).await;
    }
    approvals(&shop.bot(), &production(), Some(number)).await.unwrap()
}

/// Why a person does not count.
fn reason<'a>(report: &'a ApprovalsReport, person: &str) -> &'a str {
    let found = report.not_counted.iter().find(|one| one.user == person);
    found.map_or("", |one| one.reason.as_str())
}

fn opened(number: u64) -> String {
    format!("opened #{number}, which is carried")
}

fn new(head: &str, base: &str, title: &str) -> NewPullRequest {
    NewPullRequest::new(branch(head), branch(base), title)
}

/// A branch `feature` with a change on top of `dev`, and a pull request of a person into `dev`.
async fn feature(shop: &Shop, author: &str) -> u64 {
    shop.force("feature", &shop.head("dev").unwrap());
    shop.commit("feature", &[write("notes.md", "x\n")], "a feature");
    let context = shop.context(author);
    let opened = open_pull_request(&context, &new("feature", "dev", "Feature")).await.unwrap();
    opened.pull_request.number
}

/// `dev` goes to staging; gives the numbers of that pull request and of the promotion.
async fn train(shop: &Shop) -> (u64, u64) {
    shop.bump("shop-web", 2);
    let merged = shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    (merged, promotion.number)
}

#[tokio::test]
async fn t53_the_author_of_a_pull_request_two_levels_down_does_not_count() {
    let shop = released();
    let feature = feature(&shop, "ana").await;
    shop.merge("ben", feature).await;
    let (merged, promotion) = train(&shop).await;
    let report = everybody_approves(&shop, promotion).await;
    assert_eq!(report.counted, ["ben", "eve"], "{report:#?}");
    assert_eq!(reason(&report, "ana"), opened(feature));
    assert_eq!(reason(&report, "dana"), opened(merged));
    assert!(report.approved, "who only merged counts where the rules do not say otherwise");
    let body = shop.forge(BOT).pull_request(promotion).unwrap().body;
    assert!(body.contains(&format!("- not ana, who opened #\u{200b}{feature}, which is carried")), "{body}");
    // The gate asks the same of what was merged.
    for person in ["ben", "eve"] {
        let reviews = shop.forge(BOT).reviews(promotion).unwrap();
        let seq = reviews.iter().rfind(|review| review.user.as_str() == person).unwrap().seq;
        shop.forge(person).simulator().dismiss_review(promotion, seq, "no").unwrap();
    }
    shop.merge_past_rules(promotion).await;
    let stopped = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(stopped.stopped, Some(ErrorKind::Refused));
    let reason = shop.newest(&production(), Step::Gates).reason.unwrap();
    assert!(reason.contains("0 of 2 approvals") && reason.contains("ana opened"), "{reason}");
}

#[tokio::test]
async fn t53_a_pull_request_that_arrived_by_a_push_has_an_author_too() {
    let shop = released();
    let number = feature(&shop, "ana").await;
    shop.force("dev", &shop.head("feature").unwrap());
    // Not one that was opened by mistake and goes elsewhere.
    let context = shop.context("ben");
    open_pull_request(&context, &new("dev", "main", "By mistake")).await.unwrap();
    let (_, promotion) = train(&shop).await;
    let report = everybody_approves(&shop, promotion).await;
    assert_eq!(report.counted, ["ben", "eve"], "{report:#?}");
    assert_eq!(reason(&report, "ana"), opened(number));
}

#[tokio::test]
async fn t53_a_branch_that_is_rewritten_without_the_merge_hides_no_author() {
    let shop = released();
    let number = feature(&shop, "ana").await;
    shop.merge("ben", number).await;
    // Not one that brought these commits to a branch of somebody's own.
    shop.force("own", &shop.head("main").unwrap());
    let context = shop.context("eve");
    let own = open_pull_request(&context, &new("feature", "own", "To try it")).await.unwrap().pull_request.number;
    shop.merge("eve", own).await;
    shop.force("dev", &shop.head("feature").unwrap());
    let (_, promotion) = train(&shop).await;
    let report = everybody_approves(&shop, promotion).await;
    assert_eq!(report.counted, ["ben", "eve"], "{report:#?}");
    assert_eq!(reason(&report, "ana"), opened(number));
}

#[tokio::test]
async fn t53_who_opens_a_pull_request_with_the_commits_of_others_is_its_author() {
    let shop = released();
    // Every commit of this shop is by Dana.
    shop.bump("shop-web", 2);
    let context = shop.context("eve");
    let number = open_pull_request(&context, &new("dev", "staging", "Release")).await.unwrap();
    let number = number.pull_request.number;
    shop.check(number).await;
    shop.merge("dana", number).await;
    shop.run_ok(&staging()).await;
    let report = everybody_approves(&shop, number + 1).await;
    assert_eq!(report.counted, ["ana", "ben", "dana"]);
    assert_eq!(reason(&report, "eve"), opened(number));
    // A promotion of a person has an author as well, who could not even review it.
    let promotion = shop.forge(BOT).pull_request(number + 1).unwrap();
    assert_eq!(promotion.author.as_str(), BOT);
}

/// What was merged past the rules and refused comes to production with the next promotion: its authors are authors still.
#[tokio::test]
async fn t53_what_was_merged_and_refused_keeps_its_authors() {
    let shop = released();
    let feature = feature(&shop, "ana").await;
    shop.merge("ben", feature).await;
    let (_, promotion) = train(&shop).await;
    shop.merge_past_rules(promotion).await;
    let stopped = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(stopped.stopped, Some(ErrorKind::Refused));
    shop.bump("shop-web", 3);
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    let next = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap().number;
    assert_ne!(next, promotion);
    let report = everybody_approves(&shop, next).await;
    assert_eq!(report.counted, ["ben", "eve"], "{report:#?}");
    assert_eq!(reason(&report, "ana"), opened(feature));
    shop.merge("ben", next).await;
    shop.run_ok(&production()).await;
}

#[tokio::test]
async fn t53_who_merged_what_is_carried_does_not_count_where_the_rules_say_so() {
    let shop = shop_with("count: 2, exclude: [author, merger]", "eve").await;
    shop.run_ok(&staging()).await;
    let report = everybody_approves(&shop, 2).await;
    assert_eq!(report.counted, ["ana", "ben"], "{report:#?}");
    assert_eq!(reason(&report, "eve"), "merged #1, which is carried");
    assert_eq!(report.eligible, ["ana", "ben"]);
    let never: Vec<&str> = report.excluded.iter().map(|one| one.user.as_str()).collect();
    assert_eq!(never, ["dana", "eve"]);
}

#[tokio::test]
async fn t53_a_committer_is_found_by_mail_and_an_unknown_mail_is_said() {
    let shop = shop_with("count: 2, exclude: [author, committer]", "dana").await;
    shop.run_ok(&staging()).await;
    let report = everybody_approves(&shop, 2).await;
    assert_eq!(report.counted, ["ana", "ben", "eve"], "{report:#?}");
    let unknown = "the mail `dana@shop.example` of a commit belongs to no user of the forge";
    assert!(report.warnings.iter().any(|warning| warning == unknown), "{:?}", report.warnings);
    assert_eq!(
        report.warnings.iter().filter(|warning| warning.contains("mail")).count(),
        1,
        "the forge's own are known"
    );

    let path = shop.join("forge/users.json");
    let mut users: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    users["users"]["ana"]["mail"] = serde_json::json!(["Dana@shop.example"]);
    std::fs::write(&path, serde_json::to_vec_pretty(&users).unwrap()).unwrap();
    let report = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert_eq!(report.counted, ["ben", "eve"]);
    assert!(reason(&report, "ana").starts_with("is named by the mail of commit "), "{report:#?}");
    assert!(report.warnings.iter().all(|warning| !warning.contains("mail")), "{:?}", report.warnings);
}

/// Four people may write, and one of them opened what is carried: three are left of the four that are asked for.
#[tokio::test]
async fn t54_too_few_people_are_said_on_the_pull_request_and_refused_by_the_promotion() {
    let configuration = CONFIGURATION.replace("approvals: { count: 2 }", "approvals: { count: 4 }");
    let shop = Shop::with(&configuration);
    assert_eq!(shop.open_pull_request("dev", "staging").await, 1);
    let published = publish_lock(&shop.bot(), &LockPublishRequest::new(1)).await.unwrap();
    let said = "4 approvals are required and only 3 people could give one: ana, ben, eve";
    assert!(published.warnings.iter().any(|warning| warning.contains(said)), "{:?}", published.warnings);
    assert!(published.markdown().unwrap().contains("not dana, who opened"));
    shop.check(1).await;
    shop.merge("dana", 1).await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused));
    let last = report.steps.last().unwrap();
    assert!(last.step == "promote" && last.detail.contains(said), "{report:#?}");
    // The release is proven all the same, and the pull request says what is wrong.
    let head = shop.head("staging").unwrap();
    let status = |context: &str| {
        let statuses = shop.forge(BOT).statuses(&head).unwrap();
        statuses.into_iter().find(|status| status.context == context).map(|status| status.state)
    };
    assert_eq!(status("orchestrator/staging-proof"), Some(StatusState::Success));
    assert_eq!(status("orchestrator/approvals"), Some(StatusState::Failure));
    let body = shop.forge(BOT).pull_request(2).unwrap().body;
    assert!(body.contains("**Not to be merged:**") && body.contains("could approve: ana, ben, eve"), "{body}");
    let report = everybody_approves(&shop, 2).await;
    assert_eq!(report.verdict(), Verdict::Negative(ErrorKind::Refused), "waiting does not help");
    assert!(report.obstacles[0].contains(said), "{report:#?}");

    // Another person with write access is enough.
    let path = shop.join("forge/users.json");
    let users = std::fs::read_to_string(&path).unwrap().replace("\"read\"", "\"write\"");
    std::fs::write(&path, users).unwrap();
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, None, "{report:#?}");
    let report = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert_eq!((report.verdict(), report.missing), (Verdict::Negative(ErrorKind::Negative), 1));
    shop.review("rita", 2, ReviewState::Approved).await;
    assert!(approvals(&shop.bot(), &production(), Some(2)).await.unwrap().approved);
}

#[tokio::test]
async fn t54_a_fallback_takes_a_small_team_to_production_and_is_shown() {
    let rules = "count: 4, fallback: { count: 2, owner: platform, reason: four of us, until: \"2026-12-31\" }";
    let shop = shop_with(rules, "dana").await;
    shop.run_ok(&staging()).await;
    let said = "fallback of 2 until 2026-12-31, by platform: four of us";
    let body = shop.forge(BOT).pull_request(2).unwrap().body;
    assert!(body.contains(&format!("- **{said}**")), "{body}");
    shop.review("ana", 2, ReviewState::Approved).await;
    let one = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert_eq!((one.approved, one.needed, one.missing), (false, 2, 1));
    assert_eq!(one.fallback.unwrap().count, 2);
    shop.approve_and_merge(2).await;
    let report = shop.run_ok(&production()).await;
    let released = report.steps.last().unwrap();
    assert!(released.step == "release" && released.detail.contains(said), "{report:#?}");
    let tag = shop.git().text(["for-each-ref", "--format=%(contents)", "refs/tags"]).unwrap();
    assert!(tag.contains(&format!("Approvals: {said}")), "{tag}");
}

#[tokio::test]
async fn t54_a_fallback_that_has_ended_helps_nobody() {
    let rules = "count: 4, fallback: { count: 2, owner: platform, reason: four of us, until: \"2026-01-04\" }";
    let shop = shop_with(rules, "dana").await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused));
    let report = everybody_approves(&shop, 2).await;
    assert_eq!((report.needed, report.fallback.is_none()), (4, true));
    assert!(report.obstacles[0].contains("the fallback ended on 2026-01-04"), "{report:#?}");
    shop.merge_past_rules(2).await;
    let stopped = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(stopped.stopped, Some(ErrorKind::Refused));
    assert_eq!(shop.count(&production(), Step::Deploy, StepResult::Started), 0);
}

#[tokio::test]
async fn t54_the_configuration_is_compared_with_the_people_of_the_forge() {
    let shop = proven();
    let check = || {
        check_config(&shop.join("shop.git"), Some("dev"), None, &shop.surroundings(), "2025-11-20".parse().unwrap())
            .unwrap()
    };
    let report = check();
    assert_eq!(report.approvers[0].people, ["ana", "ben", "dana", "eve"]);
    assert_eq!((report.approvers[0].needed, report.approvers[0].left, report.warnings.len()), (2, 3, 0));
    shop.configure("dev", "count: 2", "count: 4");
    let [said] = <[String; 1]>::try_from(check().warnings).unwrap();
    assert!(said.contains("at most 3 people are left when one of ana, ben, dana, eve opened the change"), "{said}");
    // Without a forge there is nobody to compare with, unless one is named.
    let nowhere = shop.join("elsewhere.git");
    let named = check_config(
        &shop.join("shop.git"),
        Some("dev"),
        Some(&nowhere),
        &shop.surroundings(),
        "2025-11-20".parse().unwrap(),
    );
    assert!(named.is_err(), "{named:?}");
}

/// Merges one branch of the forge into another, past every rule.
fn merge_branches(shop: &Shop, from: &str, into: &str) -> CommitId {
    let (ours, theirs) = (shop.head(into).unwrap(), shop.head(from).unwrap());
    let MergeTree::Clean(tree) = shop.git().merge_tree(ours.as_str(), theirs.as_str()).unwrap() else {
        panic!("it merges")
    };
    let who = CommitIdentity::new("Dana", "dana@shop.example", Timestamp::from_unix_seconds(1_763_672_400));
    let merge = shop.git().commit_tree(&tree, &[ours, theirs], "merge back", &who).unwrap();
    shop.force(into, &merge);
    merge
}

#[tokio::test]
async fn t54_what_main_has_and_staging_lacks_is_said_before_anybody_merges() {
    let shop = proven();
    shop.commit("main", &[write("HOTFIX.md", "x\n")], "a hotfix");
    let report = everybody_approves(&shop, 2).await;
    assert_eq!((report.missing, report.approved), (0, false));
    assert_eq!(report.verdict(), Verdict::Negative(ErrorKind::Refused));
    assert!(report.obstacles[0].starts_with("`main` has content that `staging` lacks"), "{report:#?}");
    assert!(report.obstacles[0].contains("a hotfix)"), "{report:#?}");
    // The same of a promotion that is refreshed, recorded or not.
    for _ in 0..2 {
        let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
        assert_eq!(report.stopped, Some(ErrorKind::Refused), "{report:#?}");
        assert_eq!(step_words(&report).last().unwrap().0, "promote");
    }
    // Brought back, it goes through.
    merge_branches(&shop, "main", "dev");
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    shop.approve_and_merge(2).await;
    shop.run_ok(&production()).await;
}

/// Changes the users of the forge.
fn edit_users(shop: &Shop, edit: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = shop.join("forge/users.json");
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(document["users"].as_object_mut().unwrap());
    std::fs::write(&path, document.to_string()).unwrap();
}

#[tokio::test]
async fn t63_a_release_that_passed_is_repaired_after_its_approvers_left_and_the_next_one_is_counted_by_today() {
    let shop = released();
    edit_users(&shop, |users| {
        users["ana"]["role"] = "read".into();
        users.remove("ben");
    });
    // Somebody edits what is deployed; the run puts it back.
    let path = "services/shop-web/app.yaml";
    let deployed = shop.file("deploy/production", path).unwrap();
    shop.commit("deploy/production", &[write(path, "a: 1\n")], "by hand");
    assert!(!orchestrator::verify(&shop.bot(), &production()).await.unwrap().proof.is_proven());
    let report = shop.run_ok(&production()).await;
    assert!(step_words(&report).contains(&("deploy", StepWord::Ok)), "{report:#?}");
    assert_eq!(shop.file("deploy/production", path).unwrap(), deployed);
    let report = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    assert!(report.approved && report.missing == 0, "{report:#?}");
    assert!(report.summary.contains("0 of 2 approvals by today's roles, and enough when"), "{}", report.summary);
    // An approval that is taken back is missing: nobody is left who could give it.
    let later = shop.watched("ana", &Watcher::days_later(1));
    review_pull_request(&later, &ReviewRequest::new(2, ReviewState::Dismissed)).await.unwrap();
    let stopped = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(stopped.stopped, Some(ErrorKind::Refused), "{stopped:#?}");
    let reason = shop.newest(&production(), Step::Gates).reason.unwrap();
    assert!(reason.contains("2 approvals are required and only eve could give one"), "{reason}");
    // Another commit is judged by the roles of the day.
    shop.bump("shop-web", 2);
    shop.merge_dev().await;
    let report = run(&shop.bot(), &RunRequest::new(staging())).await.unwrap();
    let promote = report.steps.last().unwrap();
    assert!(promote.step == "promote" && promote.detail.contains("only eve could give one"), "{report:#?}");
}

/// Nothing could be merged: each of these statuses would be missing for ever.
#[test]
fn a_required_status_that_orchestrator_never_sets_is_refused_with_the_nearest() {
    let shop = released();
    let asked = |status: &str| {
        let mut request = ForgeInitRequest::new(user(BOT), shop.join("orchestrator"));
        request.protect = vec![("staging".try_into().unwrap(), vec!["ci/build".to_owned(), status.to_owned()])];
        request.update = true;
        init_forge(&shop.join("shop.git"), &request, &shop.surroundings())
    };
    let error = asked("orchestrator/suits").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(error.message(), "`--protect staging` requires `orchestrator/suits`, a status that is never set");
    let hint = "did you mean `orchestrator/suites`? orchestrator has: orchestrator/lock, orchestrator/suites, \
                orchestrator/approvals, orchestrator/ENVIRONMENT-proof";
    assert_eq!(error.hints()[0], hint);
    for status in ["orchestrator/suites", "orchestrator/canary-proof"] {
        asked(status).unwrap();
    }
}

/// To a forge `Ana` and `ana` are one: as two users they would approve twice, or be bot and person at once.
#[test]
fn t72_no_name_stands_for_two_users() {
    let shop = released();
    let program = shop.surroundings();
    let refused = |users: &[&str], said: &str| {
        let mut request = ForgeInitRequest::new(user(BOT), shop.join("orchestrator"));
        request.users = users.iter().map(|name| User::person(user(name), Role::Write)).collect();
        request.update = true;
        let error = init_forge(&shop.join("shop.git"), &request, &program).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(said), "{error}");
    };
    refused(&["ana", "Ana"], "`ana` and `Ana` are one user");
    refused(&["ana", "ana"], "`ana` and `ana` are one user");
    refused(&["ana", &BOT.to_ascii_uppercase()], "is to be a person");
    refused(&[BOT], "is to be a person");
    assert!(shop.forge("ana").users().unwrap().iter().any(|user| user.bot), "nothing was changed");
}
