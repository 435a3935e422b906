use lock_model::{
    BranchName, CommitId, ConfigDigest, Digest, EnvironmentName, ErrorClass, LockId, ReleaseId, Timestamp, TreeId,
};

use crate::{Accepts, Evidence, Policy, ProofLevel, RunIdentity, Step, StepKey, StepResult, SuiteRef, Unreviewed};

/// What a record says, without its place in the chain.
///
/// Which fields a step must have is checked when the record is made ([`RecordDraft::problems`]). The serialised form is
/// the largest part of a statement's predicate; `lock_file` is not in it, since it is the statement's subject.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecordDraft {
    /// Where it happened; absent where it concerns every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EnvironmentName")]
    pub environment: Option<EnvironmentName>,
    /// What happened.
    pub step: Step,
    /// How it stands.
    pub result: StepResult,
    /// Identity of lock and configuration together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ReleaseId")]
    pub release: Option<ReleaseId>,
    /// Identity of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LockId")]
    pub lock: Option<LockId>,
    /// SHA-256 of the lock file's bytes: the subject of the statement.
    #[serde(skip)]
    pub lock_file: Option<Digest>,
    /// Digest of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConfigDigest")]
    pub config: Option<ConfigDigest>,
    /// The commit that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CommitId")]
    pub commit: Option<CommitId>,
    /// The tree of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TreeId")]
    pub tree: Option<TreeId>,
    /// The suite, in a suite's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SuiteRef")]
    pub suite: Option<SuiteRef>,
    /// The tag that a release made, a rollback returned to, or a lock was taken over under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub tag: Option<String>,
    /// Who did it, in which run.
    pub run: RunIdentity,
    /// When the step began.
    pub started: Timestamp,
    /// When it ended; absent while it is only started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub finished: Option<Timestamp>,
    /// The reason of a negative result or of a decision; absent where the result needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4096))]
    pub reason: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub owner: Option<String>,
    /// Documents kept under `evidence/sha256/HEX`.
    pub evidence: Vec<Evidence>,
    /// What a proof rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProofLevel")]
    pub proof: Option<ProofLevel>,
    /// Why the lock was not reviewed; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Unreviewed")]
    pub unreviewed: Option<Unreviewed>,
    /// The rules that the gates judged by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Policy")]
    pub policy: Option<Policy>,
    /// What a decision lets pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Accepts")]
    pub accepts: Option<Accepts>,
    /// The branch that a pull request's suite was run for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BranchName")]
    pub base: Option<BranchName>,
    /// The tree of the pull request's merge without `locks/`, in the record of a pull request's suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TreeId")]
    pub merge_tree: Option<TreeId>,
    /// Numbers of the pull requests that came with a lock commit, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pulls: Vec<u64>,
    /// The number of the lease that a deployment to a cluster holds there: larger than that of every deployment of the
    /// environment before. Absent where the target is no cluster, and in records of before this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 1))]
    pub lease_number: Option<u64>,
}

