//! What the ledger keeps beside its records, for years: each document says its version.
//!
//! The bytes depend on nothing but what was found, so that the same answer twice is one document.

use lock_model::Digest;
use schemars::JsonSchema;
use serde::Serialize;

/// The version that documents carry.
pub const EVIDENCE_VERSION: u32 = 1;

/// A document: its version, and what was found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Evidence<T> {
    version: u32,
    #[serde(flatten)]
    found: T,
}

impl<T: Serialize> Evidence<T> {
    /// A document of the present version.
    pub fn new(found: T) -> Self {
        Self { version: EVIDENCE_VERSION, found }
    }

    /// The bytes that the ledger keeps.
    ///
    /// # Panics
    ///
    /// Where `T` cannot be written as JSON, which none of this crate's documents can.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("evidence is plain data");
        bytes.push(b'\n');
        bytes
    }
}

/// `plan.json`: what a deployment changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeployedPlan {
    /// Digest of the plan: equal plans have equal digests.
    pub plan: Digest,
    /// What it changed.
    pub changes: Vec<deployer::Change>,
}
