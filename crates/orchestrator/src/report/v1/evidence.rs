//! What the ledger keeps beside its records, for years: each document says its version.
//!
//! The bytes depend on nothing but what was found, so that the same answer twice is one document.

use std::collections::BTreeMap;

use deployer::{Dossier, UnpinnedImage};
use lock_model::{Digest, EnvironmentName, ServiceName};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that documents carry.
pub const EVIDENCE_VERSION: u32 = 1;

/// A document: its version, and what was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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

impl<T: DeserializeOwned> Evidence<T> {
    /// What a document holds; `None` where it is of another version, or is no such document.
    pub fn parse(bytes: &[u8]) -> Option<T> {
        let document: Self = serde_json::from_slice(bytes).ok()?;
        (document.version == EVIDENCE_VERSION).then_some(document.found)
    }
}

/// `unpinned-images.json`: what a promotion would deploy without that the lock decides it. A later run that would render the
/// same reads it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromotedImages {
    /// The environment that the promotion goes to.
    pub environment: EnvironmentName,
    /// What each service was rendered from, and the images that were found.
    pub services: BTreeMap<ServiceName, RenderedImages>,
    /// Why the environment would refuse to deploy it, a sentence each; empty where no reason is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// The images of one service that its lock does not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RenderedImages {
    /// Digest of what it was rendered from.
    pub inputs: Digest,
    /// The images; empty where the lock decides all of them.
    pub images: Vec<UnpinnedImage>,
}

/// `plan.json`: what a deployment changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeployedPlan {
    /// Digest of the plan: equal plans have equal digests.
    pub plan: Digest,
    /// What it changed.
    pub changes: Vec<deployer::Change>,
    /// What people should know about it, such as the fields of other programs that it took over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `dossier.json`: what is known of a deployment that did not come through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailedDeployment {
    /// How it ended, and why, from the outside in.
    pub reasons: Vec<String>,
    /// What is not ready, and what was and was not changed.
    #[serde(flatten)]
    pub dossier: Dossier,
}
