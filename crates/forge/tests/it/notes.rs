//! What is said about a pull request or a commit: reviews, comments, statuses, artefacts.

use forge::{ForgeError, ForgeErrorKind, ForgeSettings, LocalForge, Role, Stance, StatusState, Written};
use lock_model::ErrorClass;

use crate::shop::{Shop, at, commit_id, settings, user};

fn reasons(error: ForgeError) -> Vec<String> {
    assert_eq!(error.kind(), ForgeErrorKind::Refused, "{error}");
    error.reasons().to_vec()
}

#[test]
fn t13_a_review_is_of_one_commit_and_its_tree() {
    let shop = Shop::new();
    let seen = shop.pull().head;
    let ben = shop.forge("ben");
    let review = ben.submit_review(1, &seen, Stance::Approved, at(2)).unwrap();
    assert_eq!((review.seq, &review.commit), (1, &seen));
    assert_eq!(review.tree.as_str(), shop.bare.tree(seen.as_str()));
    let again = ben.submit_review(1, &seen, Stance::Approved, at(3)).unwrap();
    assert_eq!(again, review, "said again, it is the same review");

    let head = shop.push_dev("sneaked-in.txt", "x\n");
    let error = ben.submit_review(1, &seen, Stance::Approved, at(4)).unwrap_err();
    assert_eq!(reasons(error), [format!("the head is `{head}`, not the expected `{seen}`")]);
    let next = ben.submit_review(1, &head, Stance::ChangesRequested, at(5)).unwrap();
    assert_eq!(next.seq, 2);
    assert_ne!(next.tree, review.tree);
    assert_eq!(ben.reviews(1).unwrap(), [review, next]);
}

#[test]
fn the_author_only_comments_and_strangers_say_nothing() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let ana = shop.forge("ana");
    let error = ana.submit_review(1, &head, Stance::Approved, at(2)).unwrap_err();
    assert_eq!(reasons(error), ["`ana` opened it and can only comment"]);
    ana.submit_review(1, &head, Stance::Commented, at(2)).unwrap();
    let error = shop.forge("mallory").submit_review(1, &head, Stance::Approved, at(2)).unwrap_err();
    assert_eq!(reasons(error), ["`mallory` is no user of this forge"]);
    shop.forge("rita").submit_review(1, &head, Stance::Approved, at(2)).unwrap();
    let roles: Vec<_> = ana.reviews(1).unwrap().iter().map(|review| (review.user.to_string(), review.role)).collect();
    assert_eq!(roles, [("ana".to_owned(), Role::Write), ("rita".to_owned(), Role::Read)]);
}

#[test]
fn t13_a_reviewers_role_is_the_one_of_now() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.forge("ben").submit_review(1, &head, Stance::Approved, at(2)).unwrap();
    shop.forge("cara").submit_review(1, &head, Stance::Approved, at(2)).unwrap();
    let file = shop.file("users.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace(
        "\"ben\": {\n      \"role\": \"write\",\n      \"bot\": false\n    },",
        "\"ben\": { \"role\": \"read\", \"bot\": true },",
    );
    std::fs::write(&file, text.replace("\"cara\"", "\"carl\"")).unwrap();
    let reviews = shop.forge("ana").reviews(1).unwrap();
    assert_eq!((reviews[0].role, reviews[0].bot), (Role::Read, true));
    assert_eq!(reviews[1].role, Role::None, "no user any more");
}

#[test]
fn a_review_is_dismissed_by_its_author_or_a_writer() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.forge("ben").submit_review(1, &head, Stance::Approved, at(2)).unwrap();
    let error = shop.forge("rita").dismiss_review(1, 1, "no", at(3)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let cara = shop.forge("cara");
    assert_eq!(cara.dismiss_review(1, 1, "seen too early", at(3)).unwrap(), Written::Updated);
    assert_eq!(cara.dismiss_review(1, 1, "seen too early", at(4)).unwrap(), Written::Unchanged);
    assert_eq!(cara.reviews(1).unwrap()[0].stance, Stance::Dismissed);
    assert_eq!(cara.dismiss_review(1, 9, "x", at(4)).unwrap_err().class(), ErrorClass::NotFound);
    let again = shop.forge("ben").submit_review(1, &head, Stance::Approved, at(5)).unwrap();
    assert_eq!((again.seq, again.stance), (2, Stance::Approved), "given again after the dismissal");
}

#[test]
fn f5_twenty_reviews_at_once_have_numbers_of_their_own() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let mut settings = settings();
    let file = shop.file("users.json");
    std::fs::remove_file(&file).unwrap();
    for n in 0..20 {
        settings.users.push(forge::User { name: user(&format!("reader-{n}")), role: Role::Read, bot: false });
    }
    LocalForge::init(shop.root(), &settings).unwrap();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (forge, head) = (shop.forge(&format!("reader-{n}")), &head);
            scope.spawn(move || forge.submit_review(1, head, Stance::Approved, at(2)).unwrap());
        }
    });
    let reviews = shop.forge("ana").reviews(1).unwrap();
    assert_eq!(reviews.iter().map(|review| review.seq).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let mut users: Vec<_> = reviews.iter().map(|review| &review.user).collect();
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 20);
}

