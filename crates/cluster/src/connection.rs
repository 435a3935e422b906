use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::sync::{Arc, PoisonError, RwLock};

use http::Method;
use lock_model::Timestamp;
use lock_model::escaping::excerpt;
use process::Redactor;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;
use tower::util::MapResultLayer;

use crate::discovery::{Discovery, Resource};
use crate::error::{ClusterError, ClusterErrorKind};
use crate::kubeconfig::Kubeconfig;
use crate::lease::LeaseKeeper;
use crate::login::Authorise;
use crate::object::{Kind, Object, ObjectKey};
use crate::transport::{Call, OutageNotice, Patience, Tell, Transport, asked_to_wait};

/// The name under which fields are owned in a server-side apply.
pub const FIELD_MANAGER: &str = "orchestrator";

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const PAGE: usize = 500;
/// How many requests wait at most for the connection, where they have waited for a token.
const WAITING: usize = 1024;
/// How often a list begins again that was not found, and the time before that where the server is starting.
const RESTARTS: usize = 3;
const START_UP: std::time::Duration = std::time::Duration::from_secs(1);

/// A client of one API server; a clone shares its connections and what it knows of the kinds that are served.
#[derive(Clone)]
pub struct Connection {
    pub(crate) transport: Transport,
    server: String,
    discovery: Arc<RwLock<Option<Arc<Discovery>>>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

/// The version of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerVersion {
    /// The major version: 1 for every server that there is.
    pub major: u32,
    /// The minor version, without the `+` that some providers append.
    pub minor: u32,
    /// The whole version as the server writes it (`gitVersion`), such as `v1.35.4-eks-1`.
    pub text: String,
}

/// Which objects of a kind are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A label selector such as `app=cart,tier!=web`; empty for all.
    pub labels: String,
    /// A field selector such as `metadata.name=cart`; empty for all.
    pub fields: String,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApplyMode {
    /// The API server does everything but the write.
    pub dry_run: bool,
    /// Fields that other managers own are taken over.
    pub take_over: bool,
    /// Fields that the API server does not know are refused.
    pub strict: bool,
}

/// What happens to the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// The garbage collector deletes them afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay, and have no owner any more.
    Orphan,
}

impl Connection {
    /// Makes a client; the first request is what shows whether the server answers.
    pub async fn new(kubeconfig: &Kubeconfig, patience: Patience) -> Result<Self, ClusterError> {
        let subject = format!("context `{}`", excerpt(kubeconfig.context()));
        let options = kube::config::KubeConfigOptions::default();
        let unusable = |error: &dyn fmt::Display| {
            ClusterError::new(&subject, ClusterErrorKind::Kubeconfig { reason: excerpt(error.to_string()) })
        };
        let document = kubeconfig.for_client()?;
        let proxy = document.clusters.iter().find_map(|named| named.cluster.as_ref()?.proxy_url.clone());
        let mut config =
            kube::Config::from_custom_kubeconfig(document, &options).await.map_err(|error| unusable(&error))?;
        // The library would retry every verb for hours, and take a proxy from the environment.
        config.default_retry = false;
        config.proxy_url = proxy.map(|proxy| proxy.parse()).transpose().map_err(|error| unusable(&error))?;
        config.connect_timeout = Some(patience.request);
        let client = kube::client::ClientBuilder::try_from(config).map_err(|error| {
            ClusterError::new(&subject, ClusterErrorKind::Client { reason: excerpt(error.to_string()) })
        })?;
        let answers = MapResultLayer::new(asked_to_wait);
        let client = match kubeconfig.login() {
            None => client.with_layer(&answers).build(),
            Some(login) => {
                // Only a buffered service can be called after a request has waited for its token.
                let client = client.with_layer(&BufferLayer::new(WAITING));
                client.with_layer(&AsyncFilterLayer::new(Authorise(login.clone()))).with_layer(&answers).build()
            }
        };
        let mut secrets = Redactor::new();
        for secret in kubeconfig.secrets() {
            secrets.add(secret.expose_secret());
        }
        let (server, secrets) = (kubeconfig.server(), Arc::new(secrets));
        let transport = Transport {
            client,
            patience,
            server: server.into(),
            way: Arc::new(kubeconfig.way()),
            outage_notice: OutageNotice::default(),
            secrets,
            written: None,
            lease: None,
        };
        Ok(Self { transport, server: server.to_owned(), discovery: Arc::default() })
    }

