use lock_model::{CommitId, Digest, EnvironmentName, LockId, ReleaseId, ServiceName};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{NotJudged, Report, Verdict};

/// `plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PlanReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// Id of the release: lock and configuration together.
    pub release: ReleaseId,
    /// Id of the release's lock.
    pub lock: LockId,
    /// The commit of the superproject.
    pub commit: CommitId,
    /// Digest of the plan: equal plans have equal digests.
    pub plan: Digest,
    /// What would change; empty where nothing would.
    pub changes: Vec<deployer::Change>,
    /// Images that the lock does not pin.
    pub unpinned: Vec<deployer::UnpinnedImage>,
    /// Locked services that the environment does not deploy.
    pub not_deployed: Vec<NotDeployedService>,
    /// What could not be judged here, and why; empty where a forge answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
    /// What people should know before they deploy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for PlanReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// A service that is locked and not deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NotDeployedService {
    /// Name of the service.
    pub service: ServiceName,
    /// The declared reason.
    pub reason: String,
}

/// `verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// The release that was deployed there last.
    pub release: ReleaseId,
    /// Id of the release's lock.
    pub lock: LockId,
    /// What was found.
    pub proof: deployer::Proof,
}

impl Report for VerifyReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.proof.is_proven())
    }
}
