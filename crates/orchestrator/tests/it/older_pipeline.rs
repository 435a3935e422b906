//! An older pipeline that still writes its own files into `locks/`: both run side by side, and nobody hides behind it.

use forge::ReviewState;
use git::TreeChange;
use ledger::{Step, StepResult};
use lock_model::{GIT_ATTRIBUTES_FILE, LOCK_FILE, LOCK_SCHEMA_BESIDE_FILE, LOCK_SCHEMA_FILE, SchemaPlace};
use orchestrator::lock::{LockGenerateRequest, LockPublishRequest, generate_lock, publish_lock};
use orchestrator::{ErrorKind, RunRequest, approvals, run};
use promotion::gates::Gate;

use crate::shop::{BOT, Shop, branch, fails, production, promoted, proven, staging, write};

const THEIR_SCHEMA: &str = "{ \"title\": \"Locks of the older pipeline\" }\n";
const THEIR_ATTRIBUTES: &str = "*.yml text\n";

/// A commit of the older pipeline to a branch, past every rule.
fn theirs(shop: &Shop, branch: &str, number: u32) {
    shop.commit(branch, &[write(&format!("locks/lock-2026010{number}.yml"), "{}\n")], "lock of the older pipeline");
}

fn remove(path: &str) -> TreeChange {
    TreeChange::Remove { path: path.to_owned() }
}

/// A shop whose `dev` has files of an older pipeline in `locks/`.
fn shop() -> Shop {
    let shop = Shop::new();
    let files = [
        write("locks/lock-pr-1.yml", "{}\n"),
        write(LOCK_SCHEMA_FILE, THEIR_SCHEMA),
        write(GIT_ATTRIBUTES_FILE, THEIR_ATTRIBUTES),
    ];
    shop.commit("dev", &files, "what the older pipeline writes");
    shop
}

#[tokio::test]
async fn two_pipelines_run_side_by_side_from_the_pull_request_to_the_release() {
    let shop = shop();
    assert_eq!(shop.merge_dev().await, 1);
    // Between the merge and the run.
    for number in 1..5 {
        theirs(&shop, "staging", number);
    }
    shop.run_ok(&staging()).await;
    let artefact = shop.forge(BOT).artefact(1, "lock.yaml").unwrap().unwrap();
    assert_eq!(shop.file("staging", LOCK_FILE).unwrap().as_bytes(), artefact, "the very file that was reviewed");
    assert_eq!(shop.lock("staging").schema(), SchemaPlace::Beside);
    assert_eq!(shop.file("staging", LOCK_SCHEMA_FILE).unwrap(), THEIR_SCHEMA);
    assert_eq!(shop.file("staging", GIT_ATTRIBUTES_FILE).unwrap(), THEIR_ATTRIBUTES);
    assert!(shop.file("staging", LOCK_SCHEMA_BESIDE_FILE).unwrap().contains("\"third_party\""));

    // After the run: the same release, so nothing is done again.
    let records = shop.ledger().records().len();
    theirs(&shop, "staging", 5);
    theirs(&shop, "staging", 6);
    shop.run_ok(&staging()).await;
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Ok), 1);
    assert_eq!(shop.count(&staging(), Step::LockCommit, StepResult::Ok), 1);
    assert!(shop.ledger().records().len() >= records);

    // The next change.
    shop.bump("shop-web", 2);
    theirs(&shop, "dev", 0);
    shop.merge_dev().await;
    theirs(&shop, "staging", 9);
    shop.run_ok(&staging()).await;
    assert_eq!(shop.count(&staging(), Step::LockCommit, StepResult::Ok), 2);

    // In the target before the promotion, above what was approved, and above the promotion.
    theirs(&shop, "main", 71);
    let promotion = shop.forge(BOT).find_open(&branch("staging"), &branch("main")).unwrap().unwrap();
    for reviewer in ["ana", "ben"] {
        shop.review(reviewer, promotion.number, ReviewState::Approved).await;
    }
    theirs(&shop, "staging", 72);
    shop.run_ok(&staging()).await;
    let counted = approvals(&shop.bot(), &production(), Some(promotion.number)).await.unwrap();
    assert!(counted.approved && counted.obstacles.is_empty(), "{counted:#?}");
    shop.merge("ana", promotion.number).await;
    theirs(&shop, "main", 7);
    theirs(&shop, "main", 8);
    shop.run_ok(&production()).await;
    assert_eq!(shop.releases().len(), 1);
}

