//! Whose approval counts: it is for the content of the pull request's head, not for the pull request.

mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::{CommitId, Date, Timestamp, TreeId};

use standing::Standing;

/// How many approvals a promotion needs, as the policy commit says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How many people must approve. Who opened the pull request, or one that it carries, never counts.
    pub count: u32,
    /// Whether who merged a carried pull request does not count either.
    pub exclude_mergers: bool,
    /// Whether whose mail stands in a carried commit does not count either.
    pub exclude_committers: bool,
    /// What applies instead of `count` where too few people are left.
    pub fallback: Option<Fallback>,
}

impl ApprovalPolicy {
    /// A policy that excludes only authors.
    pub fn new(count: u32) -> Self {
        Self { count, ..Self::default() }
    }
}

impl ApprovalPolicy {
    /// What both ask for. Where one of them has no fallback, there is none.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let fallback = self.fallback.zip(other.fallback);
        Self {
            count: self.count.max(other.count),
            exclude_mergers: self.exclude_mergers || other.exclude_mergers,
            exclude_committers: self.exclude_committers || other.exclude_committers,
            fallback: fallback.map(|(one, other)| if one.count < other.count { other } else { one }),
        }
    }
}

/// A smaller number of approvals, for a team that is too small for the declared one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// How many people must approve.
    pub count: u32,
    /// The person or team that decided it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it applies.
    pub until: Date,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, owner, reason, until } = self;
        write!(f, "fallback of {count} until {until}, by {owner}: {reason}")
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
    /// The content of that commit: what an approval is for. A tree without the files that no release can read.
    pub head_tree: TreeId,
    /// How it was merged; absent while it is open.
    pub merged: Option<MergeFacts>,
    /// The pull requests that it carries: those that reached its head and are not in its base.
    pub carried: Vec<CarriedPullRequest>,
    /// The commits that it carries, without the merges that the forge made; looked at only where committers are excluded.
    pub commits: Vec<CarriedCommit>,
    /// All reviews, in any order.
    pub reviews: Vec<ReviewFacts>,
    /// Every user who has access to the repository now.
    pub people: Vec<Person>,
    /// That the gates passed at the merged commit before, by the same rules; absent where they did not.
    pub passed: Option<GatesPassed>,
}

/// The record that the gates passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatesPassed {
    /// Its number.
    pub seq: u64,
    /// When the gates were asked.
    pub at: Timestamp,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeFacts {
    /// The merge commit.
    pub commit: CommitId,
    /// Its content, as that of the head.
    pub tree: TreeId,
    /// The user who merged.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A pull request that another one carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedPullRequest {
    /// Its number at the forge.
    pub number: u64,
    /// The user who opened it.
    pub author: String,
    /// The user who merged it; absent where its commits came by a push, or come with the merge that is looked at.
    pub merged_by: Option<String>,
}

/// A commit that a pull request carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedCommit {
    /// The commit.
    pub commit: CommitId,
    /// The mail addresses of its author and committer. Anybody can write any address there.
    pub mails: BTreeSet<String>,
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
    /// The content of that commit, as that of the head; absent where the commit is gone.
    pub tree: Option<TreeId>,
    /// When it was submitted, or dismissed.
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
    /// The mail addresses that the forge knows of the user.
    pub mails: Vec<String>,
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

/// Which reviews count, which do not and why, how many approvals are missing, and who could give them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Approvals {
    /// How many approvals are required, by the policy or by its fallback.
    pub needed: u32,
    /// Users whose approval counts, sorted.
    pub counted: Vec<String>,
    /// The other reviewers, sorted, each with the reason.
    pub not_counted: Vec<NotCounted>,
    /// Users who request changes, sorted: one is enough to block.
    pub blocked_by: Vec<String>,
    /// How many more approvals are needed.
    pub missing: u32,
    /// Who is left: the users whose approval counts or would count, sorted.
    pub eligible: Vec<String>,
    /// People with write access whose approval never counts here, sorted, each with the reason.
    pub excluded: Vec<NotCounted>,
    /// What became of the policy's fallback.
    pub fallback: FallbackUse,
    /// Mail addresses of carried commits that belong to no user of the forge, sorted; empty where committers may approve.
    pub unknown_mails: Vec<String>,
    /// Number of the record by which there were enough, where there are too few by today's roles and no reviewer has
    /// objected since.
    pub passed: Option<u64>,
}

