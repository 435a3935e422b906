use lock_model::ServiceName;
use schemars::JsonSchema;
use serde::Serialize;

/// What a deployment does to one resource of a quota; amounts as Kubernetes writes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct QuotaUse {
    /// The name of the `ResourceQuota`.
    pub quota: String,
    /// As the quota names it: `limits.memory`.
    pub resource: String,
    /// What the quota allows.
    pub hard: String,
    /// What is used now.
    pub used: String,
    /// What is used at the highest moment, while old and new pods are there.
    pub highest: String,
    /// What is used once everything is deployed.
    pub after: String,
    /// By how much the quota is too small; absent where it is large enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// A service that gets another version and that `migrations:` of the environment names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PlannedMigration {
    /// The service.
    pub service: ServiceName,
    /// Whether a rollback behind it is refused.
    pub irreversible: bool,
}

/// An object whose change needs a second look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MarkedObject {
    /// The service.
    pub service: ServiceName,
    /// `Kind/name`.
    pub object: String,
    /// Why: never only that pods are replaced.
    pub risks: Vec<deployer::Risk>,
}

impl QuotaUse {
    /// One line about it.
    pub fn sentence(&self) -> String {
        let Self { quota, resource, hard, used, highest, after, missing } = self;
        let missing = missing.as_ref().map(|missing| format!(", {missing} missing")).unwrap_or_default();
        format!(
            "quota {quota}: {resource} {used} of {hard} used, at most {highest} while it is deployed, {after} afterwards{missing}"
        )
    }
}

impl PlannedMigration {
    /// One line about it.
    pub fn sentence(&self) -> String {
        let word = if self.irreversible { ", which cannot be taken back" } else { "" };
        format!("{} migrates its data{word}", self.service)
    }
}

impl MarkedObject {
    /// One line about it.
    pub fn sentence(&self) -> String {
        let risks: Vec<&str> = self.risks.iter().map(|risk| risk.text()).collect();
        format!("{}: {} {}", self.service, self.object, risks.join(", "))
    }
}
