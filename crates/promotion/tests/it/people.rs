use promotion::approvals::{
    Access, ApprovalPolicy, ApprovalVerdict, ExclusionReason, MergeFacts, Person, PersonKind, PullRequestFacts,
    ReviewFacts, ReviewState, count,
};

use crate::builders::*;

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), kind: PersonKind::Human, access: Access::Write }
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
        merged: Some(MergeFacts { commit: commit("merge"), tree: tree("content"), by: "fay".to_owned() }),
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
    let policy = ApprovalPolicy {
        count: 2,
        excluded: [("fay".to_owned(), "merged the changes into staging".to_owned())].into(),
    };
    let answer = count(&policy, &pull_request(&reviews));
    assert_eq!(answer.verdict(), ApprovalVerdict::Missing);
    assert_eq!(
        answer.explanations(),
        [
            "ana opened the pull request",
            &format!("bo approved other content, at {}", commit("older").short(7)),
            &format!("cy approved other content, at {}", commit("gone").short(7)),
            "di commented only",
            "ed review was dismissed",
            "fay merged the changes into staging",
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
    assert_eq!(answer.summary(), "6 approvals are required and only 5 people could give one");
    let excluded = ApprovalPolicy { count: 5, excluded: [("FAY".to_owned(), "merged it".to_owned())].into() };
    assert_eq!(count(&excluded, &pull_request(&FOUR)).verdict(), ApprovalVerdict::Impossible);
    assert_eq!(count(&policy(0), &pull_request(&[])).verdict(), ApprovalVerdict::Enough);
}

#[test]
fn a_request_for_changes_is_explained_and_goes_before_what_is_missing() {
    let reviews = [("bo", ReviewState::ChangesRequested, "content"), ("cy", ReviewState::Approved, "content")];
    let answer = count(&policy(4), &pull_request(&reviews));
    assert_eq!(answer.verdict(), ApprovalVerdict::Blocked, "three are missing as well");
    assert_eq!((answer.counted, answer.blocked_by), (vec!["cy".to_owned()], vec!["bo".to_owned()]));
    assert_eq!((answer.needed, answer.missing, answer.eligible), (4, 3, 5));
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
