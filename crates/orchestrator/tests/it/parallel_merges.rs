//! Pull requests that were merged one after the other before the run of the branch: each service is what the pull request
//! that moved it published, and only a tag with two digests is a tag that moved.

use git::TreeChange;
use ledger::{Step, StepResult, Unreviewed};
use lock_model::{CommitId, Content, LOCK_FILE};
use orchestrator::lock::{LockPublishRequest, commit_lock, publish_lock};
use orchestrator::{Error, ErrorKind, RunRequest, run};

use crate::shop::*;

/// The gitlink of a service.
fn gitlink(service: &str, commit: CommitId) -> TreeChange {
    TreeChange::Gitlink { path: format!("services/{service}"), commit }
}

/// A branch with changes on top of another one, and its pull request to `staging` with lock and suites.
async fn proposed(shop: &Shop, name: &str, from: &str, changes: &[TreeChange]) -> u64 {
    shop.force(name, &shop.head(from).unwrap());
    shop.commit(name, changes, name);
    let number = shop.open_pull_request(name, "staging").await;
    shop.check(number).await;
    number
}

/// Merges all of them without a run between; from the second on past the button, as a forge does that does not ask for
/// branches to be up to date.
async fn merged_in_a_row(shop: &Shop, numbers: &[u64]) {
    for number in numbers {
        shop.merge_past_rules(*number).await;
    }
}

/// The pull requests that the newest lock commit names.
fn pulls(shop: &Shop) -> Vec<u64> {
    shop.newest(&staging(), Step::LockCommit).pulls
}

fn digest(shop: &Shop, revision: &str, service: &str) -> lock_model::Digest {
    let lock = shop.lock(revision);
    let (_, service) = lock.services().iter().find(|(name, _)| name.as_str() == service).unwrap();
    match &service.content {
        Content::Image(image) => image.digest.clone(),
        Content::Configuration => panic!("an image"),
    }
}

/// Every problem of an error, with its details.
fn told(error: &Error) -> String {
    let problems = error.all_problems().iter();
    let lines = problems.map(|one| format!("{}: {} {}", one.subject, one.message, one.details.join(" ")));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn t58_two_merges_before_the_run_are_one_lock_that_names_both() {
    let shop = proven();
    let (cart, web) = (shop.new_version("shop-cart", 2, Built::Yes), shop.new_version("shop-web", 2, Built::Yes));
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", cart.clone())]).await;
    let two = proposed(&shop, "fb", "dev", &[gitlink("shop-web", web.clone())]).await;
    merged_in_a_row(&shop, &[one, two]).await;
    shop.run_ok(&staging()).await;
    assert_eq!(pulls(&shop), [one, two]);
    assert_eq!(shop.gitlink("staging", "services/shop-cart"), cart);
    let lock = shop.lock("staging");
    let locked: Vec<_> = lock.services().values().map(|service| service.git.commit.clone()).collect();
    assert!(locked.contains(&cart) && locked.contains(&web));
    assert_eq!(lock.source().pull_request, Some(two));
    let record = shop.newest(&staging(), Step::LockCommit);
    assert_eq!((record.unreviewed, record.result), (None, StepResult::Ok));
    // One merge later only that one is named.
    let three = proposed(&shop, "fc", "staging", &[write("README.md", "# Words\n")]).await;
    let web = shop.new_version("shop-web", 3, Built::Yes);
    let four = proposed(&shop, "fd", "staging", &[gitlink("shop-web", web)]).await;
    merged_in_a_row(&shop, &[three]).await;
    shop.run_ok(&staging()).await;
    merged_in_a_row(&shop, &[four]).await;
    shop.run_ok(&staging()).await;
    assert_eq!(pulls(&shop), [three, four]);
}

#[tokio::test]
async fn t58_three_merges_in_a_row_and_one_that_only_changed_a_text() {
    let shop = proven();
    let changes = [
        ("fa", vec![gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]),
        ("fb", vec![write("README.md", "# A better shop\n")]),
        ("fc", vec![gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))]),
    ];
    let mut numbers = Vec::new();
    for (name, changes) in &changes {
        numbers.push(proposed(&shop, name, "dev", changes).await);
    }
    // The last of them is the text: its own lock knows nothing of the two services.
    numbers.swap(1, 2);
    merged_in_a_row(&shop, &numbers).await;
    shop.run_ok(&staging()).await;
    numbers.sort_unstable();
    assert_eq!(pulls(&shop), numbers);
}

#[tokio::test]
async fn t58_the_newest_merge_that_moved_a_service_decides_about_it() {
    for back in [false, true] {
        let shop = proven();
        let first = shop.gitlink("dev", "services/shop-cart");
        let cart = shop.new_version("shop-cart", 2, Built::Yes);
        let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", cart)]).await;
        let newest = if back { first } else { shop.new_version("shop-cart", 3, Built::Yes) };
        let two = proposed(&shop, "fb", "fa", &[gitlink("shop-cart", newest.clone())]).await;
        merged_in_a_row(&shop, &[one, two]).await;
        if back {
            // The tree is that of before, and its release is proven; the lock is that tree's.
            assert_eq!(shop.gitlink("staging", "services/shop-cart"), newest);
        }
        shop.run_ok(&staging()).await;
        assert_eq!(shop.gitlink("staging", "services/shop-cart"), newest, "back: {back}");
    }
}