    /// Tells, once, that the API server does not answer and is asked again.
    #[must_use]
    pub fn telling(mut self, tell: Tell) -> Self {
        self.transport.outage_notice = OutageNotice::new(tell);
        self
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_patience(&self, patience: Patience) -> Self {
        let mut other = self.clone();
        other.transport.patience = patience;
        other
    }

    /// The same client, which masks these secrets as well in all that it quotes of the cluster: refusals, the causes that a
    /// wait finds, events and logs. Containers, webhooks and controllers write there what they like.
    #[must_use]
    pub fn masking(&self, secrets: &Redactor) -> Self {
        let mut all = Redactor::clone(&self.transport.secrets);
        all.include(secrets);
        let mut other = self.clone();
        other.transport.secrets = Arc::new(all);
        other
    }

    /// The same client, of which every write rests on a [proof](LeaseKeeper::prove) that the Lease is held: also one that is sent
    /// again, as after a time in which the process was stopped.
    #[must_use]
    pub fn with_lease(&self, lease: &Arc<LeaseKeeper>) -> Self {
        let mut other = self.clone();
        other.transport.lease = Some(Arc::downgrade(lease));
        other
    }

    /// The library's own client, for what it alone can do.
    pub(crate) fn client(&self) -> kube::Client {
        self.transport.client.clone()
    }

    /// How long is waited for answers.
    pub(crate) fn patience(&self) -> Patience {
        self.transport.patience
    }

    /// The time that the API server's clock shows; `None` where its answers have no date.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, ClusterError> {
        let date = self.transport.send_for_header(&"the time", &Call::get("/version"), "date").await?;
        Ok(date.and_then(|date| Timestamp::from_rfc2822(&date).ok()))
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The version of the API server.
    pub async fn server_version(&self) -> Result<ServerVersion, ClusterError> {
        let answer = self.transport.send(&"the version", &Call::get("/version")).await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        // Some providers write `35+`.
        let number = |key: &str| text(key).trim_end_matches('+').parse().ok();
        let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
            let reason = "names no version".to_owned();
            return Err(ClusterError::new("the version", ClusterErrorKind::Answer { reason }));
        };
        Ok(ServerVersion { major, minor, text: excerpt(text("gitVersion")) })
    }

    /// Asks `/readyz`: `Err` carries what is not ready.
    pub async fn ready(&self) -> Result<(), ClusterError> {
        self.transport.send_text(&"the API server", &Call::get("/readyz")).await.map(drop)
    }

