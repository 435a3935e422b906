use lock_model::{Digest, ErrorClass, Timestamp};

use crate::wire::{self, VERSION};
use crate::{DraftProblems, RecordDraft, Step, StepResult};

/// Records with more bytes are refused.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// One record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its place in the total order, from 1.
    pub seq: u64,
    /// SHA-256 of the bytes of the record before; absent in the first.
    pub previous: Option<Digest>,
    /// What it says.
    pub entry: RecordDraft,
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The bytes are more than [`MAX_RECORD_BYTES`].
    #[error("the record is larger than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// A newer program wrote it.
    #[error("the record has version {found}, this program reads version {VERSION}")]
    UnknownVersion {
        /// The version in the record.
        found: u64,
    },
    /// The bytes are not JSON, or have other fields than a record.
    #[error("the record cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The statement, or its predicate, is of another type.
    #[error("the statement is of type `{found}`")]
    OtherType {
        /// The type that it names.
        found: String,
    },
    /// Its fields contradict each other.
    #[error("the record contradicts itself")]
    Inconsistent(#[source] DraftProblems),
    /// The same content is written differently: the file was edited.
    #[error("the record is not in the form that is written")]
    NotCanonical,
}

impl RecordError {
    /// Always [`ErrorClass::Invalid`]: the bytes stay what they are.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Record {
    /// The record's bytes: an in-toto statement as canonical JSON, and a line feed.
    pub fn to_json(&self) -> Vec<u8> {
        wire::to_json(self)
    }

    /// Parses what [`Record::to_json`] wrote, and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        let record = wire::decode(bytes)?;
        record.entry.check().map_err(RecordError::Inconsistent)?;
        if record.to_json() == bytes { Ok(record) } else { Err(RecordError::NotCanonical) }
    }

    /// Where the record lies on the ledger's branch: `records/000/000007-staging-deploy-ok.json`, with `_` in place of
    /// an environment where there is none. A folder holds the records of one thousand numbers, so that adding one
    /// writes small trees however long the ledger is.
    pub fn file_name(&self) -> String {
        format!("records/{:03}/{}.json", self.seq / 1000, self.title())
    }

    /// Number, environment, step and result: `000007-staging-deploy-ok`.
    pub fn title(&self) -> String {
        let environment = self.entry.environment.as_ref().map_or("_", |name| name.as_str());
        format!("{:06}-{environment}-{}-{}", self.seq, self.entry.step, self.entry.result)
    }

    /// When the step ended; when it began, where it is only started.
    pub fn recorded_at(&self) -> Timestamp {
        self.entry.finished.unwrap_or(self.entry.started)
    }

    /// Whether the record is about this step and has this result.
    pub fn is(&self, step: Step, result: StepResult) -> bool {
        self.entry.step == step && self.entry.result == result
    }

    /// Whether the record says that its release is, or is about to be, what the environment holds.
    pub fn occupies_environment(&self) -> bool {
        self.entry.step.replaces_release() && self.entry.result.may_have_had_effect()
    }

    /// Whether this is a rollback's first record, which opens a deployment cycle and holds the environment.
    pub fn opens_rollback(&self) -> bool {
        self.is(Step::Rollback, StepResult::Started)
    }

    /// Whether a forge takes such a record from a bot alone, whatever was recorded before. The gates of a person's rollback
    /// are judged by no rules, so that their record names none.
    pub(crate) fn is_of_a_bot(&self) -> bool {
        match self.entry.step {
            Step::LockCommit | Step::Promote | Step::Release => true,
            Step::Gates => self.entry.policy.is_some(),
            Step::Health
            | Step::Deploy
            | Step::Verify
            | Step::Suite
            | Step::Proof
            | Step::Reject
            | Step::Hold
            | Step::Unhold
            | Step::Rollback
            | Step::Policy
            | Step::BreakLease => false,
        }
    }

    /// Whether the record says that a release does not do, or is not, what a proof said of it.
    pub fn withdraws_proof(&self) -> bool {
        self.entry.result == StepResult::Failed && matches!(self.entry.step, Step::Suite | Step::Verify)
    }

    /// The reason, which every negative record and every record of a decision has.
    pub(crate) fn reason(&self) -> String {
        self.entry.reason.clone().unwrap_or_default()
    }
}
