//! `release.yaml`: the file of a rendered tree that says which release it is.
//!
//! It is a `ConfigMap`, so that whatever applies the tree applies it too, and a cluster can be asked what it runs.

use lock_model::{CommitId, LockId};
use serde_json::{Map, Value, json};

use super::tree::RenderedTree;
use crate::manifest::{self, ObjectId};
use crate::problem::escaped;
use crate::request::DeployRequest;

/// Path of the record in the tree.
pub const RELEASE_FILE: &str = "release.yaml";

const RECORD_NAME: &str = "orchestrator-release";

/// Which release a rendered tree is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct ReleaseRecord {
    /// Name of the environment, as it is written there.
    pub environment: String,
    /// Release id, as it is written there.
    pub release: String,
    /// The lock.
    pub lock: LockId,
    /// Commit of the superproject that was deployed first with this release.
    pub commit: CommitId,
}

impl RenderedTree {
    /// Reads the tree's record; none when there is no readable one.
    pub fn record(&self) -> Option<ReleaseRecord> {
        ReleaseRecord::parse(self.files.get(RELEASE_FILE)?)
    }
}

impl ReleaseRecord {
    /// Parses the file; none when it is no such record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let documents = manifest::parse(bytes).ok()?;
        let [document] = documents.as_slice() else { return None };
        let id = ObjectId::of(&document.object).ok()?;
        if id.kind != "ConfigMap" || id.name != RECORD_NAME {
            return None;
        }
        let data = document.object.get("data")?;
        let text = |key: &str| data.get(key).and_then(Value::as_str);
        Some(Self {
            environment: text("environment")?.to_owned(),
            release: text("release")?.to_owned(),
            lock: text("lock")?.try_into().ok()?,
            commit: text("commit")?.try_into().ok()?,
        })
    }
}

/// Which object the record is.
pub(super) fn object_id(namespace: &str) -> ObjectId {
    ObjectId {
        group: String::new(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: RECORD_NAME.to_owned(),
    }
}

/// The record of a request, as an object; `commit` is the request's or, for the same release, the one recorded first.
pub(super) fn object(request: &DeployRequest, commit: &CommitId) -> Map<String, Value> {
    let mut deployed: Vec<String> = request
        .services
        .iter()
        .map(|service| match &service.image {
            Some(pin) => format!("{} {pin}\n", service.name),
            None => format!("{} configuration\n", service.name),
        })
        .collect();
    deployed.sort();
    let mut not_deployed: Vec<String> = request
        .not_deployed
        .iter()
        .map(|service| format!("{} ({})\n", service.name, escaped(&service.reason)))
        .collect();
    not_deployed.sort();
    let value = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": RECORD_NAME, "namespace": request.namespace },
        "data": {
            "environment": request.environment.as_str(),
            "release": request.release.as_str(),
            "lock": request.lock.as_str(),
            "commit": commit.as_str(),
            "deployed": deployed.concat(),
            "not-deployed": not_deployed.concat(),
        },
    });
    let Value::Object(object) = value else { unreachable!("the macro was given a map") };
    object
}
