use std::fmt;

use lock_model::{
    CommitId, ConfigDigest, Digest, EnvironmentName, ErrorClass, LockId, ReleaseId, SuiteDigest, SuiteName, Timestamp,
    TreeId,
};

use super::{Step, StepKey, StepResult};

/// What a record says, without its place in the chain.
///
/// Which fields a step must have is checked when the record is made ([`RecordDraft::problems`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordDraft {
    /// Where it happened; absent where it concerns all of them (a rejected lock).
    pub environment: Option<EnvironmentName>,
    /// What happened.
    pub step: Step,
    /// How it stands.
    pub result: StepResult,
    /// Lock and configuration together.
    pub release: Option<ReleaseId>,
    /// The lock's identity.
    pub lock: Option<LockId>,
    /// SHA-256 of the lock file's bytes: the subject of the statement.
    pub lock_file: Option<Digest>,
    /// The configuration's digest.
    pub config: Option<ConfigDigest>,
    /// The commit that was looked at.
    pub commit: Option<CommitId>,
    /// The tree of that commit.
    pub tree: Option<TreeId>,
    /// The suite, for a suite's record and for no other.
    pub suite: Option<SuiteRef>,
    /// The tag that a release made, a rollback returned to, or a lock was taken over under.
    pub tag: Option<String>,
    /// Who did it, in which run.
    pub run: RunIdentity,
    /// When the step began.
    pub started: Timestamp,
    /// When it ended; absent for [`StepResult::Started`] and for no other result.
    pub finished: Option<Timestamp>,
    /// Why: required for everything negative and for hold, unhold, reject and rollback.
    pub reason: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Documents that are kept beside the records, under their digest.
    pub evidence: Vec<Evidence>,
    /// What a proof rests on.
    pub proof: Option<ProofLevel>,
    /// Why nobody reviewed this lock, where nobody did.
    pub unreviewed: Option<Unreviewed>,
    /// Where the rules of the gates came from.
    pub policy: Option<PolicySource>,
}

/// One run of the program, or one job of a CI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunIdentity {
    /// The run's identity, as the CI gives it.
    pub id: String,
    /// Which attempt of that run, counted from 1.
    pub attempt: u32,
    /// Who started it.
    pub actor: String,
    /// Tells two processes apart that carry the same id and attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub nonce: Option<String>,
}

/// A suite with exactly this definition and these files.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct SuiteRef {
    /// Its name in the configuration.
    pub name: SuiteName,
    /// Its digest.
    pub digest: SuiteDigest,
}

/// A document that belongs to a record: `evidence/sha256/HEX` on the ledger's branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What it is, such as `plan.json`.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

impl Evidence {
    /// Where the document lies on the ledger's branch.
    pub fn path(&self) -> String {
        format!("evidence/sha256/{}", self.sha256.hex())
    }
}

/// What a proof rests on; a later level is the stronger one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProofLevel {
    /// What was written was read back.
    Stored,
    /// What the containers report was compared.
    Running,
}

impl ProofLevel {
    /// The word in records and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Running => "running",
        }
    }
}

impl fmt::Display for ProofLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why nobody reviewed a lock before it was committed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unreviewed {
    /// An image had changed since the review, and the new one was taken on request.
    AcceptedNew,
    /// The commit came without a pull request.
    DirectPush,
    /// It was taken over from an older pipeline, to go back to.
    Migrated,
}

impl Unreviewed {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcceptedNew => "accepted-new",
            Self::DirectPush => "direct-push",
            Self::Migrated => "migrated",
        }
    }
}

/// Where the rules of the gates came from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PolicySource {
    /// From the target branch, as it was before the change.
    Target,
    /// From the change itself, because the target had no configuration yet.
    Bootstrap,
}

impl PolicySource {
    /// The word in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Bootstrap => "bootstrap",
        }
    }
}

/// One thing that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftProblem {
    /// The step needs this field.
    Missing(&'static str),
    /// The step, or the result, has no such field.
    Unexpected(&'static str),
    /// The field's text is empty, too long, or has characters that it must not have.
    Text(&'static str),
    /// The step has no such result.
    Result,
    /// It ended before it began.
    Times,
}

impl fmt::Display for DraftProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(field) => write!(f, "`{field}` is missing"),
            Self::Unexpected(field) => write!(f, "`{field}` does not belong here"),
            Self::Text(field) => write!(f, "`{field}` is empty, too long or holds characters that it must not hold"),
            Self::Result => write!(f, "the step has no such result"),
            Self::Times => write!(f, "`finished` is before `started`"),
        }
    }
}

