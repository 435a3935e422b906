use ledger::{Ledger, Step, StepKey, StepResult, Unreviewed};
use promotion::release_names::{ReleaseMessage, ReleasePlan, TagFacts, date_of, plan_tag};
use promotion::rollback::{NoTarget, RollbackTarget, TargetState, deployed_since, known_good, target};

use crate::builders::*;

fn released(words: &[&str]) -> Ledger {
    let mut ledger = Ledger::empty();
    for word in words {
        tell(&mut ledger, &staging(), &freight(word), STAGED);
        tell(&mut ledger, &production(), &freight(word), RELEASED);
    }
    ledger
}

fn back(ledger: &Ledger) -> Result<RollbackTarget, NoTarget> {
    target(ledger, &production(), None, &|_| true)
}

#[test]
fn each_reason_to_go_nowhere_has_its_own_way_out() {
    let (environment, name) = (production(), "release-a".to_owned());
    let unknown =
        |known: Vec<String>| NoTarget::Unknown { environment: production(), requested: "x".to_owned(), known };
    let mut ledger = Ledger::empty();
    append(&mut ledger, reject(&freight("a"), "loses orders"));
    let rejection = ledger.rejected(&freight("a").lock).unwrap();
    for (reason, words) in [
        (NoTarget::NeverDeployed { environment: environment.clone() }, "orchestrator run production"),
        (NoTarget::NothingOlder { environment: environment.clone() }, "with a pull request"),
        (unknown(vec![name.clone()]), "one of these"),
        (unknown(Vec::new()), "orchestrator history production"),
        (NoTarget::Ambiguous { requested: "aaaaaaaa".to_owned(), candidates: Vec::new() }, "more digits"),
        (NoTarget::Rejected { name: name.clone(), rejection }, "another release"),
        (
            NoTarget::NotOnBranch { environment: environment.clone(), name: name.clone(), commit: commit("a") },
            "history",
        ),
        (NoTarget::AlreadyThere { environment, name }, "--check` shows the releases before it"),
    ] {
        assert!(reason.hint().contains(words), "{reason}: {}", reason.hint());
    }
}

#[test]
fn b38_back_is_the_release_before() {
    let ledger = released(&["a", "b", "c"]);
    let found = back(&ledger).unwrap();
    assert_eq!((found.release, found.state), (freight("b").release, TargetState::New));
    assert_eq!(found.commit, freight("b").commit);
    assert_eq!(found.lock_file, freight("b").lock_file);
    assert_eq!(found.tag, Some(format!("release-2025-11-24-{}", freight("b").release.id8())));
}

#[test]
fn b38_from_a_broken_deployment_too() {
    let mut ledger = released(&["a"]);
    tell(&mut ledger, &production(), &freight("b"), "gates:ok health:ok deploy:started deploy:failed");
    assert_eq!(back(&ledger).unwrap().release, freight("a").release);
}

#[test]
fn b39_only_what_proved_itself_is_known_to_be_good() {
    let mut ledger = released(&["a"]);
    tell(&mut ledger, &production(), &freight("b"), "deploy:started deploy:ok suite(smoke):failed proof:failed");
    tell(&mut ledger, &production(), &freight("c"), RELEASED);
    let good: Vec<_> = known_good(&ledger, &production(), &|_| true).into_iter().map(|target| target.release).collect();
    assert_eq!(good, [freight("c").release, freight("a").release]);
    assert_eq!(back(&ledger).unwrap().release, freight("a").release, "b is passed over");
}

#[test]
fn a_rejected_release_is_passed_over_and_refused_by_name() {
    let mut ledger = released(&["a", "b", "c"]);
    append(&mut ledger, reject(&freight("b"), "leaks memory"));
    assert_eq!(back(&ledger).unwrap().release, freight("a").release);
    let error = target(&ledger, &production(), Some(freight("b").release.id8()), &|_| true).unwrap_err();
    assert!(error.to_string().ends_with("was rejected by robot: leaks memory"), "{error}");
}

