use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};
use crate::error::ErrorKind;

/// `forge init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ForgeInitReport {
    /// Path of the folder with the forge's files.
    pub forge: String,
    /// Whether it was made now.
    pub created: bool,
    /// What was changed of a forge that was there, a line each: `+`, `-` or `~`, then a user, branch or pattern.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What to do before people can work, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for ForgeInitReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `forge hook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct UpdateVerdictReport {
    /// The ref that a push moves.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What the forge says about it.
    pub verdict: String,
    /// Whether the push may go on.
    pub allowed: bool,
    /// Whether it passes a rule that was bypassed.
    pub bypassed: bool,
}

impl Report for UpdateVerdictReport {
    fn verdict(&self) -> Verdict {
        if self.allowed { Verdict::Positive } else { Verdict::Negative(ErrorKind::Denied) }
    }
}
