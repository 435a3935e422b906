//! What is said about a pull request or a commit: reviews, comments, statuses, artefacts.

use forge::local::{Clock, LocalForge};
use forge::simulator::{self, ForgeSettings};
use forge::{ForgeError, ForgeErrorKind, ReviewState, Role, StatusState, User, WriteOutcome};
use lock_model::ErrorClass;

use crate::shop::{Shop, at, commit_id, settings, user};

fn reasons(error: &ForgeError) -> Vec<String> {
    assert!(matches!(error.kind(), ForgeErrorKind::Refused | ForgeErrorKind::State), "{error}");
    error.reasons().to_vec()
}

#[test]
fn t13_a_review_is_of_one_commit_and_its_tree() {
    let shop = Shop::new();
    let seen = shop.pull().head;
    let ben = shop.forge("ben");
    shop.at(2);
    let review = ben.simulator().submit_review(1, &seen, ReviewState::Approved, "").unwrap();
    assert_eq!((review.seq, &review.commit), (1, &seen));
    assert_eq!(review.tree.as_str(), shop.bare.tree(seen.as_str()));
    shop.at(3);
    let again = ben.simulator().submit_review(1, &seen, ReviewState::Approved, "").unwrap();
    assert_eq!(again, review, "said again, it is the same review");
    let more = ben.simulator().submit_review(1, &seen, ReviewState::Approved, "tried it").unwrap();
    assert_eq!((more.seq, more.body.as_str()), (2, "tried it"), "another text is another review");

    let head = shop.push_dev("sneaked-in.txt", "x\n");
    shop.at(4);
    let error = ben.simulator().submit_review(1, &seen, ReviewState::Approved, "").unwrap_err();
    assert_eq!(reasons(&error), [format!("the head is `{head}`, not the expected `{seen}`")]);
    shop.at(5);
    let next = ben.simulator().submit_review(1, &head, ReviewState::ChangesRequested, "").unwrap();
    assert_eq!(next.seq, 3);
    assert_ne!(next.tree, review.tree);
    assert_eq!(ben.reviews(1).unwrap(), [review, more, next]);
}

#[test]
fn the_author_only_comments_and_strangers_say_nothing() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let ana = shop.forge("ana");
    shop.at(2);
    let error = ana.simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap_err();
    assert_eq!(reasons(&error), ["`ana` opened it and can only comment"]);
    ana.simulator().submit_review(1, &head, ReviewState::Commented, "").unwrap();
    let error = shop.forge("mallory").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap_err();
    assert_eq!(reasons(&error), ["`mallory` is not a user of this forge"]);
    shop.forge("rita").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    let roles: Vec<_> = ana.reviews(1).unwrap().iter().map(|review| (review.user.to_string(), review.role)).collect();
    assert_eq!(roles, [("ana".to_owned(), Role::Write), ("rita".to_owned(), Role::Read)]);
}

#[test]
fn t13_a_reviewers_role_is_the_one_of_now() {
    let shop = Shop::new();
    let head = shop.pull().head;
    shop.at(2);
    shop.forge("ben").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    shop.forge("cara").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
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
    shop.at(2);
    shop.forge("ben").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    shop.at(3);
    let error = shop.forge("rita").simulator().dismiss_review(1, 1, "no").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let cara = shop.forge("cara");
    assert_eq!(cara.simulator().dismiss_review(1, 1, "seen too early").unwrap(), WriteOutcome::Updated);
    shop.at(4);
    assert_eq!(cara.simulator().dismiss_review(1, 1, "seen too early").unwrap(), WriteOutcome::Unchanged);
    assert_eq!(cara.reviews(1).unwrap()[0].state, ReviewState::Dismissed);
    assert_eq!(cara.simulator().dismiss_review(1, 9, "x").unwrap_err().class(), ErrorClass::NotFound);
    shop.at(5);
    let again = shop.forge("ben").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    assert_eq!((again.seq, again.state), (2, ReviewState::Approved), "given again after the dismissal");
    // The approval stands, until another verdict takes its place: taken back itself, it does not bring the approval back.
    let ben = shop.forge("ben");
    let objection = ben.simulator().submit_review(1, &head, ReviewState::ChangesRequested, "no").unwrap();
    ben.simulator().dismiss_review(1, objection.seq, "a mistake").unwrap();
    let once_more = ben.simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    assert_eq!((objection.seq, once_more.seq), (3, 4));
}

