use lock_model::Date;
use promotion::approvals::{
    Access, ApprovalPolicy, ApprovalVerdict, Approvals, CarriedCommit, CarriedPullRequest, ExclusionReason, Fallback,
    FallbackUse, GatesPassed, MergeFacts, Person, PersonKind, PullRequestFacts, ReviewFacts, ReviewState,
};
use promotion::pull_request::{MergeResult, obstacles};

use crate::builders::*;
use crate::days::day;

fn today() -> Date {
    day("2025-11-24")
}

fn count(policy: &ApprovalPolicy, pull_request: &PullRequestFacts) -> Approvals {
    promotion::approvals::count(policy, pull_request, today())
}

fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        kind: PersonKind::Human,
        access: Access::Write,
        mails: vec![format!("{name}@shop.example")],
    }
}

pub(crate) fn pull_request(reviews: &[(&str, ReviewState, &str)]) -> PullRequestFacts {
    let mut people: Vec<Person> = ["ana", "bo", "cy", "di", "ed", "fay"].into_iter().map(person).collect();
    people.push(Person { access: Access::Read, ..person("reader") });
    people.push(Person { kind: PersonKind::Bot, ..person("robot") });
    PullRequestFacts {
        number: 9,
        author: "ana".to_owned(),
        head: commit("head of nine"),
        head_tree: tree("content"),
        merged: Some(MergeFacts { commit: commit("merge"), tree: tree("content"), by: "fay".to_owned(), at: now(0) }),
        carried: Vec::new(),
        commits: Vec::new(),
        reviews: (1..)
            .zip(reviews)
            .map(|(seq, (user, stance, content))| ReviewFacts {
                seq,
                user: (*user).to_owned(),
                state: *stance,
                commit: commit(content),
                tree: if *content == "gone" { None } else { Some(tree(content)) },
                at: now(i64::try_from(seq).unwrap()),
            })
            .collect(),
        people,
        passed: None,
    }
}

pub(crate) fn policy(count: u32) -> ApprovalPolicy {
    ApprovalPolicy { count, ..ApprovalPolicy::default() }
}

pub(crate) const FOUR: [(&str, ReviewState, &str); 4] = [
    ("bo", ReviewState::Approved, "content"),
    ("cy", ReviewState::Approved, "content"),
    ("di", ReviewState::Approved, "content"),
    ("ed", ReviewState::Approved, "content"),
];

#[test]
fn b40_each_person_counts_once() {
    let answer = count(&policy(4), &pull_request(&FOUR));
    assert_eq!(answer.verdict(), ApprovalVerdict::Enough);
    assert_eq!(answer.counted, ["bo", "cy", "di", "ed"]);
    let twice = [("bo", ReviewState::Approved, "content"), ("Bo", ReviewState::Approved, "content"), FOUR[1]];
    let answer = count(&policy(4), &pull_request(&twice));
    assert_eq!((answer.counted.len(), answer.missing), (2, 2));
    assert_eq!(answer.summary(), "2 of 4 approvals, 2 missing");
}

#[test]
fn what_helps_against_missing_approvals_depends_on_the_merge() {
    use ReviewState::{Approved, ChangesRequested};
    for (state, merged, words) in [
        (Approved, true, "goes out with the next promotion"),
        (Approved, false, "approve the pull request's present head"),
        (ChangesRequested, true, "has to be dismissed"),
        (ChangesRequested, false, "has to approve, or be dismissed"),
    ] {
        let mut facts = pull_request(&[("bo", state, "content")]);
        facts.merged = facts.merged.filter(|_| merged);
        let hint = promotion::gates::approvals(&policy(2), &facts, today()).hint.unwrap();
        assert!(hint.contains(words), "{state:?}, merged: {merged}: {hint}");
    }
    let impossible = promotion::gates::approvals(&policy(9), &pull_request(&[]), today());
    assert_eq!(impossible.hint.as_deref(), Some(promotion::gates::CANNOT_BE_MET));
}

