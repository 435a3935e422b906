//! What a plan changes, for reviewers: objects field by field, settings key by key, hooks, and what needs a second look.
//!
//! Live objects are compared with what the API server would make of them, so that neither defaults nor what controllers
//! write shows up. Values of Secrets are shown as markers: an HMAC under the key of the namespace, equal for equal values.

mod fields;
mod masking;
mod objects;
mod reasons;
mod risks;

use std::collections::BTreeSet;

use lock_model::ServiceName;
use serde_json::Value;

use crate::plan::ChangeKind;

pub(crate) use fields::{changed_fields, field, without_removed};
pub(crate) use masking::Masking;
pub(crate) use objects::{DiffedObject, object_change};
pub(crate) use reasons::value_reasons;
pub(crate) use risks::{hook_risks, is_migration, what_becomes_of_pods};

/// What a deployment changes of one service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServiceChanges {
    /// The service.
    pub service: ServiceName,
    /// The wave that it is deployed in, counted from 1.
    pub wave: usize,
    /// Why anything changes; empty where nothing does.
    pub reasons: BTreeSet<ChangeReason>,
    /// The objects that change, those that are settings first. Settings that the namespace has already and that take the
    /// place of others count as changed.
    pub objects: Vec<ObjectChange>,
    /// The hooks that run, those before the objects first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<PlannedHook>,
}

impl ServiceChanges {
    /// Whether the deployment changes anything of the service.
    pub fn changes(&self) -> bool {
        !self.reasons.is_empty() || !self.objects.is_empty()
    }
}

/// Why a deployment changes a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeReason {
    /// It is not deployed yet.
    New,
    /// Its helm release was made by other hands, and becomes ours.
    TakenOver,
    /// Another image.
    Image,
    /// Another chart.
    Chart,
    /// Other values for its chart, apart from images and the names of settings.
    Values,
    /// Other manifests.
    Manifests,
    /// Other configuration.
    Configuration,
    /// Other secrets.
    Secrets,
    /// Its objects were edited or deleted in the cluster.
    Cluster,
    /// Other programs own fields of its objects, which become ours with the values that they have.
    Ownership,
    /// Its last deployment did not come to its end.
    Unfinished,
    /// It left the lock or what is deployed, and goes.
    Left,
}

impl ChangeReason {
    /// The word for it, as reports write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::TakenOver => "taken over",
            Self::Image => "image",
            Self::Chart => "chart",
            Self::Values => "values",
            Self::Manifests => "manifests",
            Self::Configuration => "configuration",
            Self::Secrets => "secrets",
            Self::Cluster => "edited in the cluster",
            Self::Ownership => "owners of fields",
            Self::Unfinished => "not finished",
            Self::Left => "not deployed any more",
        }
    }
}

/// One object that a deployment adds, removes or changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ObjectChange {
    /// `Kind/name`.
    pub object: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The fields that become others; empty for an object that is removed, and for one that is added unless it holds
    /// settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// What needs a second look.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub risks: BTreeSet<Risk>,
}

/// One field that becomes another.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FieldChange {
    /// Such as `spec.template.spec.containers[name=app].image`.
    pub path: String,
    /// The value now; absent where the field is new. Of a Secret a marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value afterwards; absent where the field goes. Of a Secret a marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// A hook of a chart that runs when it is deployed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PlannedHook {
    /// `Kind/name`.
    pub object: String,
    /// Whether it runs before the objects of the chart are written, or after.
    pub before: bool,
    /// What needs a second look.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub risks: BTreeSet<Risk>,
}

/// What reviewers should look at twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// The object is deleted.
    Deletion,
    /// It is a volume claim, or names one that it did not name.
    Volume,
    /// It defines a kind: objects of that kind depend on it.
    Definition,
    /// It migrates data.
    Migration,
    /// Its pods are replaced.
    Rollout,
    /// Its pods stay as they are until they are deleted by hand, and only then become what is deployed.
    OnDelete,
    /// The same, since it is a set of pods that nothing rolls out.
    ReplicaSet,
    /// The pods of a `StatefulSet` whose numbers are below its partition stay as they are.
    Partition,
}

impl Risk {
    /// What reports write of it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Deletion => "is deleted",
            Self::Volume => "concerns a volume",
            Self::Definition => "defines a kind",
            Self::Migration => "migrates data",
            Self::Rollout => "pods are replaced",
            Self::OnDelete => "pods stay until they are deleted by hand (`OnDelete`)",
            Self::ReplicaSet => "pods stay until they are deleted by hand (a `ReplicaSet` replaces none)",
            Self::Partition => "pods with numbers below the `partition` stay",
        }
    }
}