#[test]
fn f5_twenty_reviews_at_once_have_numbers_of_their_own() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let mut settings = settings();
    let file = shop.file("users.json");
    std::fs::remove_file(&file).unwrap();
    for n in 0..20 {
        settings.users.push(User::person(user(&format!("reader-{n}")), Role::Read));
    }
    simulator::init(shop.root(), &settings).unwrap();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let (forge, head) = (shop.forge(&format!("reader-{n}")), &head);
            shop.at(2);
            scope.spawn(move || forge.simulator().submit_review(1, head, ReviewState::Approved, "").unwrap());
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
    shop.at(1);
    shop.forge("rita").upsert_comment(1, marker, "All fine, trust me.").unwrap();
    shop.at(2);
    assert_eq!(robot.upsert_comment(1, marker, "The lock").unwrap(), WriteOutcome::Created);
    shop.at(3);
    assert_eq!(robot.upsert_comment(1, marker, "The lock").unwrap(), WriteOutcome::Unchanged);
    shop.at(4);
    assert_eq!(robot.upsert_comment(1, marker, "The new lock").unwrap(), WriteOutcome::Updated);
    let comments = robot.comments(1).unwrap();
    let said: Vec<_> = comments.iter().map(|comment| (comment.user.as_str(), comment.body.as_str())).collect();
    assert_eq!(said, [("rita", "All fine, trust me."), ("robot", "The new lock")]);
    assert_eq!((comments[1].created_at, comments[1].updated_at), (at(2), at(4)));
    assert!(shop.file("pulls/1/comments/orchestrator%3Alock.json").is_file());
    let error = robot.upsert_comment(1, marker, &"x".repeat(65_537)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    assert_eq!(robot.upsert_comment(2, marker, "x").unwrap_err().class(), ErrorClass::NotFound);
}

#[test]
fn f13_twenty_writers_of_one_comment_make_one() {
    let shop = Shop::new();
    shop.pull();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let robot = shop.forge("robot");
            shop.at(2);
            scope.spawn(move || robot.upsert_comment(1, "lock", &format!("writer {n}")).unwrap());
        }
    });
    assert_eq!(shop.forge("robot").comments(1).unwrap().len(), 1);
}

#[test]
fn a_status_is_the_newest_of_its_context_on_its_commit() {
    let shop = Shop::new();
    let head = shop.pull().head;
    let robot = shop.forge("robot");
    let set = |state, text, minute| {
        shop.at(minute);
        robot.set_status(&head, None, "orchestrator/lock", state, text).unwrap()
    };
    assert_eq!(set(StatusState::Pending, "asking", 2), WriteOutcome::Created);
    assert_eq!(set(StatusState::Pending, "asking", 3), WriteOutcome::Unchanged);
    assert_eq!(set(StatusState::Success, "6 services", 4), WriteOutcome::Updated);
    let statuses = robot.statuses(&head).unwrap();
    assert_eq!(statuses.len(), 1);
    assert_eq!((statuses[0].state, statuses[0].description.as_str()), (StatusState::Success, "6 services"));
    assert!(shop.file(&format!("statuses/{head}/orchestrator%2Flock.json")).is_file());
    assert_eq!(robot.statuses(&shop.rev("refs/heads/main")).unwrap(), []);

    let unknown = commit_id(&"9".repeat(40));
    shop.at(1);
    let error = robot.set_status(&unknown, None, "x", StatusState::Success, "").unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    let error = shop.forge("rita").set_status(&head, None, "x", StatusState::Success, "").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied);
    let error = robot.set_status(&head, None, "a\nb", StatusState::Success, "").unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
}

#[test]
fn t11_an_artefact_is_a_file_of_its_pull_request() {
    let shop = Shop::new();
    shop.pull();
    let robot = shop.forge("robot");
    assert_eq!(robot.artefact(1, "lock.yaml").unwrap(), None);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"a").unwrap(), WriteOutcome::Created);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"a").unwrap(), WriteOutcome::Unchanged);
    assert_eq!(robot.put_artefact(1, "lock.yaml", b"b").unwrap(), WriteOutcome::Updated);
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
    assert_eq!(simulator::init(shop.root(), &settings()).unwrap(), WriteOutcome::Unchanged);
    let error = simulator::init(shop.root(), &ForgeSettings::default()).unwrap_err();
    assert_eq!(reasons(&error), ["there is a forge with other users or branches"]);
    let users = shop.forge("ana").users().unwrap();
    assert_eq!(users.len(), 6);
    assert_eq!(shop.forge("ana").protected_branches().unwrap().len(), 2);
    let nowhere = shop.root().join("nowhere");
    let error = LocalForge::open(&nowhere, shop.git(), None, Clock::fixed(at(1))).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert!(!nowhere.exists(), "looking makes nothing");
}
