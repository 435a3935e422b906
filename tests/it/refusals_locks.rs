//! Locks that are not what was reviewed: forged, edited, of tags that moved, or of branches that moved meanwhile.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use lock_model::{Content, Lock};
use serde_json::Value;
use test_support::{DockerRegistry, Skopeo};

use crate::flow::push_all;
use crate::proxy::Proxy;
use crate::refusals::{merged, refuses};
use crate::shop::{Built, CONFIGURATION, Shop};
use crate::stops::{locked, proven, sha256};

/// A lock with another digest for a service, and an id that is right again.
fn with_other_digest(text: &str, service: &str) -> String {
    let mut parts =
        lock_model::Lock::parse(text.as_bytes(), "lock.yaml").expect("the lock is one of ours").into_parts();
    for (name, locked) in &mut parts.services {
        if let Content::Image(image) = &mut locked.content
            && name.as_str() == service
        {
            image.digest = sha256(b"an image that nobody reviewed").parse().expect("it is a digest");
        }
    }
    Lock::new(parts).expect("only a digest was changed").to_yaml()
}

/// The digest of a service in a lock.
fn digest_in(text: &str, service: &str) -> String {
    let lock = lock_model::Lock::parse(text.as_bytes(), "lock.yaml").expect("the lock is one of ours");
    let found = lock.services().iter().find_map(|(name, locked)| match &locked.content {
        Content::Image(image) if name.as_str() == service => Some(image.digest.to_string()),
        Content::Image(_) | Content::Configuration => None,
    });
    found.expect("the service has an image")
}

#[test]
fn p3_an_edited_digest_breaks_the_id() {
    let shop = proven();
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    let edited = lock.replace(&digest_in(&lock, "shop-cart"), &sha256(b"another"));
    fs::write(shop.join("edited.yaml"), &edited).unwrap();
    refuses(
        &shop,
        "lock check ../edited.yaml --rev staging",
        10,
        &["../edited.yaml:3:5: `id`: the id is not that of the content"],
    );
    shop.work_on("staging").write("locks/lock.yaml", &edited);
    shop.clone_folder().commit("a digest by hand");
    shop.force("staging");
    let before = shop.untouched();
    refuses(&shop, "run staging", 10, &["the id is not that of the content"]);
    assert_eq!(shop.untouched(), before);
}

#[test]
fn p3_t10_a_lock_with_its_id_made_right_again_is_not_the_ledgers_file() {
    let shop = proven();
    let lock = shop.file("staging", "locks/lock.yaml").unwrap();
    let forged = with_other_digest(&lock, "shop-cart");
    fs::write(shop.join("forged.yaml"), &forged).unwrap();
    let unknown = "no record of the ledger knows a lock file with these bytes";
    refuses(&shop, "lock check ../forged.yaml --rev staging", 1, &["the lock cannot be used", unknown, "is gone"]);
    shop.work_on("staging").write("locks/lock.yaml", &forged);
    shop.clone_folder().commit("a digest by hand, with care");
    shop.force("staging");
    let before = shop.untouched();
    let hint = "hint: restore the file of the last lock commit";
    refuses(&shop, "run staging", 20, &["is not the file that orchestrator committed", hint]);
    refuses(&shop, "lock commit staging", 20, &["is not the file that orchestrator committed", hint]);
    refuses(&shop, "deploy staging", 20, &["recorded-lock: no lock commit in the ledger wrote this file"]);
    assert_eq!(shop.untouched(), before);
    let tip = shop.head("staging").unwrap();
    assert_eq!(shop.status(&tip, "orchestrator/staging-proof"), "none", "it is not proven by its parent");
}

#[test]
fn t7_p27_a_tag_that_moved_since_the_review_commits_nothing() {
    let shop = merged();
    let lock = fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap();
    let reviewed = digest_in(&lock, "shop-cart");
    let moved = shop.rebuild_image("shop-cart", &shop.service("shop-cart").head());
    let merge = shop.head("staging").unwrap();
    let refused = shop.json("lock commit staging", 12);
    let problem = refused["error"]["problems"].to_string();
    assert!(problem.contains("shop-cart"), "{refused:#}");
    assert!(problem.contains(&reviewed) && problem.contains(&moved), "both digests are said: {refused:#}");
    assert!(!problem.contains("shop-web"), "{refused:#}");
    let hints = ["hint: find out who moved the tag; nothing was committed", "--accept-new --reason"];
    refuses(&shop, "run staging", 12, &hints);
    assert_eq!(shop.head("staging").unwrap(), merge);
    assert_eq!(shop.head("deploy/staging"), None);
    assert_eq!(shop.file("staging", "locks/lock.yaml"), None);
    assert!(shop.story().is_empty(), "{:?}", shop.story());
    refuses(&shop, "lock commit staging --accept-new", 2, &["--reason"]);
}

