//! Whose approval counts: it is for the content of the pull request's head, not for the pull request.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, Timestamp, TreeId};

/// How many approvals a promotion needs, as the target branch says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How many people must approve.
    pub count: u32,
    /// Users whose approvals do not count, each with the reason; the author's never count and need no entry.
    pub excluded: BTreeMap<String, String>,
}

impl ApprovalPolicy {
    /// A policy that excludes only the author.
    pub fn new(count: u32) -> Self {
        Self { count, excluded: BTreeMap::new() }
    }
}

/// What the forge says about a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestFacts {
    /// Its number at the forge.
    pub number: u64,
    /// The user who opened it.
    pub author: String,
    /// The commit that would be, or was, merged.
    pub head: CommitId,
    /// The tree of that commit: what an approval is for.
    pub head_tree: TreeId,
    /// How it was merged; absent while it is open.
    pub merged: Option<MergeFacts>,
    /// All reviews, in any order.
    pub reviews: Vec<ReviewFacts>,
    /// Every user who has access to the repository now.
    pub people: Vec<Person>,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeFacts {
    /// The merge commit.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// The user who merged.
    pub by: String,
}

/// One review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFacts {
    /// The forge's order of reviews; of two by one person the higher is the later.
    pub seq: u64,
    /// The reviewer.
    pub user: String,
    /// What the review says.
    pub state: ReviewState,
    /// The commit that was reviewed.
    pub commit: CommitId,
    /// The tree of that commit; absent where the commit is gone.
    pub tree: Option<TreeId>,
    /// When it was submitted.
    pub at: Timestamp,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewState {
    /// The reviewer approves.
    Approved,
    /// The reviewer requests changes.
    ChangesRequested,
    /// The reviewer comments; an earlier approval or request of theirs stays in force.
    Commented,
    /// The review was dismissed; an earlier one does not come back into force.
    Dismissed,
}

/// A user with access to the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's name at the forge.
    pub name: String,
    /// Whether a person or a program uses the account.
    pub kind: PersonKind,
    /// What the user may do now.
    pub access: Access,
}

/// What uses an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonKind {
    /// A person.
    Human,
    /// A program.
    Bot,
}

/// What a user may do with the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Push to it.
    Write,
}

/// Which reviews count, which do not and why, and how many approvals are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approvals {
    /// How many approvals the policy requires.
    pub needed: u32,
    /// Users whose approval counts, sorted.
    pub counted: Vec<String>,
    /// The other reviewers, sorted, each with the reason.
    pub not_counted: Vec<NotCounted>,
    /// Users who request changes, sorted: one is enough to block.
    pub blocked_by: Vec<String>,
    /// How many more approvals are needed.
    pub missing: u32,
    /// How many users could approve at all.
    pub eligible: u32,
}

/// A review that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotCounted {
    /// The reviewer.
    pub user: String,
    /// Why it does not count.
    pub reason: ExclusionReason,
}

/// Why a review does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExclusionReason {
    /// The reviewer opened the pull request.
    Author,
    /// The reviewer is a program.
    Bot,
    /// The reviewer cannot push to the repository, or cannot any more.
    NoWriteAccess,
    /// The policy excludes the reviewer.
    Excluded {
        /// The reason in the policy.
        reason: String,
    },
    /// The reviewer approved other content.
    Stale {
        /// The commit that was reviewed.
        commit: CommitId,
    },
    /// The reviewer requests changes.
    ChangesRequested,
    /// The review was dismissed.
    Dismissed,
    /// The reviewer neither approved nor requested changes.
    OnlyCommented,
}

impl fmt::Display for ExclusionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Author => f.write_str("opened the pull request"),
            Self::Bot => f.write_str("is a bot"),
            Self::NoWriteAccess => f.write_str("has no write access"),
            Self::Excluded { reason } => f.write_str(reason),
            Self::Stale { commit } => write!(f, "approved other content, at {}", commit.short(7)),
            Self::ChangesRequested => f.write_str("requests changes"),
            Self::Dismissed => f.write_str("review was dismissed"),
            Self::OnlyCommented => f.write_str("commented only"),
        }
    }
}

/// Whether there are enough approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalVerdict {
    /// Enough people approved exactly this content.
    Enough,
    /// More are needed.
    Missing,
    /// A reviewer requests changes.
    Blocked,
    /// More are needed than there are users who could approve.
    Impossible,
}