#[test]
fn t37_a_marker_counts_on_our_own_comment_only() {
    let shop = Shop::new();
    shop.pull();
    let (robot, marker) = (shop.forge("robot"), "orchestrator:lock");
    shop.forge("rita").upsert_comment(1, marker, "All fine, trust me.", at(1)).unwrap();
    assert_eq!(robot.upsert_comment(1, marker, "The lock", at(2)).unwrap(), Written::Created);
    assert_eq!(robot.upsert_comment(1, marker, "The lock", at(3)).unwrap(), Written::Unchanged);
    assert_eq!(robot.upsert_comment(1, marker, "The new lock", at(4)).unwrap(), Written::Updated);
    let comments = robot.comments(1).unwrap();
    let said: Vec<_> = comments.iter().map(|comment| (comment.user.as_str(), comment.body.as_str())).collect();
    assert_eq!(said, [("rita", "All fine, trust me."), ("robot", "The new lock")]);
    assert_eq!((comments[1].created_at, comments[1].updated_at), (at(2), at(4)));
    assert!(shop.file("pulls/1/comments/orchestrator%3Alock.json").is_file());
    let error = robot.upsert_comment(1, marker, &"x".repeat(65_537), at(4)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert_eq!(robot.upsert_comment(2, marker, "x", at(4)).unwrap_err().class(), ErrorClass::NotFound);
}

#[test]
fn f13_twenty_writers_of_one_comment_make_one() {
    let shop = Shop::new();
    shop.pull();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let robot = shop.forge("robot");
            scope.spawn(move || robot.upsert_comment(1, "lock", &format!("writer {n}"), at(2)).unwrap());
        }
    });
    assert_eq!(shop.forge("robot").comments(1).unwrap().len(), 1);
}

#[test]
fn a_status_is_the_newest_of_its_context_on_its_commit() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let robot = shop.forge("robot");
    let set = |state, text, minute| robot.set_status(&head, "orchestrator/lock", state, text, at(minute)).unwrap();
    assert_eq!(set(StatusState::Pending, "asking", 2), Written::Created);
    assert_eq!(set(StatusState::Pending, "asking", 3), Written::Unchanged);
    assert_eq!(set(StatusState::Success, "6 services", 4), Written::Updated);
    let statuses = robot.statuses(&head).unwrap();
    assert_eq!(statuses.len(), 1);
    assert_eq!((statuses[0].state, statuses[0].description.as_str()), (StatusState::Success, "6 services"));
    assert!(shop.file(&format!("statuses/{head}/orchestrator%2Flock.json")).is_file());
    assert_eq!(robot.statuses(&shop.rev("refs/heads/main")).unwrap(), []);

    let unknown = commit_id(&"9".repeat(40));
    let error = robot.set_status(&unknown, "x", StatusState::Success, "", at(1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    let error = shop.forge("rita").set_status(&head, "x", StatusState::Success, "", at(1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let error = robot.set_status(&head, "a\nb", StatusState::Success, "", at(1)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[test]
fn t11_an_artefact_is_a_file_of_its_pull_request() {
    let shop = Shop::new();
    shop.pull();
    let robot = shop.forge("robot");
    assert_eq!(robot.artefact(1, "lock.yaml").unwrap(), None);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"a").unwrap(), Written::Created);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"a").unwrap(), Written::Unchanged);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"b").unwrap(), Written::Updated);
    assert_eq!(robot.artefact(1, "lock.yaml").unwrap().unwrap(), b"b");
    assert_eq!(std::fs::read(shop.file("artefacts/pull-1/lock.yaml")).unwrap(), b"b");
    for name in ["../lock.yaml", ".lock", "a/b", ""] {
        assert_eq!(robot.put_artefact(1, name, b"x").unwrap_err().class(), ErrorClass::Invalid, "{name}");
    }
    assert_eq!(robot.put_artefact(2, "lock.yaml", b"x").unwrap_err().class(), ErrorClass::NotFound);
}

#[test]
fn a_forge_begins_once() {
    let shop = Shop::new();
    assert_eq!(LocalForge::init(shop.root(), &settings()).unwrap(), Written::Unchanged);
    let error = LocalForge::init(shop.root(), &ForgeSettings::default()).unwrap_err();
    assert_eq!(reasons(error), ["there is a forge with other users or branches"]);
    let users = shop.forge("ana").users().unwrap();
    assert_eq!(users.len(), 6);
    assert_eq!(shop.forge("ana").protected_branches().unwrap().len(), 2);
    let nowhere = shop.root().join("nowhere");
    let error = LocalForge::open(&nowhere, shop.git(), None).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(!nowhere.exists(), "looking makes nothing");
}
