//! What a namespace knows of the environment that it belongs to: the Secret `orchestrator-state`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretBox};
use serde_json::json;

use crate::connection::Connection;
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};

const NAME: &str = "orchestrator-state";
/// In bytes.
const KEY_LENGTH: usize = 32;

/// To whom a namespace belongs, and the key of the digests of its secrets.
#[derive(Debug)]
#[non_exhaustive]
pub struct NamespaceState {
    /// Identity of the repository.
    pub repository: String,
    /// The name of the environment.
    pub environment: String,
    /// Keys the digests of configuration and secrets, so that equal values are seen without being known.
    pub key: StateKey,
}

/// 32 random bytes that only the namespace knows.
pub struct StateKey(SecretBox<[u8; KEY_LENGTH]>);

impl StateKey {
    /// From random bytes.
    pub fn new(bytes: [u8; KEY_LENGTH]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// For a keyed digest.
    pub fn expose(&self) -> &[u8; KEY_LENGTH] {
        self.0.expose_secret()
    }
}

/// Without the bytes.
impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey")
    }
}

impl Connection {
    /// Reads to whom a namespace belongs; `None` before the first deployment.
    pub async fn namespace_state(&self, namespace: &str) -> Result<Option<NamespaceState>, ClusterError> {
        self.find(&key(namespace)).await?.map(|secret| read(&secret)).transpose()
    }

    /// Writes to whom a namespace belongs, unless that is written already; returns what is written then.
    ///
    /// The caller compares: a namespace of another repository or environment must not be changed.
    pub async fn claim_namespace(
        &self,
        namespace: &str,
        repository: &str,
        environment: &str,
        fresh: &StateKey,
    ) -> Result<NamespaceState, ClusterError> {
        if let Some(state) = self.namespace_state(namespace).await? {
            return Ok(state);
        }
        let encoded = |text: &[u8]| STANDARD.encode(text);
        let secret = Object::new(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": { "app.kubernetes.io/managed-by": "orchestrator" },
            },
            "type": "Opaque",
            "data": {
                "repository": encoded(repository.as_bytes()),
                "environment": encoded(environment.as_bytes()),
                "key": encoded(fresh.expose()),
            },
        }))?;
        match self.create(&secret).await {
            Ok(stored) => read(&stored),
            // Another run was faster, or our own answer was lost.
            Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {
                read(&self.get(&key(namespace)).await?)
            }
            Err(error) => Err(error),
        }
    }
}

fn key(namespace: &str) -> ObjectKey {
    ObjectKey::namespaced(Kind::new("v1", "Secret"), namespace, NAME)
}

fn read(secret: &Object) -> Result<NamespaceState, ClusterError> {
    let damaged = |field: &str| {
        let reason = format!("its `{field}` is missing or damaged");
        ClusterError::new(secret.key(), ClusterErrorKind::NotAnObject { reason })
    };
    let bytes = |field: &str| {
        let text = secret.text(&format!("/data/{field}")).ok_or_else(|| damaged(field))?;
        STANDARD.decode(text).map_err(|_| damaged(field))
    };
    let text = |field: &str| String::from_utf8(bytes(field)?).map_err(|_| damaged(field));
    let key = bytes("key")?.try_into().map_err(|_| damaged("key"))?;
    Ok(NamespaceState { repository: text("repository")?, environment: text("environment")?, key: StateKey::new(key) })
}