#[test]
fn t7_a_moved_tag_that_somebody_takes_is_on_record_as_unreviewed() {
    let shop = merged();
    shop.rebuild_image("shop-cart", &shop.service("shop-cart").head());
    let reason = "the base image was rebuilt";
    let committed = shop.json(&format!("lock commit staging --accept-new --reason \"{reason}\""), 0);
    assert!(committed["note"].as_str().unwrap().contains("unreviewed: accepted-new"), "{committed:#}");
    let records = shop.records();
    let record = &records.iter().find(|record| record.name.contains("lock-commit-ok")).unwrap().predicate;
    assert_eq!((&record["unreviewed"], &record["reason"]), (&Value::from("accepted-new"), &Value::from(reason)));
    shop.ok("run staging");
    let body = shop.pull_request(2)["body"].as_str().unwrap().to_owned();
    assert!(body.contains(reason), "whoever approves reads it:\n{body}");
}

#[test]
fn t11_a_forged_artefact_is_compared_and_never_believed() {
    let artefact = "forge/artefacts/pull-1/lock.yaml";
    let shop = merged();
    let lock = fs::read_to_string(shop.join(artefact)).unwrap();
    let real = digest_in(&lock, "shop-cart");
    fs::write(shop.join(artefact), with_other_digest(&lock, "shop-cart")).unwrap();
    let merge = shop.head("staging").unwrap();
    refuses(&shop, "run staging", 12, &["shop-cart", &real, &sha256(b"an image that nobody reviewed")]);
    fs::write(shop.join(artefact), "- not\n- a lock\n").unwrap();
    refuses(&shop, "run staging", 10, &["the lock published on pull request 1"]);
    assert_eq!((shop.head("staging").unwrap(), shop.head("deploy/staging")), (merge, None));
    // Without any the tree is resolved alone.
    fs::remove_file(shop.join(artefact)).unwrap();
    shop.ok("run staging");
    assert_eq!(digest_in(&shop.file("staging", "locks/lock.yaml").unwrap(), "shop-cart"), real);
}

#[test]
fn t5_a_short_tag_that_holds_another_commits_image_is_refused_naming_both() {
    let shop = Shop::new();
    let cart = shop.new_version("shop-cart", 2, Built::No);
    let other = "ab".repeat(20);
    shop.build_image("shop-cart", &cart, &other);
    shop.push_to_dev(&[("services/shop-cart", &cart)], "cart 2");
    shop.open();
    refuses(&shop, "lock publish --pr 1", 12, &["shop-cart", &other, &cart]);
}

#[test]
fn f16_a_pull_request_that_moves_meanwhile_is_superseded_and_gets_no_status() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let proxy = Proxy::start(registry.address());
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &proxy.url()));
    push_all(&shop, &skopeo, &registry);
    shop.open();
    let old = shop.head("dev").unwrap();
    let pushed_meanwhile = |branch: &'static str, user: &'static str| {
        shop.work_on(branch).write(&format!("{branch}.md"), "moving\n");
        let new = shop.clone_folder().commit("meanwhile");
        let clone = shop.clone_folder();
        proxy.at_next_request(move || push(&clone, branch, user));
        new
    };
    // The head: its own push has a run of its own.
    let new = pushed_meanwhile("dev", "dana");
    let superseded = shop.json("lock publish --pr 1", 0);
    assert_eq!(superseded["superseded"], "pull request 1 moved while its lock was made", "{superseded:#}");
    assert_eq!(shop.head("dev").unwrap(), new);
    assert!(shop.statuses(&new).is_empty(), "{:?}", shop.statuses(&new));
    assert!(shop.comments(1).is_empty());
    assert!(!shop.join("forge/artefacts/pull-1/lock.yaml").exists());
    assert_eq!(shop.status(&old, "orchestrator/lock"), "pending");

    // The base: nobody else would make this pull request's lock anew.
    let base = pushed_meanwhile("staging", "orchestrator");
    let published = shop.ok("lock publish --pr 1");
    assert!(published.stderr().contains("`staging` moved meanwhile: the lock is made again"), "{published}");
    let artefact = || fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap();
    assert!(artefact().contains(&format!("base: {base}\n")), "{}", artefact());
    assert_eq!(shop.status(&new, "orchestrator/lock"), "success");
    assert_eq!(shop.comments(1).len(), 1);
}