    /// What the API server serves: asked once, then kept.
    pub async fn discovery(&self) -> Result<Arc<Discovery>, ClusterError> {
        let known = self.discovery.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.refresh_discovery().await,
        }
    }

    /// Asks again what the API server serves, as after a new definition of a kind.
    pub async fn refresh_discovery(&self) -> Result<Arc<Discovery>, ClusterError> {
        let mut discovery = Discovery::default();
        for path in ["/api", "/apis"] {
            let call = Call { accept: AGGREGATED, ..Call::get(path) };
            discovery.add(&self.transport.send(&"the discovery document", &call).await?)?;
        }
        let discovery = Arc::new(discovery);
        *self.discovery.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&discovery));
        Ok(discovery)
    }

    /// How a kind is served; a kind that is not known is looked for once more.
    pub async fn resource(&self, kind: &Kind) -> Result<Resource, ClusterError> {
        if let Some(resource) = self.discovery().await?.resource(kind) {
            return Ok(resource.clone());
        }
        let discovery = self.refresh_discovery().await?;
        let unknown =
            || ClusterError::new(format!("{} ({})", kind.kind, kind.api_version()), ClusterErrorKind::UnknownKind);
        discovery.resource(kind).cloned().ok_or_else(unknown)
    }

    /// The same, where a kind that is not served is among those that are going to be.
    pub(crate) async fn resource_or(&self, kind: &Kind, defined: &[Resource]) -> Result<Resource, ClusterError> {
        match self.resource(kind).await {
            Err(error) if matches!(error.kind(), ClusterErrorKind::UnknownKind) => {
                defined.iter().find(|resource| resource.kind == *kind).cloned().ok_or(error)
            }
            answer => answer,
        }
    }

    /// Reads an object; `None` where it does not exist.
    pub async fn find(&self, key: &ObjectKey) -> Result<Option<Object>, ClusterError> {
        let address = self.resource(&key.kind).await?.address(key)?;
        match self.transport.send(key, &Call::get(address)).await {
            Ok(value) => Object::new(value).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an object that has to be there.
    pub async fn get(&self, key: &ObjectKey) -> Result<Object, ClusterError> {
        self.find(key).await?.ok_or_else(|| ClusterError::new(key, ClusterErrorKind::NotFound))
    }

    /// Lists the objects of a kind, in one namespace or in all, page by page.
    pub async fn list(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selection: &Selection,
    ) -> Result<Vec<Object>, ClusterError> {
        let collection = self.resource(kind).await?.collection(namespace)?;
        let mut objects = Vec::new();
        let mut page = String::new();
        let mut restarts = 0;
        loop {
            let mut query = vec![("limit", PAGE.to_string())];
            let options =
                [("labelSelector", &selection.labels), ("fieldSelector", &selection.fields), ("continue", &page)];
            query.extend(
                options.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key, text.clone())),
            );
            let answer = match self.transport.send(kind, &Call::get(with_query(&collection, &query))).await {
                Ok(answer) => answer,
                // The page's place is forgotten after some minutes (410): the list begins again. A server that has just started
                // does not have every list yet; one that does not serve the kind any more says so.
                Err(error) if error.is_not_found() && restarts < RESTARTS => {
                    if page.is_empty() {
                        tokio::time::sleep(START_UP).await;
                        if self.refresh_discovery().await?.resource(kind).is_none() {
                            return Err(error);
                        }
                    }
                    restarts += 1;
                    page.clear();
                    objects.clear();
                    continue;
                }
                Err(error) => return Err(error),
            };
            page = answer.pointer("/metadata/continue").and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
            for item in items(answer) {
                objects.push(Object::new(typed(item, kind))?);
            }
            if page.is_empty() {
                return Ok(objects);
            }
        }
    }

    /// Applies an object on the server, as [`FIELD_MANAGER`]; returns what is stored, or would be.
    ///
    /// Fields of other managers are an error that names each with its manager, unless they are taken over.
    pub async fn apply(&self, object: &Object, mode: ApplyMode) -> Result<Object, ClusterError> {
        let address = self.resource(&object.key().kind).await?.address(object.key())?;
        let validation = if mode.strict { "Strict" } else { "Ignore" };
        let mut query = vec![("fieldManager", FIELD_MANAGER.to_owned()), ("fieldValidation", validation.to_owned())];
        query.push(("force", mode.take_over.to_string()));
        if mode.dry_run {
            query.push(("dryRun", "All".to_owned()));
        }
        let mut manifest = object.value().clone();
        if let Some(metadata) = manifest.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let call = Call {
            content_type: "application/apply-patch+yaml",
            ..Call::json(Method::PATCH, with_query(&address, &query), &manifest)
        };
        Object::new(self.transport.writing(object).send(object.key(), &call).await?)
    }

    /// Makes an object that must not exist yet.
    ///
    /// After an answer that was lost, a retry finds the object and says [`ClusterErrorKind::Conflict`].
    pub async fn create(&self, object: &Object) -> Result<Object, ClusterError> {
        let key = object.key();
        let collection = self.resource(&key.kind).await?.collection(key.namespace.as_deref())?;
        let path = with_query(&collection, &[("fieldManager", FIELD_MANAGER.to_owned())]);
        let call = Call::json(Method::POST, path, object.value());
        Object::new(self.transport.writing(object).send(key, &call).await?)
    }

    /// Asks the API server whether it would make an object; nothing is stored. With `is_there`, for an object whose name is
    /// taken, the question is about one with a name that the server generates. Fails with the server's reason where it would not.
    pub async fn try_create(&self, object: &Object, is_there: bool) -> Result<(), ClusterError> {
        let key = object.key();
        let collection = self.resource(&key.kind).await?.collection(key.namespace.as_deref())?;
        let query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"), ("dryRun", "All")];
        let path = with_query(&collection, &query.map(|(key, value)| (key, value.to_owned())));
        let mut value = object.value().clone();
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut).filter(|_| is_there) {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), format!("{}-", key.name).into());
        }
        let call = Call::json(Method::POST, path, &value);
        self.transport.writing(object).send(key, &call).await.map(drop)
    }

    /// Writes an object over the one of the same `resourceVersion`; another version is a conflict.
    pub async fn replace(&self, object: &Object) -> Result<Object, ClusterError> {
        let address = self.resource(&object.key().kind).await?.address(object.key())?;
        let path = with_query(&address, &[("fieldManager", FIELD_MANAGER.to_owned())]);
        let call = Call::json(Method::PUT, path, object.value());
        Object::new(self.transport.writing(object).send(object.key(), &call).await?)
    }

    /// What the API server would make of an object if a manifest were all that it says; nothing is written. Defaults, and what
    /// is kept under another name, are in the answer; what another manager has is not.
    pub async fn made_of(&self, live: &Object, manifest: &Object) -> Result<Object, ClusterError> {
        let key = live.key();
        let address = self.resource(&key.kind).await?.address(key)?;
        let patch = Value::Array(replacing(live.value(), manifest.value()));
        let query = [("fieldManager", FIELD_MANAGER.to_owned()), ("dryRun", "All".to_owned())];
        let call = Call {
            content_type: "application/json-patch+json",
            ..Call::json(Method::PATCH, with_query(&address, &query), &patch)
        };
        Object::new(self.transport.writing(manifest).send(key, &call).await?)
    }

    /// Writes who owns the fields of an object, if it is still of the version that was read.
    pub async fn set_managed_fields(&self, object: &Object, entries: &[Value]) -> Result<Object, ClusterError> {
        let key = object.key();
        let address = self.resource(&key.kind).await?.address(key)?;
        // With the version in it, a write of another in between is a conflict.
        let patch = json!([
            { "op": "replace", "path": "/metadata/managedFields", "value": entries },
            { "op": "replace", "path": "/metadata/resourceVersion", "value": object.resource_version() },
        ]);
        let path = with_query(&address, &[("fieldManager", FIELD_MANAGER.to_owned())]);
        let call = Call { content_type: "application/json-patch+json", ..Call::json(Method::PATCH, path, &patch) };
        Object::new(self.transport.send(key, &call).await?)
    }

    /// Deletes the object of that UID; one that is gone, or was made anew under the same name, is left alone.
    pub async fn delete(&self, key: &ObjectKey, uid: &str, propagation: Propagation) -> Result<Deleted, ClusterError> {
        let address = self.resource(&key.kind).await?.address(key)?;
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let body = json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": policy,
            "preconditions": { "uid": uid },
        });
        match self.transport.send(key, &Call::json(Method::DELETE, address, &body)).await {
            Ok(_) => Ok(Deleted::Accepted),
            Err(error) if error.is_not_found() => Ok(Deleted::WasGone),
            Err(error) => match error.kind() {
                ClusterErrorKind::Conflict { .. } => Ok(Deleted::WasAnother),
                _ => Err(error),
            },
        }
    }
}

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The API server deletes it; finalizers can take their time.
    Accepted,
    /// It did not exist.
    WasGone,
    /// An object of another UID has its name; it was not deleted.
    WasAnother,
}

