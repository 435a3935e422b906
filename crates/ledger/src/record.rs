use lock_model::{Digest, ErrorClass, canonical_json};

use super::wire::{PREDICATE_TYPE, STATEMENT_TYPE, SUBJECT_NAME, Statement, VERSION};
use super::{DraftProblems, RecordDraft};

/// The largest record that is read.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// One record of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the total order, from 1.
    pub seq: u64,
    /// Digest of the bytes of the record before; absent in the first.
    pub previous: Option<Digest>,
    /// What it says.
    pub entry: RecordDraft,
}

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Larger than any record is.
    #[error("the record is larger than {MAX_RECORD_BYTES} bytes")]
    TooLarge,
    /// Written by a newer program.
    #[error("the record has version {found}, this program reads version {VERSION}")]
    UnknownVersion {
        /// What the record says.
        found: u64,
    },
    /// Not JSON, or not of this shape.
    #[error("the record cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// Another kind of statement.
    #[error("the statement is of type `{found}`")]
    OtherType {
        /// What it says it is.
        found: String,
    },
    /// Its fields contradict each other.
    #[error("the record contradicts itself")]
    Inconsistent(#[source] DraftProblems),
    /// The same content is written differently: somebody edited it.
    #[error("the record is not in the form that is written")]
    NotCanonical,
}

impl RecordError {
    /// Which class of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TooLarge
            | Self::UnknownVersion { .. }
            | Self::Unreadable(_)
            | Self::OtherType { .. }
            | Self::Inconsistent(_)
            | Self::NotCanonical => ErrorClass::Invalid,
        }
    }
}

impl Record {
    /// The record's bytes: canonical JSON and a line feed.
    pub fn statement(&self) -> Vec<u8> {
        let mut bytes = canonical_json(&Statement::from(self)).expect("a record holds strings and integers");
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Record::statement`] wrote, and nothing else.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLarge);
        }
        check_version(bytes)?;
        let statement: Statement = serde_json::from_slice(bytes).map_err(RecordError::Unreadable)?;
        let record = Self::from_statement(statement)?;
        let problems = record.entry.problems();
        if !problems.is_empty() {
            let (step, result) = (record.entry.step, record.entry.result);
            return Err(RecordError::Inconsistent(DraftProblems { step, result, problems }));
        }
        if record.statement() == bytes { Ok(record) } else { Err(RecordError::NotCanonical) }
    }

    /// Where the record lies on the ledger's branch: `records/000007-staging-deploy-ok.json`, with `_` in place of
    /// an environment where there is none.
    pub fn file_name(&self) -> String {
        let environment = self.entry.environment.as_ref().map_or("_", |name| name.as_str());
        format!("records/{:06}-{environment}-{}-{}.json", self.seq, self.entry.step, self.entry.result)
    }

    fn from_statement(statement: Statement) -> Result<Self, RecordError> {
        let Statement { kind, subject, predicate_type, predicate } = statement;
        if kind != STATEMENT_TYPE {
            return Err(RecordError::OtherType { found: kind });
        }
        if predicate_type != PREDICATE_TYPE {
            return Err(RecordError::OtherType { found: predicate_type });
        }
        let lock_file = match subject.as_slice() {
            [] => None,
            [subject] if subject.name == SUBJECT_NAME => Some(
                Digest::try_from(format!("sha256:{}", subject.digest.sha256)).map_err(|_| RecordError::NotCanonical)?,
            ),
            [_, ..] => return Err(RecordError::NotCanonical),
        };
        let super::wire::Predicate {
            version: _,
            seq,
            previous,
            environment,
            step,
            result,
            release,
            lock,
            config,
            commit,
            tree,
            suite,
            tag,
            run,
            started,
            finished,
            reason,
            owner,
            evidence,
            proof,
            unreviewed,
            policy,
        } = predicate;
        Ok(Self {
            seq,
            previous,
            entry: RecordDraft {
                environment,
                step,
                result,
                release,
                lock,
                lock_file,
                config,
                commit,
                tree,
                suite,
                tag,
                run,
                started,
                finished,
                reason,
                owner,
                evidence,
                proof,
                unreviewed,
                policy,
            },
        })
    }
}

/// The version is read before anything else, so that a newer record is not called broken.
fn check_version(bytes: &[u8]) -> Result<(), RecordError> {
    #[derive(serde::Deserialize)]
    struct OnlyPredicate {
        predicate: OnlyVersion,
    }
    #[derive(serde::Deserialize)]
    struct OnlyVersion {
        version: u64,
    }
    let only: OnlyPredicate = serde_json::from_slice(bytes).map_err(RecordError::Unreadable)?;
    let found = only.predicate.version;
    if found == u64::from(VERSION) { Ok(()) } else { Err(RecordError::UnknownVersion { found }) }
}
