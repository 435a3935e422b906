//! Whose approval counts, and for what: for content, never for a number of clicks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::{CommitId, Timestamp, TreeId};

/// How many approvals a promotion needs, as the target branch says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How many people.
    pub count: u32,
    /// Whose approvals do not count, and why; the author's never do and need no entry.
    pub excluded: BTreeMap<String, String>,
}

/// What the forge says about a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequestFacts {
    /// Its number.
    pub number: u64,
    /// Who opened it.
    pub author: String,
    /// The commit that would be, or was, merged.
    pub head: CommitId,
    /// The tree of that commit: what an approval is for.
    pub head_tree: TreeId,
    /// How it was merged; absent while it is open.
    pub merged: Option<MergeFacts>,
    /// All reviews, in any order.
    pub reviews: Vec<ReviewFacts>,
    /// Everybody who has access to the repository now.
    pub people: Vec<Person>,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeFacts {
    /// The merge commit.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Who merged.
    pub by: String,
}

/// One review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewFacts {
    /// The forge's order of reviews; of two by one person the higher is the later.
    pub seq: u64,
    /// Who.
    pub user: String,
    /// What they say.
    pub stance: Stance,
    /// The commit they looked at.
    pub commit: CommitId,
    /// The tree of that commit; absent where the commit is gone.
    pub tree: Option<TreeId>,
    /// When.
    pub at: Timestamp,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// Yes.
    Approved,
    /// Not like this.
    ChangesRequested,
    /// A remark; it leaves the person's earlier stance as it is.
    Commented,
    /// Somebody took the review back; the person has no stance any more.
    Dismissed,
}

/// Somebody with access to the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name at the forge.
    pub name: String,
    /// A person or a program.
    pub kind: PersonKind,
    /// What they may do now.
    pub access: Access,
}

/// A person or a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonKind {
    /// A person.
    Human,
    /// A program.
    Bot,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look.
    Read,
    /// Change.
    Write,
}

/// The answer: who counts, who does not and why, and how many are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// How many are needed.
    pub needed: u32,
    /// Whose approval counts, sorted.
    pub counted: Vec<String>,
    /// Everybody else who reviewed, sorted, and why they do not count.
    pub not_counted: Vec<NotCounted>,
    /// Who requested changes, sorted: as long as there is one, nothing goes on.
    pub blocked_by: Vec<String>,
    /// How many more are needed.
    pub missing: u32,
    /// How many people could approve at all.
    pub eligible: u32,
}

/// A review that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCounted {
    /// Whose.
    pub user: String,
    /// Why not.
    pub why: WhyNot,
}

/// Why a review does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// They opened the pull request.
    Author,
    /// A program.
    Bot,
    /// They cannot write to the repository, or cannot any more.
    NoWriteAccess,
    /// The policy leaves them out.
    Excluded {
        /// Why.
        why: String,
    },
    /// They approved other content.
    Stale {
        /// The commit they looked at.
        commit: CommitId,
    },
    /// They want changes.
    ChangesRequested,
    /// Their review was taken back.
    Dismissed,
    /// They only remarked something.
    NoStance,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Author => f.write_str("opened the pull request"),
            Self::Bot => f.write_str("is a bot"),
            Self::NoWriteAccess => f.write_str("has no write access"),
            Self::Excluded { why } => f.write_str(why),
            Self::Stale { commit } => write!(f, "approved other content, at {}", commit.short(7)),
            Self::ChangesRequested => f.write_str("requests changes"),
            Self::Dismissed => f.write_str("review was dismissed"),
            Self::NoStance => f.write_str("commented only"),
        }
    }
}

/// What the approvals come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalVerdict {
    /// Enough people approved exactly this content.
    Enough,
    /// More are needed.
    Missing,
    /// Somebody requests changes.
    Blocked,
    /// More are needed than there are people who could.
    Impossible,
}

/// Counts the approvals of a pull request's present content.
///
/// A review counts when the tree of the commit that it was given on is the tree of the head. Of each person the newest
/// stance is taken; who requests changes blocks, on whatever content. Authors, bots, people without write access and
/// excluded people neither count nor block.
pub fn count(policy: &ApprovalPolicy, pull_request: &PullRequestFacts) -> Approvals {
    let people: BTreeMap<String, &Person> =
        pull_request.people.iter().map(|person| (key(&person.name), person)).collect();
    let excluded: BTreeMap<String, &String> = policy.excluded.iter().map(|(name, why)| (key(name), why)).collect();
    let author = key(&pull_request.author);
    let bar = |name: &str| -> Option<WhyNot> {
        if name == author {
            return Some(WhyNot::Author);
        }
        match people.get(name).map(|person| (person.kind, person.access)) {
            Some((PersonKind::Bot, Access::Read | Access::Write)) => return Some(WhyNot::Bot),
            None | Some((PersonKind::Human, Access::Read)) => return Some(WhyNot::NoWriteAccess),
            Some((PersonKind::Human, Access::Write)) => {}
        }
        excluded.get(name).map(|why| WhyNot::Excluded { why: (*why).clone() })
    };

    let mut reviews: Vec<&ReviewFacts> = pull_request.reviews.iter().collect();
    reviews.sort_by_key(|review| review.seq);
    let mut stances: BTreeMap<String, &ReviewFacts> = BTreeMap::new();
    for review in reviews {
        let name = key(&review.user);
        match review.stance {
            Stance::Approved | Stance::ChangesRequested | Stance::Dismissed => {
                stances.insert(name, review);
            }
            Stance::Commented => {
                stances.entry(name).or_insert(review);
            }
        }
    }

    let mut counted = Vec::new();
    let mut not_counted = Vec::new();
    let mut blocked_by = Vec::new();
    for (name, review) in stances {
        let why = bar(&name).or_else(|| match review.stance {
            Stance::Approved if review.tree.as_ref() == Some(&pull_request.head_tree) => None,
            Stance::Approved => Some(WhyNot::Stale { commit: review.commit.clone() }),
            Stance::ChangesRequested => Some(WhyNot::ChangesRequested),
            Stance::Dismissed => Some(WhyNot::Dismissed),
            Stance::Commented => Some(WhyNot::NoStance),
        });
        match why {
            None => counted.push(review.user.clone()),
            Some(why) => {
                if why == WhyNot::ChangesRequested {
                    blocked_by.push(review.user.clone());
                }
                not_counted.push(NotCounted { user: review.user.clone(), why });
            }
        }
    }
    let eligible = people.keys().filter(|name| bar(name).is_none()).collect::<BTreeSet<_>>().len();
    Approvals {
        needed: policy.count,
        missing: policy.count.saturating_sub(u32::try_from(counted.len()).unwrap_or(u32::MAX)),
        eligible: u32::try_from(eligible).unwrap_or(u32::MAX),
        counted,
        not_counted,
        blocked_by,
    }
}

/// Forges do not tell `Ana` from `ana`.
fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Approvals {
    /// What it comes to. A policy that nobody can meet is said before anything else: waiting would not help.
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
        self.not_counted.iter().map(|review| format!("{} {}", review.user, review.why)).collect()
    }
}