/// What became of a policy's fallback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FallbackUse {
    /// There is none, or enough people are left without it.
    Unused,
    /// Too few people are left by the forge's own data: it applies.
    Applies(Fallback),
    /// It would apply, and its last day has passed.
    Ended(Fallback),
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
    /// The reviewer opened a pull request that this one carries.
    CarriedAuthor {
        /// Its number.
        number: u64,
    },
    /// The policy excludes who merged a pull request that this one carries.
    Merger {
        /// Its number.
        number: u64,
    },
    /// The policy excludes whose mail stands in a commit that this pull request carries.
    Committer {
        /// The commit.
        commit: CommitId,
    },
    /// The reviewer is a program.
    Bot,
    /// The reviewer cannot push to the repository, or cannot any more.
    NoWriteAccess,
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
            Self::CarriedAuthor { number } => write!(f, "opened #{number}, which is carried"),
            Self::Merger { number } => write!(f, "merged #{number}, which is carried"),
            Self::Committer { commit } => write!(f, "is named by the mail of commit {}", commit.short(7)),
            Self::Bot => f.write_str("is a bot"),
            Self::NoWriteAccess => f.write_str("has no write access"),
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
/// not a mere comment is taken; a request for changes blocks, on whatever content it was made. Authors of what is
/// carried, bots, users without write access and excluded users neither count nor block.
///
/// Where the gates passed before, what counted then goes on to count, whatever became of the reviewers' roles, until a
/// review requests changes or is dismissed.
///
/// The fallback applies where fewer people than `count` are left by what the forge itself knows; `today` is compared
/// with its last day while the pull request is open, the day of the merge afterwards. A merge is no earlier than the
/// approvals that it rests on, whatever the clock of the user who merged said.
pub fn count(policy: &ApprovalPolicy, pull_request: &PullRequestFacts, today: Date) -> Approvals {
    let standing = Standing::of(policy, pull_request);
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

    let approved = pull_request.reviews.iter().filter(|review| review.state == ReviewState::Approved);
    let newest = approved.map(|review| review.at).max();
    let day =
        pull_request.merged.as_ref().map_or(today, |merged| newest.map_or(merged.at, |at| at.max(merged.at)).date());
    let too_few = standing.left_by_forge < usize::try_from(policy.count).unwrap_or(usize::MAX);
    let fallback = match &policy.fallback {
        Some(fallback) if too_few && day <= fallback.until => FallbackUse::Applies(fallback.clone()),
        Some(fallback) if too_few => FallbackUse::Ended(fallback.clone()),
        Some(_) | None => FallbackUse::Unused,
    };
    let needed = match &fallback {
        FallbackUse::Applies(fallback) => fallback.count,
        FallbackUse::Unused | FallbackUse::Ended(_) => policy.count,
    };
    let mut approvals = Approvals {
        needed,
        counted: Vec::new(),
        not_counted: Vec::new(),
        blocked_by: Vec::new(),
        missing: needed,
        eligible: standing.eligible,
        excluded: standing.excluded,
        fallback,
        unknown_mails: standing.unknown_mails,
        passed: None,
    };
    for (name, review) in in_force {
        let user = review.user.clone();
        let reason = standing.reasons.get(&name).cloned().unwrap_or(Some(ExclusionReason::NoWriteAccess));
        let reason = reason.or_else(|| match review.state {
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
    if approvals.verdict() != ApprovalVerdict::Enough
        && let Some(seq) = passed(pull_request)
    {
        approvals.passed = Some(seq);
        approvals.missing = 0;
    }
    approvals
}

/// The record by which there were enough approvals, unless a reviewer has objected since.
fn passed(pull_request: &PullRequestFacts) -> Option<u64> {
    let passed = pull_request.passed?;
    let objects = |review: &ReviewFacts| match review.state {
        ReviewState::ChangesRequested | ReviewState::Dismissed => review.at > passed.at,
        ReviewState::Approved | ReviewState::Commented => false,
    };
    (!pull_request.reviews.iter().any(objects)).then_some(passed.seq)
}

/// To a forge `Ana` and `ana` are one user.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Approvals {
    /// Whether there are enough. A policy that cannot be met goes before everything else: waiting would not help.
    pub fn verdict(&self) -> ApprovalVerdict {
        if self.passed.is_some() {
            ApprovalVerdict::Enough
        } else if self.eligible.len() < usize::try_from(self.needed).unwrap_or(usize::MAX) {
            ApprovalVerdict::Impossible
        } else if !self.blocked_by.is_empty() {
            ApprovalVerdict::Blocked
        } else if self.missing > 0 {
            ApprovalVerdict::Missing
        } else {
            ApprovalVerdict::Enough
        }
    }

    /// One line: how many there are, how many are missing, and whether a fallback decides that.
    pub fn summary(&self) -> String {
        let have = format!("{} of {} approvals", self.counted.len(), self.needed);
        let line = match self.verdict() {
            ApprovalVerdict::Enough => match self.passed {
                Some(seq) => format!("{have} by today's roles, and enough when the gates passed (record {seq})"),
                None => have,
            },
            ApprovalVerdict::Missing => format!("{have}, {} missing", self.missing),
            ApprovalVerdict::Blocked => format!("{have}, changes requested by {}", self.blocked_by.join(", ")),
            ApprovalVerdict::Impossible => {
                let needed = self.needed;
                match self.eligible.as_slice() {
                    [] => format!("{needed} approvals are required and nobody could give one"),
                    [one] => format!("{needed} approvals are required and only {one} could give one"),
                    some => format!(
                        "{needed} approvals are required and only {} people could give one: {}",
                        some.len(),
                        some.join(", ")
                    ),
                }
            }
        };
        match &self.fallback {
            FallbackUse::Unused => line,
            FallbackUse::Applies(fallback) => format!("{line} ({fallback})"),
            FallbackUse::Ended(fallback) => format!("{line} (the fallback ended on {})", fallback.until),
        }
    }

    /// One line for each person who could not approve whatever they say.
    pub fn exclusions(&self) -> Vec<String> {
        self.excluded.iter().map(|person| format!("{}, who {}", person.user, person.reason)).collect()
    }

    /// One line for each review that does not count.
    pub fn explanations(&self) -> Vec<String> {
        self.not_counted.iter().map(|review| format!("{} {}", review.user, review.reason)).collect()
    }
}