#[tokio::test]
async fn a_folder_that_a_lock_is_written_to_keeps_the_files_of_others() {
    let shop = shop();
    let folder = shop.join("locks");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("schema.json"), THEIR_SCHEMA).unwrap();
    let mut request = LockGenerateRequest::new("dev");
    request.output = Some(folder.clone());
    generate_lock(&shop.bot(), &request).await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("schema.json")).unwrap(), THEIR_SCHEMA);
    assert!(std::fs::read_to_string(folder.join("lock.schema.json")).unwrap().contains("\"third_party\""));
    let lock = std::fs::read_to_string(folder.join("lock.yaml")).unwrap();
    assert!(lock.starts_with("# yaml-language-server: $schema=./lock.schema.json\n"), "{lock}");
}

#[tokio::test]
async fn a_pull_request_changes_files_of_the_older_pipeline_and_none_of_the_lock() {
    let shop = shop();
    shop.merge_dev().await;
    shop.run_ok(&staging()).await;
    // The next pull requests start from what staging has, and production has as well.
    shop.force("main", &shop.head("staging").unwrap());
    shop.force("dev", &shop.head("staging").unwrap());
    let start = shop.head("dev").unwrap();
    let lock = shop.file("dev", LOCK_FILE).unwrap();
    let theirs = [write("locks/lock-pr-2.yml", "{}\n"), remove("locks/lock-pr-1.yml")];
    let gone = [remove("locks/lock-pr-1.yml"), remove(LOCK_SCHEMA_FILE), remove(GIT_ATTRIBUTES_FILE)];
    let changed = [write(LOCK_SCHEMA_FILE, "{}\n"), write("locks/deep/er.txt", "x\n")];
    let by_hand = [write(LOCK_FILE, &format!("{lock}\n")), write("locks/lock-pr-2.yml", "{}\n")];
    let our_schema = [write(LOCK_SCHEMA_BESIDE_FILE, "{}\n")];
    let ours = lock_model::schema_text(&lock_model::lock_schema());
    let schema_by_hand = [write(LOCK_SCHEMA_FILE, &ours)];
    let no_lock = [remove(LOCK_FILE), remove("locks/lock-pr-1.yml")];
    let table: [(&[TreeChange], Option<&str>); 7] = [
        (&theirs, None),
        (&gone, None),
        (&changed, None),
        (&by_hand, Some(LOCK_FILE)),
        (&our_schema, Some(LOCK_SCHEMA_BESIDE_FILE)),
        (&schema_by_hand, Some(LOCK_SCHEMA_FILE)),
        (&no_lock, Some(LOCK_FILE)),
    ];
    let number = {
        shop.commit("dev", &theirs, "the first of them");
        shop.open_pull_request("dev", "staging").await
    };
    for (changes, refused) in table {
        shop.force("dev", &start);
        shop.commit("dev", changes, "a change of locks/");
        let answer = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await;
        match refused {
            None => assert!(answer.unwrap().published.is_some(), "{changes:?}"),
            Some(path) => {
                let error = fails(answer, ErrorKind::Refused);
                let named: Vec<&str> = error.all_problems().iter().map(|problem| problem.subject.as_str()).collect();
                assert_eq!(named, [path]);
            }
        }
    }
}

#[tokio::test]
async fn t12_nothing_but_files_of_others_is_passed_over() {
    let shop = proven();
    let tip = shop.head("staging").unwrap();
    let first = shop.file("staging", LOCK_FILE).unwrap();
    let configuration = shop.file("staging", "orchestrator.yaml").unwrap();
    let web = shop.new_version("shop-web", 2, crate::shop::Built::Yes);
    let other_rules = write("orchestrator.yaml", &configuration.replace("suites: [system]", "suites: []"));
    let foreign = || write("locks/lock-20260101.yml", "{}\n");
    for changes in [
        vec![foreign(), other_rules],
        vec![foreign(), TreeChange::Gitlink { path: "services/shop-web".into(), commit: web }],
        vec![foreign(), write(LOCK_FILE, &format!("{first}\n"))],
        vec![foreign(), write("locks.yml", "{}\n")],
        vec![foreign(), remove(LOCK_FILE)],
    ] {
        shop.force("staging", &tip);
        shop.commit("staging", &changes, "hidden behind a file of the older pipeline");
        theirs(&shop, "staging", 2);
        let answer = run(&shop.bot(), &RunRequest::new(staging())).await;
        assert!(
            answer.as_ref().map_or(true, |report| report.stopped == Some(ErrorKind::Refused)),
            "{changes:?}: {answer:#?}"
        );
    }
    assert_eq!(shop.count(&staging(), Step::Deploy, StepResult::Ok), 1);
}

