//! The bytes of a record: an in-toto Statement, version 1, whose predicate is flat.

use lock_model::{CommitId, ConfigDigest, Digest, EnvironmentName, LockId, ReleaseId, Timestamp, TreeId};

use super::{
    Evidence, PolicySource, ProofLevel, RecordDraft, RunIdentity, Step, StepResult, SuiteRef, Unreviewed,
    record::Record,
};

pub(super) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub(super) const PREDICATE_TYPE: &str = "https://github.com/Shopifake/orchestrator/ledger-record/v1";
pub(super) const SUBJECT_NAME: &str = lock_model::LOCK_FILE;
pub(super) const VERSION: u32 = 1;

/// One record of the ledger, as it is stored: an in-toto Statement about a lock file.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LedgerRecord", title = "Ledger record")]
pub(super) struct Statement {
    /// The type of statement.
    #[serde(rename = "_type")]
    #[schemars(extend("const" = STATEMENT_TYPE))]
    pub(super) kind: String,
    /// The lock file; empty for records that concern no lock.
    #[schemars(length(max = 1))]
    pub(super) subject: Vec<Subject>,
    /// The type of the predicate.
    #[serde(rename = "predicateType")]
    #[schemars(extend("const" = PREDICATE_TYPE))]
    pub(super) predicate_type: String,
    /// What happened.
    pub(super) predicate: Predicate,
}

/// The lock file.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    /// Its path.
    #[schemars(extend("const" = SUBJECT_NAME))]
    pub(super) name: String,
    /// Its digests.
    pub(super) digest: SubjectDigest,
}

/// The lock file's digests.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectDigest {
    /// SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub(super) sha256: String,
}

/// What happened.
#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Predicate {
    /// Version of the format.
    #[schemars(extend("const" = VERSION))]
    pub(super) version: u32,
    /// Place in the total order, from 1.
    #[schemars(range(min = 1))]
    pub(super) seq: u64,
    /// SHA-256 of the record before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Digest")]
    pub(super) previous: Option<Digest>,
    /// Where it happened; absent where it concerns every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EnvironmentName")]
    pub(super) environment: Option<EnvironmentName>,
    /// What happened.
    pub(super) step: Step,
    /// How it stands.
    pub(super) result: StepResult,
    /// Identity of lock and configuration together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ReleaseId")]
    pub(super) release: Option<ReleaseId>,
    /// Identity of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LockId")]
    pub(super) lock: Option<LockId>,
    /// Digest of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConfigDigest")]
    pub(super) config: Option<ConfigDigest>,
    /// The commit that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CommitId")]
    pub(super) commit: Option<CommitId>,
    /// The tree of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TreeId")]
    pub(super) tree: Option<TreeId>,
    /// The suite, in a suite's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SuiteRef")]
    pub(super) suite: Option<SuiteRef>,
    /// The tag that a release made, a rollback returned to, or a lock was taken over under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub(super) tag: Option<String>,
    /// Who did it, in which run.
    pub(super) run: RunIdentity,
    /// When the step began.
    pub(super) started: Timestamp,
    /// When it ended; absent while it is only started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub(super) finished: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4096))]
    pub(super) reason: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256))]
    pub(super) owner: Option<String>,
    /// Documents kept under `evidence/sha256/HEX`.
    pub(super) evidence: Vec<Evidence>,
    /// What a proof rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProofLevel")]
    pub(super) proof: Option<ProofLevel>,
    /// Why nobody reviewed the lock, where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Unreviewed")]
    pub(super) unreviewed: Option<Unreviewed>,
    /// Where the rules of the gates came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PolicySource")]
    pub(super) policy: Option<PolicySource>,
}

impl From<&Record> for Statement {
    fn from(record: &Record) -> Self {
        let RecordDraft {
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
        } = record.entry.clone();
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: lock_file
                .iter()
                .map(|digest| Subject {
                    name: SUBJECT_NAME.to_owned(),
                    digest: SubjectDigest { sha256: digest.hex().to_owned() },
                })
                .collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                version: VERSION,
                seq: record.seq,
                previous: record.previous.clone(),
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
            },
        }
    }
}