/// Counts the approvals of a pull request's present content.
///
/// A review counts when the tree of the reviewed commit is the tree of the head. Of each user the newest review that is
/// not a mere comment is taken; a request for changes blocks, on whatever content it was made. Authors, bots, users
/// without write access and excluded users neither count nor block.
pub fn count(policy: &ApprovalPolicy, pull_request: &PullRequestFacts) -> Approvals {
    let people: BTreeMap<String, &Person> =
        pull_request.people.iter().map(|person| (key(&person.name), person)).collect();
    let excluded: BTreeMap<String, &String> =
        policy.excluded.iter().map(|(name, reason)| (key(name), reason)).collect();
    let author = key(&pull_request.author);
    let exclusion = |name: &str| -> Option<ExclusionReason> {
        if name == author {
            return Some(ExclusionReason::Author);
        }
        match people.get(name).map(|person| (person.kind, person.access)) {
            Some((PersonKind::Bot, Access::Read | Access::Write)) => return Some(ExclusionReason::Bot),
            None | Some((PersonKind::Human, Access::Read)) => return Some(ExclusionReason::NoWriteAccess),
            Some((PersonKind::Human, Access::Write)) => {}
        }
        excluded.get(name).map(|reason| ExclusionReason::Excluded { reason: (*reason).clone() })
    };

    let mut reviews: Vec<&ReviewFacts> = pull_request.reviews.iter().collect();
    reviews.sort_by_key(|review| review.seq);
    let mut in_force: BTreeMap<String, &ReviewFacts> = BTreeMap::new();
    for review in reviews {
        let name = key(&review.user);
        match review.state {
            ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed => {
                in_force.insert(name, review);
            }
            ReviewState::Commented => {
                in_force.entry(name).or_insert(review);
            }
        }
    }

    let eligible = people.keys().filter(|name| exclusion(name).is_none()).count();
    let mut approvals = Approvals {
        needed: policy.count,
        counted: Vec::new(),
        not_counted: Vec::new(),
        blocked_by: Vec::new(),
        missing: policy.count,
        eligible: u32::try_from(eligible).unwrap_or(u32::MAX),
    };
    for (name, review) in in_force {
        let user = review.user.clone();
        let reason = exclusion(&name).or_else(|| match review.state {
            ReviewState::Approved if review.tree.as_ref() == Some(&pull_request.head_tree) => None,
            ReviewState::Approved => Some(ExclusionReason::Stale { commit: review.commit.clone() }),
            ReviewState::ChangesRequested => Some(ExclusionReason::ChangesRequested),
            ReviewState::Dismissed => Some(ExclusionReason::Dismissed),
            ReviewState::Commented => Some(ExclusionReason::OnlyCommented),
        });
        let Some(reason) = reason else {
            approvals.counted.push(user);
            approvals.missing = approvals.missing.saturating_sub(1);
            continue;
        };
        if reason == ExclusionReason::ChangesRequested {
            approvals.blocked_by.push(user.clone());
        }
        approvals.not_counted.push(NotCounted { user, reason });
    }
    approvals
}

/// To a forge `Ana` and `ana` are one user.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Approvals {
    /// Whether there are enough. A policy that cannot be met goes before everything else: waiting would not help.
    pub fn verdict(&self) -> ApprovalVerdict {
        if self.eligible < self.needed {
            ApprovalVerdict::Impossible
        } else if !self.blocked_by.is_empty() {
            ApprovalVerdict::Blocked
        } else if self.missing > 0 {
            ApprovalVerdict::Missing
        } else {
            ApprovalVerdict::Enough
        }
    }

    /// One line: how many there are, how many are missing.
    pub fn summary(&self) -> String {
        let have = format!("{} of {} approvals", self.counted.len(), self.needed);
        match self.verdict() {
            ApprovalVerdict::Enough => have,
            ApprovalVerdict::Missing => format!("{have}, {} missing", self.missing),
            ApprovalVerdict::Blocked => format!("{have}, changes requested by {}", self.blocked_by.join(", ")),
            ApprovalVerdict::Impossible => {
                format!("{} approvals are required and only {} people could give one", self.needed, self.eligible)
            }
        }
    }

    /// One line for each review that does not count.
    pub fn explanations(&self) -> Vec<String> {
        self.not_counted.iter().map(|review| format!("{} {}", review.user, review.reason)).collect()
    }
}
