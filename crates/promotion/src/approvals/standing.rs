//! Who may approve a pull request, before anybody has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, ApprovalPolicy, ExclusionReason, NotCounted, Person, PersonKind, PullRequestFacts, key};

/// What keeps each user from approving, if anything.
pub(super) struct Standing {
    /// Every user of the forge by key, with the reason why an approval of theirs would not count.
    pub(super) reasons: BTreeMap<String, Option<ExclusionReason>>,
    /// The people whose approval would count, sorted.
    pub(super) eligible: Vec<String>,
    /// The people with write access whose approval would not count, sorted.
    pub(super) excluded: Vec<NotCounted>,
    /// How many people are left by what the forge itself knows. Mail addresses do not play a part: anybody can write
    /// anybody's address into a commit, and so bring about that too few are left.
    pub(super) left_by_forge: usize,
    pub(super) unknown_mails: Vec<String>,
}

impl Standing {
    pub(super) fn of(policy: &ApprovalPolicy, pull_request: &PullRequestFacts) -> Self {
        let mut standing = Self {
            reasons: BTreeMap::new(),
            eligible: Vec::new(),
            excluded: Vec::new(),
            left_by_forge: 0,
            unknown_mails: if policy.exclude_committers { unknown_mails(pull_request) } else { Vec::new() },
        };
        let mut people: Vec<&Person> = pull_request.people.iter().collect();
        people.sort_by_key(|person| key(&person.name));
        for person in people {
            let by_forge = by_forge(policy, pull_request, person);
            if by_forge.is_none() {
                standing.left_by_forge += 1;
            }
            let reason = by_forge.or_else(|| by_mail(policy, pull_request, person));
            match &reason {
                None => standing.eligible.push(person.name.clone()),
                Some(ExclusionReason::Bot | ExclusionReason::NoWriteAccess) => {}
                Some(reason) => {
                    standing.excluded.push(NotCounted { user: person.name.clone(), reason: reason.clone() });
                }
            }
            standing.reasons.insert(key(&person.name), reason);
        }
        standing
    }
}

/// The reason that the forge's own data give.
fn by_forge(policy: &ApprovalPolicy, pull_request: &PullRequestFacts, person: &Person) -> Option<ExclusionReason> {
    match (person.kind, person.access) {
        (PersonKind::Bot, Access::Read | Access::Write) => return Some(ExclusionReason::Bot),
        (PersonKind::Human, Access::Read) => return Some(ExclusionReason::NoWriteAccess),
        (PersonKind::Human, Access::Write) => {}
    }
    let is_person = |name: &str| key(name) == key(&person.name);
    if is_person(&pull_request.author) {
        return Some(ExclusionReason::Author);
    }
    let carried = &pull_request.carried;
    if let Some(opened) = carried.iter().find(|one| is_person(&one.author)) {
        return Some(ExclusionReason::CarriedAuthor { number: opened.number });
    }
    let merged = carried.iter().find(|one| one.merged_by.as_deref().is_some_and(is_person));
    merged.filter(|_| policy.exclude_mergers).map(|merged| ExclusionReason::Merger { number: merged.number })
}

/// The reason that the mail of a carried commit gives.
fn by_mail(policy: &ApprovalPolicy, pull_request: &PullRequestFacts, person: &Person) -> Option<ExclusionReason> {
    if !policy.exclude_committers {
        return None;
    }
    let known: BTreeSet<String> = person.mails.iter().map(|mail| key(mail)).collect();
    let names = |mail: &String| known.contains(&key(mail));
    let commit = pull_request.commits.iter().find(|commit| commit.mails.iter().any(names))?;
    Some(ExclusionReason::Committer { commit: commit.commit.clone() })
}

/// The addresses of carried commits that no user of the forge has, sorted.
fn unknown_mails(pull_request: &PullRequestFacts) -> Vec<String> {
    let known: BTreeSet<String> =
        pull_request.people.iter().flat_map(|person| &person.mails).map(|mail| key(mail)).collect();
    let mails: BTreeSet<&String> = pull_request.commits.iter().flat_map(|commit| &commit.mails).collect();
    mails.into_iter().filter(|mail| !known.contains(&key(mail))).cloned().collect()
}
