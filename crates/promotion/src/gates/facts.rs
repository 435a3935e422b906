use std::collections::BTreeMap;

use lock_model::{CommitId, Date, Digest, EnvironmentName, Lock, ReleaseId, SuiteDigest, SuiteName, TreeId};

use super::pull_request_suites::PullRequestSuites;
use crate::approvals::{ApprovalPolicy, PullRequestFacts};
use crate::attempts::Purpose;
use crate::places::PlaceFacts;
use ledger::{Policy, PolicySource, ProofLevel};

/// Everything that the gates look at besides the ledger.
///
/// Written as a literal on purpose: a fact that is added later must be gathered by every caller.
#[derive(Clone, Copy, Debug)]
pub struct DeployFacts<'a> {
    /// What the deployment is for.
    pub purpose: Purpose,
    /// The environment that is deployed to.
    pub environment: &'a EnvironmentName,
    /// The release that is deployed.
    pub release: &'a ReleaseId,
    /// Its lock, as it lies in the tree.
    pub lock: &'a Lock,
    /// SHA-256 of the lock file's bytes.
    pub lock_file: &'a Digest,
    /// The commit that is deployed.
    pub commit: &'a CommitId,
    /// Its tree.
    pub tree: &'a TreeId,
    /// The day, for exceptions that expire.
    pub today: Date,
    /// Where lock and tree disagree, one sentence each.
    pub mismatches: &'a [String],
    /// Is the lock's `source.head` an ancestor of `commit`, or `commit` itself?
    pub head_in_history: Ancestry,
    /// Is `commit` an ancestor of the commit of [`Ledger::latest_touched`](ledger::Ledger::latest_touched)?
    /// Not looked at where there is none.
    pub older_than_newest: Ancestry,
    /// Images that neither the lock nor a digest decides and no exception allows, a sentence each; absent where the rules
    /// let them be deployed. An exception that the change itself brings counts where the rules ask for approvals: that gate
    /// says whether they were given.
    pub unpinned_images: Option<&'a [String]>,
    /// The places that are written, and who says whose they are.
    pub places: &'a PlaceFacts,
    /// The rules of the environment.
    pub policy: &'a GatePolicy,
    /// The suites that what was merged must have passed, by environment; none where the rules require none.
    pub pull_request_suites: &'a [&'a PullRequestSuites],
    /// The pull request whose merge made `commit`; looked at only where the rules ask for approvals.
    pub pull_request: PullRequestFound<'a>,
}

/// Whether one commit is an ancestor of another, as git tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ancestry {
    /// It is an ancestor.
    Ancestor,
    /// It is not.
    Unrelated,
    /// The commit is not in this clone, or its history is cut off.
    Unknown,
}

/// The rules of one environment, read at its [policy commit](crate::policy_commit).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatePolicy {
    /// Where the rules were read; absent for a rollback, which asks nothing that rules decide.
    pub policy: Option<Policy>,
    /// Which environments must have proven the release, and how; several only where the environment is new on its branch.
    pub proven_in: Vec<ProvenIn>,
    /// How many people must have approved.
    pub approvals: Option<ApprovalPolicy>,
}

impl GatePolicy {
    /// A policy that requires neither a proof nor approvals.
    pub fn new(policy: Policy) -> Self {
        Self { policy: Some(policy), ..Self::default() }
    }

    /// The commit that passed these rules; absent where nothing has passed yet. What came to the branch after it was never
    /// approved, whoever merged it.
    pub fn passed(&self) -> Option<&CommitId> {
        let policy = self.policy.as_ref()?;
        match policy.source {
            PolicySource::Passed => policy.commit.as_ref(),
            PolicySource::Accepted | PolicySource::Parent | PolicySource::Bootstrap => None,
        }
    }
}

/// What is required of the environment before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenIn {
    /// The environment.
    pub environment: EnvironmentName,
    /// What its proof must rest on, at least.
    pub level: ProofLevel,
    /// The suites that must be green in the same cycle: every suite that the release's own configuration or the rules
    /// name for that environment. The digest is the release's; where the release has no such suite any more,
    /// there is none.
    pub suites: BTreeMap<SuiteName, Option<SuiteDigest>>,
}

/// The pull request that a commit came from.
#[derive(Clone, Copy, Debug)]
pub enum PullRequestFound<'a> {
    /// This one.
    Found(&'a PullRequestFacts),
    /// No pull request: the commit was pushed past the merge button.
    Absent,
}
