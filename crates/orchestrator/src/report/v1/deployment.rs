use std::collections::BTreeSet;

use deployer::{NotDeployed, Plan};
use lock_model::{CommitId, Digest, EnvironmentName, LockId, ReleaseId, ServiceName};
use schemars::JsonSchema;
use serde::Serialize;

use super::merge_plan::SharedProblem;
use super::plan_marks::{PlannedMigration, QuotaUse};
use super::verdict::{NotJudged, Report, Verdict};
use crate::engine::Planning;
use crate::plan_marks::PlanMarks;
use crate::unpinned_images;

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
    /// The commit of the superproject; for a pull request the merge that the forge would make.
    pub commit: CommitId,
    /// The pull request whose merge was planned; absent for a commit of the environment's branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// Digest of the plan: equal plans have equal digests. Absent where `not_checked` says why nothing could be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// Whether anything would change; absent where nothing could be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_changes: Option<bool>,
    /// What would change; empty where nothing would, or nothing could be compared.
    pub changes: Vec<deployer::Change>,
    /// The same for reviewers: what changes each service and why, field by field. Values of secrets are markers, equal for
    /// equal values in one namespace. Absent for the target `render`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<deployer::ServiceChanges>,
    /// Fields that differ and that are left out of these, since the environment calls them noise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<deployer::NoisyField>,
    /// What becomes of each quota of the namespace that the deployment needs something of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaUse>,
    /// The services that get another version and that `migrations:` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<PlannedMigration>,
    /// Images that the lock does not pin.
    pub unpinned: Vec<deployer::UnpinnedImage>,
    /// Locked services that the environment does not deploy.
    pub not_deployed: Vec<NotDeployedService>,
    /// What could not be judged here, and why; empty where a forge answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_judged: Vec<NotJudged>,
    /// What only the deployment itself can find out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<SharedProblem>,
    /// What people should know before they deploy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The file that the plan was written into, for `deploy --plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
}

impl PlanReport {
    /// What a plan says; none where nothing could be compared.
    pub(crate) fn new(planned: &Planning<'_>, plan: Option<Plan>, not_deployed: Vec<NotDeployed>) -> Self {
        let digest = plan.as_ref().map(|plan| plan.digest.clone());
        let has_changes = plan.as_ref().map(Plan::has_changes);
        let missing = plan.as_ref().map(|plan| plan.references.missing.iter().map(ToString::to_string).collect());
        let missing: Vec<String> = missing.unwrap_or_default();
        let (changes, services, unpinned, noise, notes) = plan
            .map(|plan| (plan.changes, plan.services, plan.unpinned_images, plan.noise, plan.notes))
            .unwrap_or_default();
        let skipped = |one: NotDeployed| NotDeployedService { service: one.name, reason: one.reason };
        Self {
            environment: planned.environment.name.clone(),
            release: planned.release.clone(),
            lock: planned.lock.id().clone(),
            commit: planned.revision.commit.clone(),
            pull_request: None,
            plan: digest,
            has_changes,
            changes,
            services,
            noise,
            quotas: Vec::new(),
            migrations: Vec::new(),
            warnings: unpinned.iter().map(unpinned_images::warning).chain(notes).chain(missing).collect(),
            unpinned,
            not_deployed: not_deployed.into_iter().map(skipped).collect(),
            not_judged: Vec::new(),
            not_checked: Vec::new(),
            saved: None,
        }
    }

    pub(crate) fn with_marks(self, marks: PlanMarks) -> Self {
        let PlanMarks { quotas, migrations, objects: _, unknown } = marks;
        let warnings = self.warnings.into_iter().chain(unknown).collect();
        Self { quotas, migrations, warnings, ..self }
    }
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

/// `drift`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DriftReport {
    /// The environment, as the configuration names it.
    pub environment: EnvironmentName,
    /// The release that was deployed there last.
    pub release: ReleaseId,
    /// Id of the release's lock.
    pub lock: LockId,
    /// Whether what is there is what the lock says.
    pub proof: deployer::Proof,
    /// What deploying the same release again would change: files or objects that are gone, edited, or there besides.
    pub changes: Vec<deployer::Change>,
    /// The same field by field, for each service that differs: before is what is there, after what was deployed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<deployer::ServiceChanges>,
    /// What others wrote into the objects, which deploying again leaves as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_fields: Vec<deployer::ForeignFields>,
    /// Fields that differ and that are left out, since the environment calls them noise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noise: Vec<deployer::NoisyField>,
    /// Why deploying the same release again would be refused, for what others did to its objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// How the settings that this command was given differ from those that are deployed; after a rollback they are not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
}

impl DriftReport {
    /// The services of which something differs that deploying again would leave as it is.
    pub fn not_put_back(&self) -> BTreeSet<&ServiceName> {
        let changing: BTreeSet<&ServiceName> =
            self.changes.iter().filter_map(|change| change.service.as_ref()).collect();
        let found = self.proof.findings.iter().filter(|finding| !finding.kind.is_added_container());
        found.filter_map(|finding| finding.service.as_ref()).filter(|service| !changing.contains(service)).collect()
    }

    /// Whether deploying again would put back what its plan changes.
    pub fn is_put_back(&self) -> bool {
        self.refused.is_empty() && !self.changes.is_empty()
    }
}

impl Report for DriftReport {
    fn verdict(&self) -> Verdict {
        let is_as_planned = self.changes.is_empty()
            && self.foreign_fields.is_empty()
            && self.refused.is_empty()
            && self.moved.is_none();
        Verdict::of(self.proof.is_proven() && is_as_planned)
    }
}

impl Report for VerifyReport {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.proof.is_proven())
    }
}
