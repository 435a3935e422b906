//! Whose a namespace is, and which release is there: the Secret `orchestrator-state`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::{Connection, Kind, Object, ObjectKey};
use serde_json::{Value, json};

use super::plan::PlannedRequest;
use crate::error::DeployError;
use crate::problem::escaped;

const NAME: &str = "orchestrator-state";
/// In bytes.
const KEY_LENGTH: usize = 32;

/// What the Secret of a namespace says.
#[derive(Clone, Debug)]
pub(super) struct NamespaceState {
    secret: Object,
}

/// Another environment that a namespace belongs to.
///
/// Displayed as ``environment `staging` of `https://forge.example/shop/shop` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamespaceOwner {
    /// Address of its superproject, as it is written there.
    pub repository: String,
    /// Its name, as it is written there.
    pub environment: String,
}

impl fmt::Display for NamespaceOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment `{}` of `{}`", escaped(&self.environment), escaped(&self.repository))
    }
}

/// Who writes to a namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    /// The superproject's address.
    pub(super) repository: &'a str,
    pub(super) environment: &'a str,
}

impl NamespaceState {
    /// `None` where nothing was ever deployed to the namespace.
    pub(super) async fn read(connection: &Connection, namespace: &str) -> Result<Option<Self>, DeployError> {
        let key = ObjectKey::namespaced(Kind::new("v1", "Secret"), namespace, NAME);
        Ok(connection.find(&key).await?.map(|secret| Self { secret }))
    }

    /// A value; empty where it is missing or no text.
    pub(super) fn text(&self, key: &str) -> String {
        let data = self.secret.text(&format!("/data/{key}")).unwrap_or_default();
        BASE64.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Who else owns the namespace; `None` where it is this owner.
    pub(super) fn other_owner(&self, owner: Owner<'_>) -> Option<NamespaceOwner> {
        let (repository, environment) = (self.text("repository"), self.text("environment"));
        let is_same = repository == owner.repository && environment == owner.environment;
        (!is_same).then_some(NamespaceOwner { repository, environment })
    }

    /// Writes the owner, and what the deployment is, over what the namespace said before.
    pub(super) async fn write(
        connection: &Connection,
        before: Option<&Self>,
        owner: Owner<'_>,
        request: &PlannedRequest,
        phase: Phase,
    ) -> Result<Self, DeployError> {
        let mut data = before.and_then(|before| before.secret.at("/data").cloned()).unwrap_or_else(|| json!({}));
        for (key, text) in [("repository", owner.repository), ("environment", owner.environment)] {
            data[key] = Value::String(BASE64.encode(text));
        }
        if data.get("key").is_none() {
            // It keys digests of configuration and secrets.
            let mut key = [0; KEY_LENGTH];
            getrandom::fill(&mut key).map_err(|error| DeployError::Failed {
                subject: format!("Secret `{NAME}`"),
                action: "make its key".to_owned(),
                class: lock_model::ErrorClass::Storage,
                source: error.to_string().into(),
            })?;
            data["key"] = Value::String(BASE64.encode(key));
        }
        let mut set = |key: &str, text: &str| data[key] = Value::String(BASE64.encode(text));
        match phase {
            Phase::Begun => {}
            Phase::Done => {
                set("release", request.release.as_str());
                set("lock", request.lock.as_str());
                set("commit", request.commit.as_str());
            }
        }
        if before.is_some_and(|before| before.secret.at("/data") == Some(&data)) {
            return Ok(before.cloned().expect("it was just compared"));
        }
        let mut metadata = json!({
            "name": NAME,
            "namespace": request.namespace,
            "labels": { "app.kubernetes.io/managed-by": "orchestrator" },
        });
        let written = match before {
            None => connection.create(&secret(&metadata, &data)?).await?,
            Some(before) => {
                metadata["resourceVersion"] = before.secret.resource_version().unwrap_or_default().into();
                connection.replace(&secret(&metadata, &data)?).await?
            }
        };
        Ok(Self { secret: written })
    }
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its owner is known; nothing is said about the release.
    Begun,
    /// All of the release is there.
    Done,
}

fn secret(metadata: &Value, data: &Value) -> Result<Object, DeployError> {
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data });
    Ok(Object::new(secret)?)
}
