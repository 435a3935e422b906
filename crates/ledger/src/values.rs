use lock_model::{CommitId, Digest, ReleaseId, SuiteDigest, SuiteName};

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

impl RunIdentity {
    /// The first attempt of a run, without a nonce.
    pub fn new(id: impl Into<String>, actor: impl Into<String>) -> Self {
        Self { id: id.into(), attempt: 1, actor: actor.into(), nonce: None }
    }
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

lock_model::words! {
    /// What a proof rests on; a later level is the stronger one.
    ProofLevel, "proof level" {
        /// What was written was read back.
        Stored = "stored",
        /// What the containers report was compared.
        Running = "running",
    }
}

lock_model::words! {
    /// Why a lock was committed without a review.
    Unreviewed, "reason for a missing review" {
        /// An image had changed since the review, and the new one was taken on request.
        AcceptedNew = "accepted-new",
        /// The commit came without a pull request.
        DirectPush = "direct-push",
        /// It was taken over from an older pipeline, to go back to.
        Migrated = "migrated",
    }
}

lock_model::words! {
    /// Where the rules of the gates came from.
    PolicySource, "source of a policy" {
        /// From the newest commit of the branch whose gates passed.
        Passed = "passed",
        /// From the commit that an administrator accepted.
        Accepted = "accepted",
        /// From the commit before the change: no gates of the environment have passed yet.
        Parent = "parent",
        /// From the change itself, because the branch had no configuration yet.
        Bootstrap = "bootstrap",
    }
}

/// The rules that a change is judged by.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Why these rules hold.
    pub source: PolicySource,
    /// The commit whose configuration has them; absent where they are the change's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CommitId")]
    pub commit: Option<CommitId>,
}

/// What a decision of a person lets pass that would be refused without it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Accepts {
    /// This commit's configuration holds the rules from now on.
    Commit(CommitId),
    /// This release may be deployed again.
    Release(ReleaseId),
    /// The environment may write to this place, which belonged to another one.
    Place(String),
}
