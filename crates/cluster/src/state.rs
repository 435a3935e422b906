//! What a namespace knows of the environment that it belongs to: the Secret `orchestrator-state`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretBox};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::error::{ClusterError, ClusterErrorKind};
use crate::object::{Kind, Object, ObjectKey};

const NAME: &str = "orchestrator-state";
/// How many deployments it remembers: as many as helm keeps revisions, and ten releases before them.
const HISTORY: usize = 20;
/// In bytes.
const KEY_LENGTH: usize = 32;

/// To whom a namespace belongs, what was deployed there, and the key of the digests of its secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct NamespaceState {
    /// To whom it belongs.
    pub owner: NamespaceOwner,
    /// What was deployed there completely, as the last deployment wrote it; `None` before the first one.
    pub deployed: Option<DeployedRelease>,
    /// The deployments before, and that one, from the newest: each with the configuration that it had.
    pub history: Vec<DeployedRelease>,
    /// By label, the Jobs of controllers that deployments wait for.
    pub jobs: BTreeMap<String, KnownJobs>,
    /// Whether that list is missing, unreadable or another one than that of the last deployment.
    pub is_history_damaged: bool,
    /// Keys the digests of configuration and secrets, so that equal values are seen without being known.
    pub key: StateKey,
    secret: Object,
}

/// Shows neither the key nor the Secret that it was read from.
impl fmt::Debug for NamespaceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, deployed, .. } = self;
        f.debug_struct("NamespaceState").field("owner", owner).field("deployed", deployed).finish_non_exhaustive()
    }
}

/// The environment that a namespace belongs to.
///
/// Displayed as ``environment `staging` of `https://forge.example/shop/shop` ``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceOwner {
    /// Identity of the repository: the address of its superproject.
    pub repository: String,
    /// The name of the environment.
    pub environment: String,
}

impl fmt::Display for NamespaceOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| lock_model::escaping::escape_short(text, 200);
        write!(f, "environment `{}` of `{}`", shown(&self.environment), shown(&self.repository))
    }
}

/// A release that all of is in a namespace; the texts are as they are written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployedRelease {
    /// Its id.
    pub release: String,
    /// Id of its lock.
    pub lock: String,
    /// Commit of the superproject.
    pub commit: String,
    /// A keyed digest over the configuration and the secrets that it was given; empty where it was given none.
    pub inputs: String,
    /// The name of each service's configuration.
    pub configurations: BTreeMap<String, String>,
    /// The name of the Secret of each service; a rollback does not bring it back.
    pub secrets: BTreeMap<String, String>,
    /// By service, helm's number of the revision that was waited for, where it has Jobs that Kubernetes deletes after their end.
    pub revisions: BTreeMap<String, u64>,
}

/// What is known of the Jobs with one label, which controllers make for what is deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownJobs {
    /// The release whose deployment wrote this.
    pub release: String,
    /// Whether that deployment changed what they are made for, and has not seen them end well yet.
    pub is_open: bool,
    /// UIDs of those that say nothing of the release: they had ended before, or have been judged.
    pub ended: BTreeSet<String>,
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

impl Clone for StateKey {
    fn clone(&self) -> Self {
        Self::new(*self.expose())
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
        self.find(&key(namespace)).await?.map(NamespaceState::read).transpose()
    }