#[test]
fn t63_what_passed_once_stays_approved_until_a_reviewer_objects() {
    use ReviewState::{Approved, ChangesRequested, Commented, Dismissed};
    let approved = [("bo", Approved, "content"), ("cy", Approved, "content")];
    let passed = Some(GatesPassed { seq: 35, at: now(2) });
    let judge = |reviews: &[(&str, ReviewState, &str)], passed, left: &[&str]| {
        let mut facts = pull_request(reviews);
        facts.passed = passed;
        facts.people.retain(|person| !left.contains(&person.name.as_str()));
        let answer = count(&policy(2), &facts);
        (answer.verdict(), answer.passed)
    };
    let with = |state| [approved[0], approved[1], ("di", state, "content")];
    for (reviews, passed, left, expected) in [
        (&approved[..], passed, &[][..], (ApprovalVerdict::Enough, None)),
        (&approved, passed, &["bo"], (ApprovalVerdict::Enough, Some(35))),
        (&approved, passed, &["bo", "cy", "di", "ed", "fay"], (ApprovalVerdict::Enough, Some(35))),
        (&approved, None, &["bo"], (ApprovalVerdict::Missing, None)),
        // Whoever speaks up later without an objection changes nothing.
        (&with(Commented), passed, &["bo"], (ApprovalVerdict::Enough, Some(35))),
        (&with(Approved), passed, &["bo", "di"], (ApprovalVerdict::Enough, Some(35))),
        (&with(ChangesRequested), passed, &["bo"], (ApprovalVerdict::Blocked, None)),
        (&with(ChangesRequested), passed, &[], (ApprovalVerdict::Blocked, None)),
        (&with(Dismissed), passed, &["bo"], (ApprovalVerdict::Missing, None)),
        // Who objects and has left again is not heard, and what passed is counted again all the same.
        (&with(ChangesRequested), passed, &["bo", "di"], (ApprovalVerdict::Missing, None)),
        // What was objected before is what the gates knew.
        (
            &with(ChangesRequested),
            Some(GatesPassed { seq: 35, at: now(3) }),
            &["bo"],
            (ApprovalVerdict::Enough, Some(35)),
        ),
    ] {
        assert_eq!(judge(reviews, passed, left), expected, "{reviews:?} without {left:?}");
    }
    let mut facts = pull_request(&approved[..1]);
    facts.passed = passed;
    let summary = count(&policy(2), &facts).summary();
    assert_eq!(summary, "1 of 2 approvals by today's roles, and enough when the gates passed (record 35)");
}

#[test]
fn t13_who_does_not_count_is_said_with_the_reason() {
    let reviews = [
        ("ana", ReviewState::Approved, "content"),
        ("robot", ReviewState::Approved, "content"),
        ("reader", ReviewState::Approved, "content"),
        ("stranger", ReviewState::Approved, "content"),
        ("bo", ReviewState::Approved, "older"),
        ("cy", ReviewState::Approved, "gone"),
        ("di", ReviewState::Commented, "content"),
        ("ed", ReviewState::Dismissed, "content"),
        ("fay", ReviewState::Approved, "content"),
    ];
    let policy = ApprovalPolicy { exclude_mergers: true, ..policy(2) };
    let mut carrying = pull_request(&reviews);
    carrying.carried.push(carried(5, "bot", Some("fay")));
    let answer = count(&policy, &carrying);
    assert_eq!(answer.verdict(), ApprovalVerdict::Missing);
    assert_eq!(
        answer.explanations(),
        [
            "ana opened the pull request",
            &format!("bo approved other content, at {}", commit("older").short(7)),
            &format!("cy approved other content, at {}", commit("gone").short(7)),
            "di commented only",
            "ed review was dismissed",
            "fay merged #5, which is carried",
            "reader has no write access",
            "robot is a bot",
            "stranger has no write access",
        ]
    );
}

#[test]
fn t13_approve_then_push_does_not_count() {
    let mut changed = pull_request(&FOUR);
    changed.head_tree = tree("pushed later");
    let answer = count(&policy(4), &changed);
    assert_eq!((answer.counted.len(), answer.missing), (0, 4));
    assert!(answer.not_counted.iter().all(|review| matches!(review.reason, ExclusionReason::Stale { .. })));
}