/// The steps of a JSON patch that leave of an object what a manifest says, and what the API server keeps of it.
fn replacing(live: &Value, manifest: &Value) -> Vec<Value> {
    let step = |path: String, before: Option<&Value>, after: Option<&Value>| match (before, after) {
        (None, None) => None,
        (None, Some(after)) => Some(json!({ "op": "add", "path": path, "value": after })),
        (Some(_), Some(after)) => Some(json!({ "op": "replace", "path": path, "value": after })),
        (Some(_), None) => Some(json!({ "op": "remove", "path": path })),
    };
    let names = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    let mut fields: BTreeSet<String> = names(live);
    fields.extend(names(manifest));
    let kept = ["apiVersion", "kind", "metadata", "status"];
    let fields = fields.into_iter().filter(|field| !kept.contains(&field.as_str()));
    let fields = fields.filter_map(|field| {
        let path = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
        step(path, live.get(&field), manifest.get(&field))
    });
    let metadata = ["labels", "annotations"].into_iter().filter_map(|field| {
        let pointer = format!("/metadata/{field}");
        step(pointer.clone(), live.pointer(&pointer), manifest.pointer(&pointer))
    });
    fields.chain(metadata).collect()
}

/// Lists leave out kind and version of their items.
pub(crate) fn typed(mut item: Value, kind: &Kind) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| kind.api_version().into());
        fields.entry("kind").or_insert_with(|| kind.kind.clone().into());
    }
    item
}

fn items(mut answer: Value) -> Vec<Value> {
    match answer.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// Appends a query; values are escaped.
pub(crate) fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let mut address = path.to_owned();
    let mut mark = '?';
    for (key, value) in query {
        address.push(mark);
        address.push_str(key);
        address.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                address.push(char::from(byte));
            } else {
                write!(address, "%{byte:02X}").expect("a string takes everything");
            }
        }
        mark = '&';
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a1_a_patch_leaves_what_a_manifest_says() {
        let live = json!({
            "apiVersion": "v1", "kind": "Secret", "status": {}, "type": "Opaque", "data": { "a": "MQ==" },
            "metadata": { "name": "a", "uid": "u", "labels": { "team": "x" } },
        });
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "data": {}, "im/mutable": true,
            "metadata": { "name": "a", "annotations": { "b": "c" } },
        });
        let wanted = json!([
            { "op": "replace", "path": "/data", "value": {} },
            { "op": "add", "path": "/im~1mutable", "value": true },
            { "op": "remove", "path": "/type" },
            { "op": "remove", "path": "/metadata/labels" },
            { "op": "add", "path": "/metadata/annotations", "value": { "b": "c" } },
        ]);
        assert_eq!(Value::Array(replacing(&live, &manifest)), wanted);
    }
}
