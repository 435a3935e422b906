//! The bytes of a record: an in-toto Statement, version 1, whose predicate is flat.

use lock_model::{Digest, canonical_json};
use serde_json::{Map, Value};

use crate::{Record, RecordDraft, RecordError};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://github.com/Shopifake/orchestrator/ledger-record/v1";
const SUBJECT_NAME: &str = lock_model::LOCK_FILE;
pub(super) const VERSION: u32 = 1;

/// One record of the ledger, as it is stored: an in-toto Statement about a lock file.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LedgerRecord", title = "Ledger record")]
struct Statement<P> {
    /// The type of statement.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    kind: String,
    /// The lock file; empty for records that concern no lock.
    #[schemars(length(max = 1))]
    subject: Vec<Subject>,
    /// The type of the predicate.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = PREDICATE_TYPE))]
    predicate_type: String,
    /// What happened.
    predicate: P,
}

/// The lock file.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Subject {
    /// Its path.
    #[schemars(extend("const" = SUBJECT_NAME))]
    name: String,
    /// Its digests.
    digest: SubjectDigest,
}

/// The lock file's digests.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct SubjectDigest {
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    sha256: String,
}

/// What happened.
#[derive(serde::Serialize, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Predicate {
    /// Version of the format.
    #[schemars(extend("const" = VERSION))]
    version: u32,
    /// Place in the total order, from 1.
    #[schemars(range(min = 1))]
    seq: u64,
    /// SHA-256 of the record before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Digest")]
    previous: Option<Digest>,
    #[serde(flatten)]
    entry: RecordDraft,
}

/// JSON Schema of a record's file, for editors and other readers.
pub fn record_schema() -> Value {
    schemars::schema_for!(Statement<Predicate>).to_value()
}

/// The record's bytes: canonical JSON and a line feed.
pub(super) fn to_json(record: &Record) -> Vec<u8> {
    let Record { seq, previous, entry } = record.clone();
    let subject = entry.lock_file.iter().map(|digest| Subject {
        name: SUBJECT_NAME.to_owned(),
        digest: SubjectDigest { sha256: digest.hex().to_owned() },
    });
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: subject.collect(),
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: Predicate { version: VERSION, seq, previous, entry },
    };
    let mut bytes = canonical_json(&statement).expect("a record holds strings and integers");
    bytes.push(b'\n');
    bytes
}

/// Decodes a statement. Whether its bytes are canonical and its fields agree is for the caller to check.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
    check_version(bytes)?;
    let statement: Statement<Map<String, Value>> = serde_json::from_slice(bytes).map_err(unreadable)?;
    let Statement { kind, subject, predicate_type, mut predicate } = statement;
    if kind != STATEMENT_TYPE {
        return Err(RecordError::OtherType { found: kind });
    }
    if predicate_type != PREDICATE_TYPE {
        return Err(RecordError::OtherType { found: predicate_type });
    }
    // Another name than SUBJECT_NAME is not canonical: the caller compares the bytes.
    let lock_file = match subject.as_slice() {
        [] => None,
        [subject] => {
            let text = format!("sha256:{}", subject.digest.sha256);
            Some(Digest::try_from(text).map_err(|_| RecordError::NotCanonical)?)
        }
        [_, _, ..] => return Err(RecordError::NotCanonical),
    };
    predicate.remove("version");
    let mut take = |name: &str| predicate.remove(name).unwrap_or(Value::Null);
    let seq = serde_json::from_value(take("seq")).map_err(unreadable)?;
    let previous = serde_json::from_value(take("previous")).map_err(unreadable)?;
    let entry: RecordDraft = serde_json::from_value(Value::Object(predicate)).map_err(unreadable)?;
    Ok(Record { seq, previous, entry: RecordDraft { lock_file, ..entry } })
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
    let only: OnlyPredicate = serde_json::from_slice(bytes).map_err(unreadable)?;
    let found = only.predicate.version;
    if found == u64::from(VERSION) { Ok(()) } else { Err(RecordError::UnknownVersion { found }) }
}

fn unreadable(error: serde_json::Error) -> RecordError {
    RecordError::Unreadable(error.into())
}