#[test]
fn b41_an_approval_of_another_commit_with_the_same_content_counts() {
    let mut moved = pull_request(&FOUR);
    moved.head = commit("another commit, the same tree");
    assert_eq!(count(&policy(4), &moved).verdict(), ApprovalVerdict::Enough);
}

#[test]
fn b40_the_latest_stance_counts() {
    let changed_mind = [&FOUR[..], &[("ed", ReviewState::ChangesRequested, "content")]].concat();
    let answer = count(&policy(3), &pull_request(&changed_mind));
    assert_eq!(answer.verdict(), ApprovalVerdict::Blocked, "although three others approved");
    assert_eq!(answer.summary(), "3 of 3 approvals, changes requested by ed");
    let settled = [&changed_mind[..], &[("ed", ReviewState::Approved, "content")]].concat();
    assert_eq!(count(&policy(4), &pull_request(&settled)).verdict(), ApprovalVerdict::Enough);
    let remark = [&FOUR[..], &[("ed", ReviewState::Commented, "content")]].concat();
    assert_eq!(count(&policy(4), &pull_request(&remark)).verdict(), ApprovalVerdict::Enough, "a remark is no stance");
    let dismissed = [&FOUR[..], &[("ed", ReviewState::Dismissed, "content")]].concat();
    assert_eq!(count(&policy(4), &pull_request(&dismissed)).missing, 1);
    let mut unordered = pull_request(&changed_mind);
    unordered.reviews.reverse();
    assert_eq!(
        count(&policy(4), &unordered).verdict(),
        ApprovalVerdict::Blocked,
        "order is the forge's, not the list's"
    );
}

#[test]
fn only_people_who_count_can_block() {
    let reviews = [
        &FOUR[..],
        &[("robot", ReviewState::ChangesRequested, "content"), ("reader", ReviewState::ChangesRequested, "content")],
    ]
    .concat();
    assert_eq!(count(&policy(4), &pull_request(&reviews)).verdict(), ApprovalVerdict::Enough);
    let stale = [&FOUR[..], &[("fay", ReviewState::ChangesRequested, "older")]].concat();
    assert_eq!(count(&policy(4), &pull_request(&stale)).verdict(), ApprovalVerdict::Blocked, "nobody took it back");
}

#[test]
fn a_policy_that_nobody_can_meet_says_so() {
    let answer = count(&policy(6), &pull_request(&FOUR));
    assert_eq!(answer.verdict(), ApprovalVerdict::Impossible);
    let summary = "6 approvals are required and only 5 people could give one: bo, cy, di, ed, fay";
    assert_eq!(answer.summary(), summary);
    let mut carrying = pull_request(&FOUR);
    carrying.carried.push(carried(5, "bot", Some("FAY")));
    let excluded = ApprovalPolicy { exclude_mergers: true, ..policy(5) };
    assert_eq!(count(&excluded, &carrying).verdict(), ApprovalVerdict::Impossible);
    assert_eq!(count(&policy(5), &carrying).verdict(), ApprovalVerdict::Missing, "who merges is asked for no more");
    assert_eq!(count(&policy(0), &pull_request(&[])).verdict(), ApprovalVerdict::Enough);
}

#[test]
fn a_request_for_changes_is_explained_and_goes_before_what_is_missing() {
    let reviews = [("bo", ReviewState::ChangesRequested, "content"), ("cy", ReviewState::Approved, "content")];
    let answer = count(&policy(4), &pull_request(&reviews));
    assert_eq!(answer.verdict(), ApprovalVerdict::Blocked, "three are missing as well");
    assert_eq!((answer.counted, answer.blocked_by), (vec!["cy".to_owned()], vec!["bo".to_owned()]));
    assert_eq!((answer.needed, answer.missing, answer.eligible.len()), (4, 3, 5));
    let answer = count(&policy(4), &pull_request(&reviews));
    assert_eq!(answer.explanations(), ["bo requests changes"]);
    assert_eq!(answer.summary(), "1 of 4 approvals, changes requested by bo");
}