fn push(clone: &test_support::Repository, branch: &str, user: &str) {
    let arguments = ["push", "--quiet", "origin", &format!("HEAD:{branch}")];
    let answer = clone.try_git_with(&arguments, &[("ORCHESTRATOR_AS", user)]);
    assert!(answer.success(), "{answer:?}");
}

/// Somebody pushes to staging at every request.
fn never_rests(proxy: &Arc<Proxy>, clone: PathBuf) {
    let again = Arc::clone(proxy);
    proxy.at_next_request(move || {
        let repository = test_support::Repository::open(&clone);
        repository.commit("again");
        push(&repository, "staging", "orchestrator");
        never_rests(&again, clone);
    });
}

#[test]
fn f16_a_base_that_never_rests_is_given_up_after_some_attempts() {
    let (Some(registry), Some(skopeo)) = (DockerRegistry::start_or_skip(), Skopeo::find_or_skip()) else { return };
    let proxy = Arc::new(Proxy::start(registry.address()));
    let shop = Shop::with(&CONFIGURATION.replace("oci-layout:../registry", &proxy.url()));
    push_all(&shop, &skopeo, &registry);
    shop.open();
    shop.work_on("staging");
    never_rests(&proxy, shop.join("shop"));
    let given_up = shop.ok("lock publish --pr 1");
    assert_eq!(given_up.stderr().matches("moved meanwhile: the lock is made again").count(), 2, "{given_up}");
    assert!(given_up.stdout().starts_with("superseded: pull request 1 moved"), "{given_up}");
    assert!(shop.comments(1).is_empty());
    assert_eq!(shop.status(&shop.head("dev").unwrap(), "orchestrator/lock"), "pending");
}

#[test]
fn f17_a_squashed_merge_is_cut_off_from_what_was_reviewed() {
    let shop = locked();
    let repository = shop.superproject();
    // What a forge's squash button does: one commit with the content, and the pull request says that it is merged.
    let squash = repository.git(&["commit-tree", "dev^{tree}", "-p", "staging", "-m", "Train (#1)"]);
    repository.git(&["update-ref", "refs/heads/staging", &squash]);
    let mut pull_request = shop.pull_request(1);
    pull_request["state"] = "merged".into();
    pull_request["merge"] = serde_json::json!({ "commit": squash, "by": "dana", "at": "2026-01-05T09:00:00Z" });
    fs::write(shop.join("forge/pulls/1.json"), pull_request.to_string()).unwrap();
    let hint = "hint: merge pull requests with merge commits";
    refuses(&shop, "run staging", 11, &["the reviewed commit", "is not part of", hint]);
    assert_eq!(shop.head("staging").unwrap(), squash);
    assert_eq!(shop.head("deploy/staging"), None);
    assert_eq!(shop.status(&squash, "orchestrator/lock"), "failure", "{:?}", shop.statuses(&squash));
}

#[test]
fn a_pull_request_that_edits_locks_is_refused() {
    let shop = locked();
    let lock = fs::read_to_string(shop.join("forge/artefacts/pull-1/lock.yaml")).unwrap();
    shop.work_on("dev").write("locks/lock.yaml", with_other_digest(&lock, "shop-cart"));
    shop.commit_and_push("dev", "a lock by hand");
    let hint = "hint: take the changes of these files out of the branch";
    refuses(&shop, "lock publish --pr 1", 20, &["locks are written by `lock commit` only", "locks/lock.yaml", hint]);
    // What the merge would deploy is judged by the same rule.
    refuses(&shop, "plan staging --pr 1", 20, &["locks are written by `lock commit` only", "locks/lock.yaml", hint]);
    let head = shop.head("dev").unwrap();
    assert_eq!(shop.status(&head, "orchestrator/lock"), "failure");
}