/// A draft that cannot become a record, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record `{step} {result}` cannot be written: {}", list(problems))]
pub struct DraftProblems {
    /// The step.
    pub step: Step,
    /// The result.
    pub result: StepResult,
    /// What is wrong, at least one.
    pub problems: Vec<DraftProblem>,
}

impl DraftProblems {
    /// Which class of failure this is: we made the draft ourselves.
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
        let finished = match result {
            StepResult::Started => None,
            StepResult::Ok | StepResult::Failed | StepResult::Refused | StepResult::Superseded => Some(now),
        };
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
            finished,
            reason: None,
            owner: None,
            evidence: Vec::new(),
            proof: None,
            unreviewed: None,
            policy: None,
        }
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

    /// What this draft is about within its cycle.
    pub fn key(&self) -> StepKey {
        match &self.suite {
            Some(suite) if self.step == Step::Suite => StepKey::Suite(suite.clone()),
            Some(_) | None => StepKey::Step(self.step),
        }
    }

    /// Everything that keeps this draft from being a record.
    pub fn problems(&self) -> Vec<DraftProblem> {
        let mut problems = Vec::new();
        let rule = Rule::of(self.step);
        let mut field = |name: &'static str, there: bool, need: Need| match (need, there) {
            (Need::Required, false) => problems.push(DraftProblem::Missing(name)),
            (Need::Absent, true) => problems.push(DraftProblem::Unexpected(name)),
            (Need::Required, true) | (Need::Absent, false) | (Need::Optional, _) => {}
        };
        let negative = match self.result {
            StepResult::Started | StepResult::Ok | StepResult::Superseded => false,
            StepResult::Failed | StepResult::Refused => true,
        };
        let ok = self.result == StepResult::Ok;
        field("environment", self.environment.is_some(), rule.environment);
        field("release", self.release.is_some(), rule.release);
        field("lock", self.lock.is_some(), rule.lock);
        field("lock_file", self.lock_file.is_some(), rule.lock_file);
        field("commit", self.commit.is_some(), rule.release);
        field("suite", self.suite.is_some(), if self.step == Step::Suite { Need::Required } else { Need::Absent });
        field("tag", self.tag.is_some(), rule.tag.when(ok));
        field(
            "proof",
            self.proof.is_some(),
            if self.step == Step::Proof { Need::Required.when(ok) } else { Need::Absent },
        );
        field("reason", self.reason.is_some(), if negative { Need::Required } else { rule.reason });
        field(
            "finished",
            self.finished.is_some(),
            if self.result == StepResult::Started { Need::Absent } else { Need::Required },
        );
        if self.result == StepResult::Started && rule.effects == Effects::None {
            problems.push(DraftProblem::Result);
        }
        if self.finished.is_some_and(|finished| finished < self.started) {
            problems.push(DraftProblem::Times);
        }
        self.text_problems(&mut problems);
        problems
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
    /// Required only where `condition` holds, else optional.
    fn when(self, condition: bool) -> Self {
        match self {
            Self::Required if !condition => Self::Optional,
            Self::Required | Self::Optional | Self::Absent => self,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effects {
    /// Asking twice changes nothing: no `started` record.
    None,
    Some,
}

/// Which fields the records of a step have.
struct Rule {
    environment: Need,
    release: Need,
    lock: Need,
    lock_file: Need,
    tag: Need,
    reason: Need,
    effects: Effects,
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
            effects: Effects::Some,
        };
        match step {
            Step::LockCommit => Self { environment: Optional, release: Optional, tag: Optional, ..of_release },
            Step::Gates | Step::Health | Step::Verify => Self { effects: Effects::None, ..of_release },
            Step::Deploy | Step::Suite | Step::Proof | Step::Promote => of_release,
            Step::Release => Self { tag: Required, ..of_release },
            Step::Rollback => Self { tag: Optional, reason: Required, ..of_release },
            Step::Reject => Self {
                environment: Optional,
                release: Optional,
                lock_file: Optional,
                reason: Required,
                effects: Effects::None,
                ..of_release
            },
            Step::Hold | Step::Unhold => Self {
                release: Optional,
                lock: Optional,
                lock_file: Optional,
                reason: Required,
                effects: Effects::None,
                ..of_release
            },
        }
    }
}