#[test]
fn more_approvals_than_needed_are_enough() {
    let answer = count(&policy(1), &pull_request(&FOUR));
    assert_eq!((answer.verdict(), answer.missing), (ApprovalVerdict::Enough, 0));
    assert_eq!(answer.summary(), "4 of 1 approvals");
    let none = count(&policy(0), &pull_request(&[]));
    assert_eq!((none.verdict(), none.missing), (ApprovalVerdict::Enough, 0));
    let all = count(&policy(5), &pull_request(&FOUR));
    assert_eq!((all.verdict(), all.missing), (ApprovalVerdict::Missing, 1), "five could approve, four did");
}

#[test]
fn a_comment_before_an_approval_does_not_hide_it() {
    let reviews = [("bo", ReviewState::Commented, "older"), ("bo", ReviewState::Approved, "content")];
    assert_eq!(count(&policy(1), &pull_request(&reviews)).counted, ["bo"]);
}

fn carried(number: u64, author: &str, merged_by: Option<&str>) -> CarriedPullRequest {
    CarriedPullRequest { number, author: author.to_owned(), merged_by: merged_by.map(str::to_owned) }
}

fn fallback(count: u32, until: &str) -> Fallback {
    let (owner, reason) = ("platform".to_owned(), "a team of five".to_owned());
    Fallback { count, owner, reason, until: day(until) }
}

#[test]
fn t53_who_opened_what_is_carried_never_counts_and_never_blocks() {
    let mut promotion = pull_request(&[FOUR[0], FOUR[1], FOUR[2], ("ed", ReviewState::ChangesRequested, "content")]);
    promotion.author = "robot".to_owned();
    promotion.carried = vec![carried(3, "Bo", Some("cy")), carried(4, "robot", None), carried(5, "ed", Some("ed"))];
    let answer = count(&policy(2), &promotion);
    assert_eq!(answer.counted, ["cy", "di"]);
    assert_eq!(answer.verdict(), ApprovalVerdict::Enough, "an author cannot block either");
    assert_eq!(answer.explanations(), ["bo opened #3, which is carried", "ed opened #5, which is carried"]);
    // Everybody who is left is named, reviewers or not; the bot opened the promotion and excludes nobody.
    assert_eq!(answer.eligible, ["ana", "cy", "di", "fay"]);
    assert_eq!(answer.exclusions(), ["bo, who opened #3, which is carried", "ed, who opened #5, which is carried"]);
    let mergers = ApprovalPolicy { exclude_mergers: true, ..policy(2) };
    let answer = count(&mergers, &promotion);
    assert_eq!((answer.counted.as_slice(), answer.verdict()), (&["di".to_owned()][..], ApprovalVerdict::Missing));
}

#[test]
fn t53_a_mail_excludes_its_user_and_an_unknown_one_is_said() {
    let mut promotion = pull_request(&FOUR);
    promotion.author = "robot".to_owned();
    let mails = |mails: &[&str]| mails.iter().map(|mail| (*mail).to_owned()).collect();
    promotion.commits = vec![
        CarriedCommit { commit: commit("one"), mails: mails(&["BO@shop.example", "nobody@elsewhere.example"]) },
        CarriedCommit { commit: commit("two"), mails: mails(&["robot@shop.example"]) },
    ];
    let anybody = count(&policy(4), &promotion);
    assert_eq!((anybody.counted.len(), anybody.unknown_mails.len()), (4, 0), "nobody asked for mails");
    let committers = ApprovalPolicy { exclude_committers: true, ..policy(4) };
    let answer = count(&committers, &promotion);
    assert_eq!(answer.counted, ["cy", "di", "ed"]);
    assert_eq!(answer.explanations(), [format!("bo is named by the mail of commit {}", commit("one").short(7))]);
    assert_eq!(answer.unknown_mails, ["nobody@elsewhere.example"], "it is said, not guessed");
}