    /// Writes to whom a namespace belongs, unless that is written already; returns what is written then.
    ///
    /// The caller compares: a namespace of another repository or environment must not be changed.
    pub async fn claim_namespace(
        &self,
        namespace: &str,
        owner: &NamespaceOwner,
        fresh: &StateKey,
    ) -> Result<NamespaceState, ClusterError> {
        if let Some(state) = self.namespace_state(namespace).await? {
            return Ok(state);
        }
        let mut secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": { "app.kubernetes.io/managed-by": "orchestrator" },
            },
            "type": "Opaque",
            "data": { "key": STANDARD.encode(fresh.expose()) },
        });
        put_owner(&mut secret["data"], owner);
        match self.create(&Object::new(secret)?).await {
            Ok(stored) => NamespaceState::read(stored),
            // Another run was faster, or our own answer was lost.
            Err(error) if matches!(error.kind(), ClusterErrorKind::Conflict { .. }) => {
                NamespaceState::read(self.get(&key(namespace)).await?)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a new owner over the one of `state`; a state that another run changed meanwhile is a conflict.
    pub async fn give_namespace(
        &self,
        state: &NamespaceState,
        owner: &NamespaceOwner,
    ) -> Result<NamespaceState, ClusterError> {
        self.change_state(state, |data| put_owner(data, owner)).await
    }

    /// Writes what was deployed completely; a state that another run changed meanwhile is a conflict.
    pub async fn record_deployed(
        &self,
        state: &NamespaceState,
        deployed: &DeployedRelease,
    ) -> Result<NamespaceState, ClusterError> {
        self.change_state(state, |data| {
            let DeployedRelease { release, lock, commit, inputs, .. } = deployed;
            put(data, &[("release", release), ("lock", lock), ("commit", commit), ("inputs", inputs)]);
            let others = state.history.iter().filter(|other| *other != deployed);
            let history: Vec<Value> = std::iter::once(deployed).chain(others).take(HISTORY).map(to_json).collect();
            put(data, &[("history", &Value::from(history).to_string())]);
        })
        .await
    }

    /// Writes what is known of the Jobs of controllers; a state that another run changed meanwhile is a conflict.
    pub async fn record_jobs(
        &self,
        state: &NamespaceState,
        jobs: &BTreeMap<String, KnownJobs>,
    ) -> Result<NamespaceState, ClusterError> {
        self.change_state(state, |data| {
            // Most namespaces have none, and no such field.
            if !(jobs.is_empty() && state.jobs.is_empty()) {
                put(data, &[("jobs", &json!(jobs).to_string())]);
            }
        })
        .await
    }

    /// Writes nothing where nothing changes.
    async fn change_state(
        &self,
        state: &NamespaceState,
        change: impl FnOnce(&mut Value),
    ) -> Result<NamespaceState, ClusterError> {
        let mut secret = state.secret.value().clone();
        if let Some(metadata) = secret.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let before = secret["data"].clone();
        change(&mut secret["data"]);
        if secret["data"] == before {
            return Ok(state.clone());
        }
        NamespaceState::read(self.replace(&Object::new(secret)?).await?)
    }
}

fn key(namespace: &str) -> ObjectKey {
    ObjectKey::namespaced(Kind::new("v1", "Secret"), namespace, NAME)
}

fn put_owner(data: &mut Value, owner: &NamespaceOwner) {
    put(data, &[("repository", &owner.repository), ("environment", &owner.environment)]);
}

fn to_json(deployed: &DeployedRelease) -> Value {
    let DeployedRelease { release, lock, commit, inputs, configurations, secrets, revisions } = deployed;
    let mut value = json!({
        "release": release, "lock": lock, "commit": commit, "inputs": inputs, "configurations": configurations,
        "secrets": secrets,
    });
    if !revisions.is_empty() {
        value["revisions"] = json!(revisions);
    }
    value
}

fn from_json(value: &Value) -> DeployedRelease {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let names = |field: &str| {
        let names = value.get(field).and_then(Value::as_object).into_iter().flatten();
        names.filter_map(|(service, name)| Some((service.clone(), name.as_str()?.to_owned()))).collect()
    };
    let revisions = value.get("revisions").and_then(Value::as_object).into_iter().flatten();
    DeployedRelease {
        release: text("release"),
        lock: text("lock"),
        commit: text("commit"),
        inputs: text("inputs"),
        configurations: names("configurations"),
        secrets: names("secrets"),
        revisions: revisions.filter_map(|(service, number)| Some((service.clone(), number.as_u64()?))).collect(),
    }
}

fn put(data: &mut Value, texts: &[(&str, &str)]) {
    for (field, text) in texts {
        data[*field] = STANDARD.encode(text).into();
    }
}

impl NamespaceState {
    /// Tells the namespace apart from one of that name in another cluster.
    pub fn uid(&self) -> Option<&str> {
        self.secret.uid()
    }

    fn read(secret: Object) -> Result<Self, ClusterError> {
        let damaged = |field: &str| {
            let reason = format!("its `{field}` is missing or damaged");
            ClusterError::new(secret.key(), ClusterErrorKind::NotAnObject { reason })
        };
        let bytes = |field: &str| {
            let text = secret.text(&format!("/data/{field}"))?;
            STANDARD.decode(text).ok()
        };
        let text = |field: &str| String::from_utf8(bytes(field)?).ok();
        let required = |field: &str| text(field).ok_or_else(|| damaged(field));
        let key = bytes("key").and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| damaged("key"))?;
        let owner = NamespaceOwner { repository: required("repository")?, environment: required("environment")? };
        let history: Vec<DeployedRelease> = text("history")
            .and_then(|text| serde_json::from_str::<Vec<Value>>(&text).ok())
            .map(|list| list.iter().map(from_json).collect())
            .unwrap_or_default();
        let jobs = match text("jobs") {
            Some(text) => serde_json::from_str(&text).map_err(|_| damaged("jobs"))?,
            None => BTreeMap::new(),
        };
        let deployed = text("release").map(|release| DeployedRelease {
            release,
            lock: text("lock").unwrap_or_default(),
            commit: text("commit").unwrap_or_default(),
            inputs: text("inputs").unwrap_or_default(),
            configurations: history.first().map(|newest| newest.configurations.clone()).unwrap_or_default(),
            secrets: history.first().map(|newest| newest.secrets.clone()).unwrap_or_default(),
            revisions: history.first().map(|newest| newest.revisions.clone()).unwrap_or_default(),
        });
        let newest = history.first().map(|newest| &newest.release);
        let is_history_damaged = deployed.as_ref().is_some_and(|deployed| newest != Some(&deployed.release));
        Ok(Self { owner, deployed, history, is_history_damaged, jobs, key: StateKey::new(key), secret })
    }
}