/// One fault of a draft.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftProblem {
    /// The step needs this field.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// The step, or the result, has no such field.
    #[error("`{0}` does not belong here")]
    Unexpected(&'static str),
    /// The field's text is empty, too long, or has characters that it must not have.
    #[error("`{0}` is empty, too long or holds characters that it must not hold")]
    Text(&'static str),
    /// The step has no such result.
    #[error("the step has no such result")]
    Result,
    /// It ended before it began.
    #[error("`finished` is before `started`")]
    Times,
}

/// A draft that cannot become a record, with every problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record `{step} {result}` cannot be written: {}", list(problems))]
pub struct DraftProblems {
    /// The draft's step.
    pub step: Step,
    /// The draft's result.
    pub result: StepResult,
    /// At least one.
    pub problems: Vec<DraftProblem>,
}

impl DraftProblems {
    /// Always [`ErrorClass::Bug`]: the program that makes the draft knows the rules.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

fn list(problems: &[DraftProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl RecordDraft {
    /// A draft with what every record has; the rest is absent.
    pub fn new(step: Step, result: StepResult, run: RunIdentity, now: Timestamp) -> Self {
        Self {
            environment: None,
            step,
            result,
            release: None,
            lock: None,
            lock_file: None,
            config: None,
            commit: None,
            tree: None,
            suite: None,
            tag: None,
            run,
            started: now,
            finished: (result != StepResult::Started).then_some(now),
            reason: None,
            owner: None,
            evidence: Vec::new(),
            proof: None,
            unreviewed: None,
            policy: None,
            accepts: None,
            base: None,
            merge_tree: None,
            pulls: Vec::new(),
            lease_number: None,
        }
    }

    /// The same draft of a step that began then. Where the clock was set back meanwhile, it ended no earlier.
    #[must_use]
    pub fn started(mut self, started: Timestamp) -> Self {
        self.started = started;
        self.finished = self.finished.map(|finished| finished.max(started));
        self
    }

    /// The same draft for one environment.
    #[must_use]
    pub fn environment(mut self, environment: &EnvironmentName) -> Self {
        self.environment = Some(environment.clone());
        self
    }

    /// The same draft with a reason, shortened where it is longer than a record takes.
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(lock_model::escaping::shorten(reason.trim(), MAX_REASON_BYTES));
        self
    }

    /// The step within its deployment cycle that this draft is about.
    pub fn key(&self) -> StepKey {
        self.suite.clone().map_or(StepKey::Step(self.step), StepKey::Suite)
    }

    /// Every problem that keeps this draft from becoming a record.
    pub fn problems(&self) -> Vec<DraftProblem> {
        let mut problems = Vec::new();
        let rule = Rule::of(self.step);
        let mut field = |name: &'static str, there: bool, need: Need| match (need, there) {
            (Need::Required, false) => problems.push(DraftProblem::Missing(name)),
            (Need::Absent, true) => problems.push(DraftProblem::Unexpected(name)),
            (Need::Required, true) | (Need::Absent, false) | (Need::Optional, _) => {}
        };
        let ok = self.result == StepResult::Ok;
        let only = |step: Step| if self.step == step { Need::Required } else { Need::Absent };
        field("environment", self.environment.is_some(), rule.environment);
        // A suite of a pull request is run before there is a release.
        let of_pull_request = self.step == Step::Suite && self.base.is_some();
        let of_release = |need: Need| if of_pull_request { Need::Absent } else { need };
        field("release", self.release.is_some(), of_release(rule.release));
        field("lock", self.lock.is_some(), of_release(rule.lock));
        field("lock_file", self.lock_file.is_some(), of_release(rule.lock_file));
        field("commit", self.commit.is_some(), rule.release);
        field("suite", self.suite.is_some(), only(Step::Suite));
        field("tag", self.tag.is_some(), rule.tag.when(ok));
        field("proof", self.proof.is_some(), only(Step::Proof).when(ok));
        field(
            "accepts",
            self.accepts.is_some(),
            match self.step {
                Step::Policy => Need::Required,
                Step::Unhold => Need::Optional,
                Step::LockCommit
                | Step::Gates
                | Step::Health
                | Step::Deploy
                | Step::Verify
                | Step::Suite
                | Step::Proof
                | Step::Promote
                | Step::Release
                | Step::Reject
                | Step::BreakLease
                | Step::Hold
                | Step::Rollback => Need::Absent,
            },
        );
        let of_suite = if self.step == Step::Suite { Need::Optional } else { Need::Absent };
        field("base", self.base.is_some(), of_suite);
        field(
            "merge_tree",
            self.merge_tree.is_some(),
            if self.base.is_some() { of_suite.required() } else { Need::Absent },
        );
        let of_lock = if self.step == Step::LockCommit { Need::Optional } else { Need::Absent };
        field("pulls", !self.pulls.is_empty(), of_lock);
        let of_deploy = if self.step == Step::Deploy { Need::Optional } else { Need::Absent };
        field("lease_number", self.lease_number.is_some(), of_deploy);
        field("reason", self.reason.is_some(), if self.result.is_negative() { Need::Required } else { rule.reason });
        let started = self.result == StepResult::Started;
        field("finished", self.finished.is_some(), if started { Need::Absent } else { Need::Required });
        if started && !self.step.has_effect() {
            problems.push(DraftProblem::Result);
        }
        if self.finished.is_some_and(|finished| finished < self.started) {
            problems.push(DraftProblem::Times);
        }
        self.text_problems(&mut problems);
        problems
    }

    /// The problems as one error, where there are any.
    pub(crate) fn check(&self) -> Result<(), DraftProblems> {
        let problems = self.problems();
        if problems.is_empty() {
            return Ok(());
        }
        Err(DraftProblems { step: self.step, result: self.result, problems })
    }

    fn text_problems(&self, problems: &mut Vec<DraftProblem>) {
        let mut text = |name: &'static str, text: Option<&str>, most: usize| {
            if text.is_some_and(|text| text.trim().is_empty() || text.len() > most || text.contains('\0')) {
                problems.push(DraftProblem::Text(name));
            }
        };
        text("run.id", Some(&self.run.id), 256);
        text("run.actor", Some(&self.run.actor), 256);
        text("run.nonce", self.run.nonce.as_deref(), 256);
        text("reason", self.reason.as_deref(), MAX_REASON_BYTES);
        text("owner", self.owner.as_deref(), 256);
        text("tag", self.tag.as_deref(), 256);
        for evidence in &self.evidence {
            text("evidence.name", Some(&evidence.name), 256);
        }
        if self.evidence.len() > 256 {
            problems.push(DraftProblem::Text("evidence"));
        }
    }
}

/// The longest reason that a record holds.
pub(crate) const MAX_REASON_BYTES: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    Absent,
}

impl Need {
    /// Required where it is optional.
    fn required(self) -> Self {
        match self {
            Self::Required | Self::Optional => Self::Required,
            Self::Absent => Self::Absent,
        }
    }

    /// Required only where `condition` holds, else optional.
    fn when(self, condition: bool) -> Self {
        match self {
            Self::Required if !condition => Self::Optional,
            Self::Required | Self::Optional | Self::Absent => self,
        }
    }
}

/// Which fields the records of a step have.
struct Rule {
    environment: Need,
    release: Need,
    lock: Need,
    lock_file: Need,
    tag: Need,
    reason: Need,
}

impl Rule {
    fn of(step: Step) -> Self {
        use Need::{Absent, Optional, Required};
        let of_release = Self {
            environment: Required,
            release: Required,
            lock: Required,
            lock_file: Required,
            tag: Absent,
            reason: Optional,
        };
        match step {
            Step::LockCommit => Self { environment: Optional, release: Optional, tag: Optional, ..of_release },
            Step::Gates | Step::Health | Step::Deploy | Step::Verify | Step::Suite | Step::Proof | Step::Promote => {
                of_release
            }
            Step::Release => Self { tag: Required, ..of_release },
            Step::Rollback => Self { tag: Optional, reason: Required, ..of_release },
            Step::Reject => {
                Self { environment: Optional, release: Optional, lock_file: Optional, reason: Required, ..of_release }
            }
            Step::Hold | Step::Unhold | Step::Policy | Step::BreakLease => {
                Self { release: Optional, lock: Optional, lock_file: Optional, reason: Required, ..of_release }
            }
        }
    }
}