#[tokio::test]
async fn t58_t7_a_tag_that_moved_between_the_merges_is_named_with_its_pull_request() {
    let shop = proven();
    let (cart, web) = (shop.new_version("shop-cart", 2, Built::Yes), shop.new_version("shop-web", 2, Built::Yes));
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", cart.clone())]).await;
    let two = proposed(&shop, "fb", "dev", &[gitlink("shop-web", web)]).await;
    let other = shop.build_image("shop-cart", &cart, "again");
    merged_in_a_row(&shop, &[one, two]).await;
    let before = shop.untouched();
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Image);
    assert!(error.message().contains("the registry no longer gives what was reviewed"), "{error}");
    let told = told(&error);
    assert!(told.starts_with("shop-cart: its tag moved"), "{told}");
    assert!(told.contains(&format!("pull request {one}")) && !told.contains("shop-web"), "{told}");
    assert_eq!(shop.untouched(), before);
    // Taken on request, on record as unreviewed, with both pull requests.
    commit_lock(&shop.bot(), &staging(), Some("the same source, built again")).await.unwrap();
    let record = shop.newest(&staging(), Step::LockCommit);
    assert_eq!((record.unreviewed, record.pulls), (Some(Unreviewed::AcceptedNew), vec![one, two]));
    assert_eq!(digest(&shop, "staging", "shop-cart"), other);
}

#[tokio::test]
async fn t58_a_tag_of_a_service_that_nobody_moved_is_compared_with_the_lock_before() {
    let shop = proven();
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    let two = proposed(&shop, "fb", "dev", &[write("README.md", "# Words\n")]).await;
    merged_in_a_row(&shop, &[one, two]).await;
    shop.build_image("shop-web", &shop.gitlink("dev", "services/shop-web"), "again");
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Image);
    let told = told(&error);
    assert!(told.contains("its tag moved") && told.contains("the lock before"), "{told}");
}

#[tokio::test]
async fn t58_a_lock_that_was_made_for_an_older_head_is_no_tag_that_moved() {
    let shop = proven();
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    let two = proposed(&shop, "fb", "dev", &[gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))]).await;
    let newer = shop.new_version("shop-web", 3, Built::Yes);
    shop.commit("fb", &[gitlink("shop-web", newer)], "not published");
    merged_in_a_row(&shop, &[one, two]).await;
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Image);
    assert!(!error.message().contains("registry"), "nobody accuses the registry: {error}");
    let told = told(&error);
    assert!(told.contains(&format!("is not what the lock of pull request {two} has")), "{told}");
    assert!(!told.contains("tag moved") && !told.contains("shop-cart:"), "{told}");
}

#[tokio::test]
async fn t58_a_pull_request_without_a_published_lock_has_nothing_to_be_compared_with() {
    let shop = proven();
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    shop.force("fb", &shop.head("dev").unwrap());
    shop.commit("fb", &[gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))], "in a hurry");
    let two = shop.open_pull_request("fb", "staging").await;
    merged_in_a_row(&shop, &[two, one]).await;
    shop.run_ok(&staging()).await;
    assert_eq!(pulls(&shop), [one, two]);
}

#[tokio::test]
async fn t58_a_push_below_a_merge_is_named_and_a_pull_request_repairs_it() {
    let shop = proven();
    let web = shop.gitlink("dev", "services/shop-web");
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    let pushed = shop.commit("staging", &[gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))], "past");
    shop.merge_past_rules(one).await;
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Refused);
    assert!(error.message().contains(pushed.short(12)), "{error}");
    let two = proposed(&shop, "revert", "staging", &[gitlink("shop-web", web)]).await;
    shop.merge("dana", two).await;
    shop.run_ok(&staging()).await;
    assert_eq!(pulls(&shop), [one, two]);
}

#[tokio::test]
async fn t58_a_run_that_died_between_lock_and_record_still_names_the_pull_requests() {
    let shop = std::sync::Arc::new(proven());
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    let two = proposed(&shop, "fb", "dev", &[gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))]).await;
    merged_in_a_row(&shop, &[one, two]).await;
    // The second record of the run is the lock commit's result.
    let next = u64::try_from(shop.ledger().records().len()).unwrap() + 2;
    let watcher = Watcher::new().before_record(next, die);
    assert!(dies(shop.watched(BOT, &watcher), RunRequest::new(staging())).await);
    assert!(shop.file("staging", LOCK_FILE).is_some());
    shop.run_ok(&staging()).await;
    assert_eq!(pulls(&shop), [one, two]);
}

#[tokio::test]
async fn t58_an_artefact_that_is_no_lock_is_named_and_can_be_passed() {
    let shop = proven();
    let one = proposed(&shop, "fa", "dev", &[gitlink("shop-cart", shop.new_version("shop-cart", 2, Built::Yes))]).await;
    shop.force("fb", &shop.head("dev").unwrap());
    shop.commit("fb", &[gitlink("shop-web", shop.new_version("shop-web", 2, Built::Yes))], "fb");
    let two = shop.open_pull_request("fb", "staging").await;
    publish_lock(&shop.bot(), &LockPublishRequest::new(two)).await.unwrap();
    shop.forge("dana").put_artefact(one, "lock.yaml", b"no lock").unwrap();
    merged_in_a_row(&shop, &[one, two]).await;
    let error = fails(run(&shop.bot(), &RunRequest::new(staging())).await, ErrorKind::Lock);
    assert!(error.to_string().contains(&format!("pull request {one}")), "{error}");
    commit_lock(&shop.bot(), &staging(), Some("looked at")).await.unwrap();
    assert_eq!(shop.newest(&staging(), Step::LockCommit).unreviewed, Some(Unreviewed::AcceptedNew));
}