#[test]
fn t54_a_fallback_applies_only_where_the_forge_leaves_too_few() {
    // Six people; two opened what is carried: four are left.
    let mut promotion = pull_request(&FOUR);
    promotion.merged = None;
    promotion.author = "robot".to_owned();
    promotion.carried = vec![carried(3, "ana", None), carried(4, "fay", None)];
    let with = |count: u32| ApprovalPolicy { fallback: Some(fallback(2, "2025-11-24")), ..policy(count) };
    let enough = count(&with(4), &promotion);
    assert_eq!((enough.needed, &enough.fallback), (4, &FallbackUse::Unused));
    promotion.carried.push(carried(5, "ed", None));
    let answer = count(&with(4), &promotion);
    assert_eq!((answer.needed, answer.verdict()), (2, ApprovalVerdict::Enough));
    assert_eq!(answer.summary(), "3 of 2 approvals (fallback of 2 until 2025-11-24, by platform: a team of five)");
    // Its last day counts, the next one does not.
    let ended = promotion::approvals::count(&with(4), &promotion, day("2025-11-25"));
    assert_eq!((ended.needed, ended.verdict()), (4, ApprovalVerdict::Impossible));
    assert!(ended.summary().ends_with("(the fallback ended on 2025-11-24)"), "{}", ended.summary());
    // A merge is judged by its own day, however long its deployment takes.
    promotion.merged = pull_request(&[]).merged.map(|merged| MergeFacts { at: now(0), ..merged });
    let late = promotion::approvals::count(&with(4), &promotion, day("2026-05-01"));
    assert_eq!(late.needed, 2);
    // A clock that was set back for the merge makes it no earlier than the approvals that it rests on.
    let two_days = 2 * 24 * 60 * 60;
    let at = lock_model::Timestamp::from_unix_seconds(now(0).as_unix_seconds() - two_days);
    promotion.merged = promotion.merged.map(|merged| MergeFacts { at, ..merged });
    let ended = ApprovalPolicy { fallback: Some(fallback(2, "2025-11-23")), ..policy(4) };
    assert_eq!(count(&ended, &promotion).verdict(), ApprovalVerdict::Impossible);
}

#[test]
fn t54_forged_mails_never_bring_a_fallback_about() {
    let mut promotion = pull_request(&FOUR[..2]);
    promotion.merged = None;
    promotion.author = "robot".to_owned();
    let everybody = ["ana", "cy", "di", "ed", "fay"].map(|name| format!("{name}@shop.example"));
    promotion.commits = vec![CarriedCommit { commit: commit("forged"), mails: everybody.into() }];
    let policy = ApprovalPolicy { exclude_committers: true, fallback: Some(fallback(1, "2030-01-01")), ..policy(4) };
    let answer = count(&policy, &promotion);
    assert_eq!((answer.needed, &answer.fallback), (4, &FallbackUse::Unused));
    assert_eq!((answer.verdict(), answer.eligible.as_slice()), (ApprovalVerdict::Impossible, &["bo".to_owned()][..]));
    // Where it applies, the mails still exclude.
    promotion.carried = ["ana", "cy", "di"].iter().map(|name| carried(3, name, None)).collect();
    let answer = count(&policy, &promotion);
    assert_eq!((answer.needed, answer.counted.as_slice()), (1, &["bo".to_owned()][..]));
    promotion.reviews.remove(0);
    assert_eq!(count(&policy, &promotion).counted, [] as [&str; 0]);
}

#[test]
fn t54_obstacles_are_what_no_approval_removes() {
    let open = pull_request(&[]);
    let said = |policy: &ApprovalPolicy, merge: &MergeResult| {
        obstacles(&count(policy, &open), merge, &open.head_tree, "main", "staging", &["abc1234 hotfix".to_owned()])
    };
    let same = MergeResult::Clean(tree("content"));
    assert_eq!(said(&policy(4), &same), [] as [&str; 0], "missing approvals can still come");
    let other = said(&policy(4), &MergeResult::Clean(tree("with a hotfix")));
    assert_eq!(other.len(), 1);
    assert!(other[0].starts_with("`main` has content that `staging` lacks (abc1234 hotfix)"), "{other:?}");
    let both = said(&policy(6), &MergeResult::Conflict(vec!["README.md".to_owned()]));
    assert!(both[0].contains("in conflict at `README.md`"), "{both:?}");
    assert!(both[1].contains("only 5 people could give one: bo, cy, di, ed, fay (not ana, who opened"), "{both:?}");
}
