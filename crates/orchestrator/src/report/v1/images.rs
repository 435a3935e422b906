use lock_model::{ServiceName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};
use crate::error::ErrorKind;

/// `images explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ImagesExplainReport {
    /// Name of the service.
    pub service: ServiceName,
    /// Whether the service has an image at all, or is configuration only.
    pub has_image: bool,
    /// What was looked for, in order.
    pub tried: Vec<ImageAttempt>,
    /// The image that would be locked; absent where none can be.
    pub taken: Option<TakenImage>,
    /// Why none is taken, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Where the logins came from that registries asked for; never the logins.
    pub logins: Vec<String>,
    /// What should have given a login and did not, and what is odd about the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(skip)]
    pub(crate) failure: Option<ErrorKind>,
}

/// One candidate of a service's image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ImageAttempt {
    /// The image reference.
    pub reference: String,
    /// What the registry answered.
    pub answer: String,
}

/// The image that would be locked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TakenImage {
    /// Repository, tag and digest.
    pub reference: String,
    /// What it says about its commit, such as `self-asserted`.
    pub revision: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Report for ImagesExplainReport {
    fn verdict(&self) -> Verdict {
        self.failure.map_or(Verdict::Positive, Verdict::Negative)
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