#[test]
fn targets_are_asked_for_by_tag_or_id() {
    let ledger = released(&["a", "b", "c"]);
    let a = freight("a").release;
    for name in [format!("release-2025-11-24-{}", a.id8()), a.id8().to_owned(), a.to_string(), a.hex().to_owned()] {
        assert_eq!(target(&ledger, &production(), Some(&name), &|_| true).unwrap().release, a, "{name}");
    }
    for (name, expected) in [
        ("1234567".to_owned(), "names no proven or migrated release of `production`; known are release-2025-11-24-"),
        (String::new(), "names no proven or migrated release"),
        (freight("c").release.id8().to_owned(), "`production` has `release-2025-11-24-"),
    ] {
        let error = target(&ledger, &production(), Some(&name), &|_| true).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_migrated_release_must_be_asked_for_until_it_proved_itself() {
    let mut ledger = released(&["a"]);
    let mut adopted = draft(&production(), &freight("old"), &StepKey::Step(Step::LockCommit), StepResult::Ok)
        .reason("before the train");
    adopted.unreviewed = Some(Unreviewed::Migrated);
    adopted.tag = Some("migrated-2025-11-24".to_owned());
    append(&mut ledger, adopted);
    assert!(matches!(back(&ledger), Err(NoTarget::NothingOlder { .. })), "nobody goes there by accident");
    let found = target(&ledger, &production(), Some("migrated-2025-11-24"), &|_| true).unwrap();
    assert_eq!((&found.release, found.state), (&freight("old").release, TargetState::New));
    assert!(
        target(&ledger, &staging(), Some("migrated-2025-11-24"), &|_| true).is_err(),
        "it was taken over for production"
    );
    append(&mut ledger, reject(&freight("old"), "was broken then, too"));
    assert!(matches!(
        target(&ledger, &production(), Some("migrated-2025-11-24"), &|_| true),
        Err(NoTarget::Rejected { .. })
    ));
}

#[test]
fn there_may_be_nothing_to_go_back_to() {
    assert!(matches!(back(&Ledger::empty()), Err(NoTarget::NeverDeployed { .. })));
    assert!(matches!(back(&released(&["a"])), Err(NoTarget::NothingOlder { .. })));
}

/// At whatever record a rollback is killed, the same command goes on with the same target.
#[test]
fn b37_a_killed_rollback_is_found_again() {
    let words: Vec<&str> = "rollback:started gates:ok health:ok deploy:started deploy:ok verify:ok \
                            suite(smoke):started suite(smoke):ok proof:ok rollback:ok"
        .split_whitespace()
        .collect();
    for killed_after in 0..=words.len() {
        let mut ledger = released(&["a", "b", "c"]);
        tell(&mut ledger, &production(), &freight("b"), &words[..killed_after].join(" "));
        let found = back(&ledger).unwrap();
        assert_eq!(found.release, freight("b").release, "after {killed_after}");
        let by_name = target(&ledger, &production(), Some(freight("b").release.id8()), &|_| true).unwrap();
        assert_eq!(by_name, found);
        match (killed_after, found.state) {
            (0, TargetState::New) | (10, TargetState::Done { seq: 76 }) => assert_eq!(words.len(), 10),
            (1..10, TargetState::Underway { seq }) => assert_eq!(seq, 67),
            (_, TargetState::New | TargetState::Underway { .. } | TargetState::Done { .. }) => {
                panic!("{killed_after}: {:?}", found.state)
            }
        }
    }
}

/// What is left of a newer release, such as migrated data, is not forgotten for a rollback that left it there.
#[test]
fn a_rollback_that_did_not_bring_everything_back_brought_nothing_back() {
    let since = |ledger: &Ledger| deployed_since(ledger, &production(), &freight("b").release).len();
    let mut ledger = released(&["a", "b", "c"]);
    assert_eq!(since(&ledger), 1);
    let mixed = "rollback:started gates:ok health:ok deploy:started deploy:ok verify:failed rollback:ok";
    tell(&mut ledger, &production(), &freight("b"), mixed);
    assert_eq!(since(&ledger), 1, "verify has found what stayed");
    tell(&mut ledger, &production(), &freight("b"), "deploy:started deploy:ok verify:ok");
    assert_eq!(since(&ledger), 0);
    tell(&mut ledger, &production(), &freight("b"), "verify:failed");
    assert_eq!(since(&ledger), 0, "that was edited later");
}

#[test]
fn a_second_rollback_goes_further_back_and_never_forward() {
    let mut ledger = released(&["a", "b", "c"]);
    let rolled = "rollback:started deploy:started deploy:ok proof:ok rollback:ok";
    tell(&mut ledger, &production(), &freight("b"), rolled);
    append(&mut ledger, note(Step::Unhold, Some(&production()), "looked at"));
    assert_eq!(back(&ledger).unwrap().release, freight("a").release, "not c, which was left");
    let by_name = target(&ledger, &production(), Some(freight("c").release.id8()), &|_| true).unwrap();
    assert_eq!(by_name.release, freight("c").release, "but c can be asked for");
}

#[test]
fn a_failed_rollback_can_be_pointed_elsewhere() {
    let mut ledger = released(&["a", "b", "c"]);
    tell(&mut ledger, &production(), &freight("b"), "rollback:started deploy:started deploy:failed rollback:failed");
    let again = back(&ledger).unwrap();
    assert!(matches!(again.state, TargetState::Underway { .. }));
    let other = target(&ledger, &production(), Some(freight("a").release.id8()), &|_| true).unwrap();
    assert_eq!((other.release, other.state), (freight("a").release, TargetState::New));
    tell(&mut ledger, &production(), &freight("a"), "rollback:started");
    let found = back(&ledger).unwrap();
    assert_eq!(found.release, freight("a").release);
    assert!(matches!(found.state, TargetState::Underway { .. }));
}

fn message(word: &str) -> ReleaseMessage {
    let freight = freight(word);
    ReleaseMessage {
        release: freight.release,
        lock: freight.lock,
        lock_file: freight.lock_file,
        config: freight.config,
        environment: production(),
        proof: 8,
        fallback: None,
    }
}

#[test]
fn t54_a_tag_says_by_which_fallback_it_was_approved_in_one_line() {
    let fallback = Some("fallback of 2, by x: why\nRelease-Id: sha256:0".to_owned());
    let text = ReleaseMessage { fallback, ..message("a") }.write("v1");
    let read = ReleaseMessage::parse(&text).unwrap();
    assert_eq!(read.release, message("a").release);
    assert_eq!(read.fallback.as_deref(), Some("fallback of 2, by x: why Release-Id: sha256:0"));
}

#[test]
fn a_tag_carries_its_release() {
    let text = message("a").write("release-2025-11-24-00000000");
    assert!(text.starts_with("release-2025-11-24-00000000\n\nRelease-Id: sha256:"), "{text}");
    assert_eq!(ReleaseMessage::parse(&text), Some(message("a")));
    for other in
        ["", "v1.0\n", "Release-Id: sha256:x\n", &text.replace("Lock-Id", "Lock"), &format!("{text}Lock-Id: x\n")]
    {
        assert_eq!(ReleaseMessage::parse(other), None, "{other}");
    }
}

#[test]
fn p13_one_release_one_tag() {
    let tag = |name: &str, message: String| TagFacts { name: name.to_owned(), message, commit: commit(name) };
    let a = freight("a").release;
    let make = |name: &str| ReleasePlan::Make { name: name.to_owned() };
    assert_eq!(plan_tag(&[], &a, "new"), make("new"));
    let tags = [tag("v1", String::new()), tag("other", message("b").write("other"))];
    assert_eq!(plan_tag(&tags, &a, "new"), make("new"));
    let tags = [tag("z", message("a").write("z")), tag("older", message("a").write("older"))];
    assert_eq!(plan_tag(&tags, &a, "new"), ReleasePlan::Exists { name: "older".to_owned(), commit: commit("older") });
    let tags = [tag("new", message("b").write("new"))];
    let taken = ReleasePlan::NameTaken { name: "new".to_owned(), by: Some(freight("b").release) };
    assert_eq!(plan_tag(&tags, &a, "new"), taken);
}

#[test]
fn f9_a_release_is_named_after_the_day_of_its_first_attempt() {
    let a = freight("a");
    let mut ledger = Ledger::empty();
    let tomorrow = now(20 * 3600);
    assert_eq!(date_of(&ledger, &production(), &a.release, tomorrow).to_string(), "2025-11-25");
    tell(&mut ledger, &production(), &a, "release:started");
    assert_eq!(date_of(&ledger, &production(), &a.release, tomorrow).to_string(), "2025-11-24");
}

#[test]
fn t46_a_record_alone_names_no_target() {
    let mut ledger = Ledger::empty();
    for word in ["a", "b", "c"] {
        tell(&mut ledger, &production(), &freight(word), RELEASED);
    }
    let commit = |word: &str| freight(word).commit;
    // Somebody wrote that `b` was here: its commit never was on the branch.
    let stands = |target: &RollbackTarget| target.commit != commit("b");
    let found = target(&ledger, &production(), None, &stands).unwrap();
    assert_eq!(found.release, freight("a").release, "what is made up is passed over");
    let error = target(&ledger, &production(), Some(freight("b").release.id8()), &stands).unwrap_err();
    assert!(matches!(&error, NoTarget::NotOnBranch { commit: other, .. } if *other == commit("b")), "{error}");
    assert_eq!(error.class(), lock_model::ErrorClass::Denied);
    // A second record of `a`, with another commit, does not take the first one's place.
    let mut other = freight("a");
    other.commit = commit("b");
    tell(&mut ledger, &production(), &other, "proof:ok");
    let found = target(&ledger, &production(), Some(freight("a").release.id8()), &stands);
    assert_eq!(found.map(|target| target.commit), Ok(commit("a")));
    // A rollback that was begun to such a commit does not go on.
    tell(&mut ledger, &production(), &freight("b"), "rollback:started");
    for name in [None, Some(freight("b").release.id8().to_owned())] {
        let error = target(&ledger, &production(), name.as_deref(), &stands).unwrap_err();
        assert!(matches!(error, NoTarget::NotOnBranch { .. }), "{error}");
    }
}

#[test]
fn b39_of_thousands_of_records_each_release_is_known_once_and_as_its_newest_say() {
    const RELEASES: usize = 600;
    let of = |number: usize| freight(&format!("release {number}"));
    let mut ledger = Ledger::empty();
    let mut expected = Vec::new();
    for number in (0..RELEASES).step_by(3) {
        for (number, story) in [
            (number, RELEASED),
            (number + 1, RELEASED),
            (number + 1, "suite(smoke):failed"),
            (number + 2, RELEASED),
            (number, RELEASED),
        ] {
            tell(&mut ledger, &production(), &of(number), story);
        }
        expected.extend([of(number + 2).release, of(number).release]);
    }
    expected.reverse();
    let good = known_good(&ledger, &production(), &|_| true);
    assert_eq!(good.iter().map(|target| target.release.clone()).collect::<Vec<_>>(), expected);
    assert!(good.iter().all(|target| target.tag.is_some()));
    // Where every newer one is rejected, back is the oldest.
    for number in 1..RELEASES {
        append(&mut ledger, reject(&of(number), "leaks memory"));
    }
    assert_eq!(back(&ledger).unwrap().release, of(0).release);
}