/// The target has more than a file of the other pipeline: what the merge gives is not what was proven and approved.
#[tokio::test]
async fn t13_a_promotion_into_a_branch_with_other_content_is_refused() {
    let shop = proven();
    let more = [write("locks/lock-20260101.yml", "{}\n"), write("README.md", "not approved\n")];
    shop.commit("main", &more, "hidden behind a file of the older pipeline");
    let counted = approvals(&shop.bot(), &production(), Some(2)).await.unwrap();
    let refused = "`main` has content that `staging` lacks";
    assert!(counted.obstacles.iter().any(|obstacle| obstacle.starts_with(refused)), "{counted:#?}");
}

#[tokio::test]
async fn t13_production_deploys_no_content_that_came_with_such_a_file() {
    let shop = promoted().await;
    let more = [write("locks/lock-20260101.yml", "{}\n"), write("README.md", "not approved\n")];
    shop.commit("main", &more, "hidden behind a file of the older pipeline");
    theirs(&shop, "main", 2);
    let report = run(&shop.bot(), &RunRequest::new(production())).await.unwrap();
    assert_eq!(report.stopped, Some(ErrorKind::Refused));
    let refused = shop.refused_gates(&production());
    assert!(refused.contains(&Gate::Approvals), "{refused:?}");
}

#[tokio::test]
async fn what_lies_where_the_lock_would_be_is_never_taken_away() {
    let link = |path: &str| TreeChange::Write { path: path.to_owned(), mode: 0o120_000, bytes: b"elsewhere".to_vec() };
    let cases: [(&str, Vec<TreeChange>, &str); 4] = [
        ("a file", vec![write("locks", "theirs\n")], "`locks` is no folder"),
        ("a link", vec![link("locks")], "`locks` is no folder"),
        ("a folder", vec![write("locks/lock.yaml/theirs", "theirs\n")], "`locks/lock.yaml` is a folder"),
        ("a link in place of the lock", vec![link(LOCK_FILE)], "locks/lock.yaml"),
    ];
    for (name, files, expected) in cases {
        let shop = Shop::new();
        shop.commit("staging", &files, "what lies there");
        let number = shop.open_pull_request("dev", "staging").await;
        let published = publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await;
        let said = match &published {
            Ok(report) => format!("{report:#?}"),
            Err(error) => format!("{error}"),
        };
        assert!(said.contains(expected), "{name}: {said}");
        shop.merge_past_rules(number).await;
        let before = shop.head("staging");
        let answer = run(&shop.bot(), &RunRequest::new(staging())).await;
        assert!(answer.as_ref().map_or(true, |report| report.stopped.is_some()), "{name}: {answer:#?}");
        assert_eq!(shop.head("staging"), before, "{name}: nothing was written there");
    }
}

/// Everything is stopped by such a file, and the pull request that takes it away is judged as any other.
#[tokio::test]
async fn a_file_of_theirs_in_the_place_of_the_lock_is_moved_by_a_pull_request() {
    for theirs in ["version: \"3\"\nservices: {}\n", "{ \"images\": [] }\n"] {
        let shop = Shop::new();
        shop.commit("dev", &[write(LOCK_FILE, theirs)], "what the older pipeline writes");
        for name in ["staging", "main"] {
            shop.force(name, &shop.head("dev").unwrap());
        }
        shop.commit("dev", &[write("README.md", "a shop\n")], "a first change");
        let number = shop.open_pull_request("dev", "staging").await;
        let publish = async || publish_lock(&shop.bot(), &LockPublishRequest::new(number)).await;
        let stopped = publish().await.unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Lock, "{stopped}");
        let way = "`git mv locks/lock.yaml locks/old.yaml`";
        assert!(stopped.hints().iter().any(|hint| hint.contains(way)), "{:?}", stopped.hints());
        shop.commit("dev", &[remove(LOCK_FILE), write("locks/old.yaml", theirs)], "make room for the lock");
        assert!(publish().await.unwrap().published.is_some());
        shop.check(number).await;
        shop.merge("dana", number).await;
        shop.run_ok(&staging()).await;
        assert_eq!(shop.file("staging", "locks/old.yaml").unwrap(), theirs);
        assert_eq!(shop.lock("staging").services().len(), 3);
    }
}
