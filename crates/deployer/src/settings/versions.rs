//! The objects of settings, and their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::{ApplyMode, Connection, NamespaceState, Object, ObjectKey, StateKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use lock_model::{ErrorClass, ServiceName};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::earlier::{configuration_of, deployed_version};
use super::stored::name_of;
use super::{Configuration, Part};
use crate::batch::{BatchObject, BatchPart};
use crate::error::DeployError;
use crate::namespace::{at_once, labelled_objects};
use crate::plan::{Change, ChangeKind};
use crate::request::{DeployRequest, RemovedServiceRule};

pub(super) const SERVICE_LABEL: &str = "orchestrator.dev/service";
pub(super) const PART_LABEL: &str = "orchestrator.dev/settings";
/// When a version was planned for a deployment last: its record's place among others decides what is kept.
pub(super) const USED: &str = "orchestrator.dev/release";

/// How many digits of the HMAC are in a name.
pub(super) const DIGITS: usize = 8;

/// The objects of settings that a plan writes before everything else.
#[derive(Clone, Default)]
pub(crate) struct PlannedSettings {
    /// Names of deployed versions, for a plan without the data of settings.
    pub(super) stand_ins: Vec<(ServiceName, Part, String)>,
    pub(crate) versions: Vec<Version>,
    /// Others, such as the pull secret: one object that is changed in place.
    pub(crate) others: Vec<Object>,
    /// The key of the namespace, which the names are made with; a new one marks a namespace that has none. Absent where
    /// the namespace has none and needs none.
    pub(crate) key: Option<StateKey>,
    /// Whether the namespace has that key already.
    pub(crate) is_key_stored: bool,
    /// A digest over all of it.
    pub(crate) inputs: String,
    /// What must not be shown.
    pub(crate) secrets: Vec<SecretString>,
    /// The services that are deployed here, also those that are left out for a time, where the versions of all others are
    /// removed.
    pub(crate) only_of: Option<BTreeSet<ServiceName>>,
}

/// One version of a service's configuration or secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) service: ServiceName,
    pub(crate) part: Part,
    pub(crate) object: Object,
    /// Whether the namespace has it already, with this data.
    pub(crate) is_there: bool,
    /// What the namespace has under its name with other data.
    pub(crate) replaced: Option<Object>,
    /// Whether the deployment before had another one, or none.
    pub(crate) is_other: bool,
    /// That other one, where the namespace still has it.
    pub(crate) earlier: Option<Object>,
    /// The keys of which a plan shows markers alone.
    pub(crate) composed: BTreeSet<String>,
}

/// The names alone.
impl fmt::Debug for PlannedSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.versions.iter().map(|version| version.object.key());
        f.debug_set().entries(keys.chain(self.others.iter().map(Object::key))).finish()
    }
}

impl PartialEq for PlannedSettings {
    fn eq(&self, other: &Self) -> bool {
        (&self.versions, &self.others, &self.inputs) == (&other.versions, &other.others, &other.inputs)
    }
}

impl Eq for PlannedSettings {}

/// The name of a version while the key of the namespace is not known.
pub(super) fn unkeyed(service: &str, part: Part) -> String {
    format!("{service}-{}-{}", part.word(), "0".repeat(DIGITS))
}

/// Whether a name is that of a version of a service's settings.
pub(crate) fn is_version_name(name: &str, service: &str, part: Part) -> bool {
    let digits = name.strip_prefix(&format!("{service}-{}-", part.word()));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a name is one of a version whose digits are not known.
pub(crate) fn is_unkeyed(name: &str) -> bool {
    [Part::Config, Part::Secret].iter().any(|part| name.ends_with(&unkeyed("", *part)))
}

/// The names that stand for settings whose data is not at hand: those that were deployed last.
fn stand_ins(request: &DeployRequest, state: Option<&NamespaceState>) -> Vec<(ServiceName, Part, String)> {
    let Some(deployed) = state.and_then(|state| state.deployed.as_ref()) else { return Vec::new() };
    let mut names = Vec::new();
    for service in &request.services {
        let (config, secret) = (service.settings.config.is_some(), service.settings.secret.is_some());
        let parts = [(Part::Config, config, &deployed.configurations), (Part::Secret, secret, &deployed.secrets)];
        for (part, _, known) in
            parts.into_iter().filter(|(part, is_given, _)| !is_given && service.setting_parts.contains(part))
        {
            let name =
                known.get(service.name.as_str()).filter(|name| is_version_name(name, service.name.as_str(), part));
            names.extend(name.map(|name| (service.name.clone(), part, name.clone())));
        }
    }
    names
}

impl PlannedSettings {
    /// The versions that a request needs, under the key of the namespace, or a new one.
    pub(crate) async fn of(
        connection: &Connection,
        namespace: &str,
        request: &DeployRequest,
        state: Option<&NamespaceState>,
        fresh: impl FnOnce() -> Result<StateKey, DeployError>,
    ) -> Result<Self, DeployError> {
        let only_of = (request.removed == RemovedServiceRule::Delete).then(|| {
            let here = request.services.iter().map(|service| &service.name);
            here.chain(&request.paused).cloned().collect()
        });
        let stand_ins = stand_ins(request, state);
        let has_settings = |one: &crate::DeployService| one.settings.config.is_some() || one.settings.secret.is_some();
        if request.pull_secret.is_none() && !request.services.iter().any(has_settings) {
            let key = state.map(|state| state.key.clone());
            return Ok(Self { is_key_stored: key.is_some(), key, only_of, stand_ins, ..Self::default() });
        }
        let key = match state {
            Some(state) => state.key.clone(),
            None => fresh()?,
        };
        let mut planned = Self { is_key_stored: state.is_some(), only_of, stand_ins, ..Self::default() };
        planned.secrets.extend(request.pull_secret.iter().map(|pull| pull.password.clone()));
        planned.secrets.extend(request.masked.iter().cloned());
        for service in &request.services {
            let settings = &service.settings;
            planned.secrets.extend(settings.secret.iter().flat_map(BTreeMap::values).cloned());
            if let Some(data) = &settings.config {
                let version = match request.configuration {
                    Configuration::OfRelease => {
                        let release = request.release.as_str();
                        Some(configuration_of(connection, namespace, state, release, &service.name).await?)
                    }
                    Configuration::AsDeployed => {
                        deployed_version(connection, namespace, state, &service.name, Part::Config).await?
                    }
                    Configuration::Present => None,
                };
                let data = || data.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
                let present = || Version::new(namespace, &service.name, Part::Config, data(), &key);
                let version = version.map_or_else(present, Ok)?;
                planned.versions.push(Version { composed: settings.composed.clone(), ..version });
            }
            if let Some(data) = &settings.secret {
                let version = match request.configuration {
                    Configuration::AsDeployed => {
                        deployed_version(connection, namespace, state, &service.name, Part::Secret).await?
                    }
                    Configuration::OfRelease | Configuration::Present => None,
                };
                let secret =
                    |(key, value): (&String, &SecretString)| (key.clone(), json!(BASE64.encode(value.expose_secret())));
                let data = || data.iter().map(secret).collect();
                let present = || Version::new(namespace, &service.name, Part::Secret, data(), &key);
                planned.versions.push(version.map_or_else(present, Ok)?);
            }
        }
        let unseen = planned.versions.iter().filter(|version| !version.is_there);
        let unseen = unseen.map(|version| version.object.key().clone()).collect();
        let mut found = labelled_objects(connection, &unseen, PART_LABEL).await?;
        for version in &mut planned.versions {
            if !version.is_there {
                version.look_at(found.remove(version.object.key()));
            }
            version.compare(connection, state).await?;
        }
        planned.others.extend(request.pull_secret.as_ref().map(|pull| pull_secret(namespace, pull)).transpose()?);
        let all: Vec<&Value> =
            planned.versions.iter().map(|version| &version.object).chain(&planned.others).map(Object::value).collect();
        planned.inputs = keyed_digest(&key, &json!(all));
        planned.key = Some(key);
        Ok(planned)
    }

    /// The names of a service's versions, for values that [have none yet](super::config_name).
    pub(crate) fn names(&self, service: &ServiceName) -> Vec<(String, String)> {
        let own = self.versions.iter().filter(|version| version.service == *service);
        let names = own.map(|version| (unkeyed(service.as_str(), version.part), version.object.key().name.clone()));
        let stand_ins = self.stand_ins.iter().filter(|(of, ..)| of == service);
        names.chain(stand_ins.map(|(_, part, name)| (unkeyed(service.as_str(), *part), name.clone()))).collect()
    }

    /// What of it is new, as changes of a plan.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let new = self.versions.iter().filter(|version| !version.is_there);
        new.map(|version| Change {
            service: Some(version.service.clone()),
            path: format!("{}/{}", version.part.kind(), version.object.key().name),
            kind: version.change_kind(),
            images: Vec::new(),
        })
        .collect()
    }

    /// All of it as a part of a batch.
    pub(crate) fn batch(&self) -> Vec<BatchObject> {
        let versions = self.versions.iter().map(|version| BatchObject {
            service: version.service.clone(),
            wave: 0,
            part: BatchPart::Settings,
            wanted: version.object.clone(),
            live: version.replaced.clone().or_else(|| version.is_there.then(|| version.object.clone())),
        });
        versions.collect()
    }

    /// The state of the namespace, its Lease and the pull secret, where the first deployment makes them.
    pub(crate) fn own_objects(&self, namespace: &str) -> Vec<(String, Object)> {
        if self.is_key_stored {
            return Vec::new();
        }
        let own = [("v1", "Secret", "orchestrator-state"), ("coordination.k8s.io/v1", "Lease", "orchestrator")];
        let own = own.iter().filter_map(|(version, kind, name)| own_object(version, kind, namespace, name));
        own.chain(self.others.iter().cloned()).map(|object| ("orchestrator".to_owned(), object)).collect()
    }

    /// The objects, for what is referred to.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.versions.iter().map(|version| &version.object).chain(&self.others)
    }

    /// Which configuration, or which Secret, each service has.
    pub(crate) fn names_of(&self, part: Part) -> BTreeMap<String, String> {
        let versions = self.versions.iter().filter(|version| version.part == part);
        versions.map(|version| (version.service.to_string(), version.object.key().name.clone())).collect()
    }

    /// Writes all of it: the versions are the same as those of the same names that are there, or take their place.
    pub(crate) async fn write(&self, connection: &Connection, release: &str) -> Result<(), DeployError> {
        let mut all: Vec<(Option<Version>, Object)> = self.others.iter().map(|object| (None, object.clone())).collect();
        for version in &self.versions {
            let mut object = version.object.value().clone();
            object["metadata"]["annotations"][USED] = release.into();
            all.push((Some(version.clone()), Object::new(object)?));
        }
        let written = at_once(all, |(version, object)| {
            let connection = connection.clone();
            async move {
                if let Some(version) = version {
                    version.make_room(&connection).await?;
                }
                connection.apply(&object, ApplyMode { dry_run: false, take_over: true, strict: true }).await?;
                Ok::<_, DeployError>(())
            }
        });
        written.await.into_iter().collect()
    }
}

impl Version {
    fn new(
        namespace: &str,
        service: &ServiceName,
        part: Part,
        data: Map<String, Value>,
        key: &StateKey,
    ) -> Result<Self, DeployError> {
        let mut object = json!({
            "apiVersion": "v1",
            "kind": part.kind(),
            "metadata": {
                "name": name_of(key, service.as_str(), part, &data),
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "orchestrator",
                    SERVICE_LABEL: service,
                    PART_LABEL: part.word(),
                },
            },
            "immutable": true,
        });
        // The API server stores none as no field, and takes the empty one for a change of an immutable Secret.
        if !data.is_empty() {
            object["data"] = data.into();
        }
        if part == Part::Secret {
            object["type"] = "Opaque".into();
        }
        Ok(Self::of(service, part, Object::new(object)?))
    }

    pub(super) fn of(service: &ServiceName, part: Part, object: Object) -> Self {
        Self {
            service: service.clone(),
            part,
            object,
            is_there: false,
            replaced: None,
            is_other: true,
            earlier: None,
            composed: BTreeSet::new(),
        }
    }

    pub(super) fn change_kind(&self) -> ChangeKind {
        if self.is_there || self.replaced.is_some() { ChangeKind::Changed } else { ChangeKind::Added }
    }

    /// Looks at the one of the deployment before, where that is another one.
    async fn compare(&mut self, connection: &Connection, state: Option<&NamespaceState>) -> Result<(), DeployError> {
        if self.replaced.is_some() {
            self.earlier.clone_from(&self.replaced);
            return Ok(());
        }
        let deployed = state.and_then(|state| state.deployed.as_ref());
        let names = deployed.map(|deployed| match self.part {
            Part::Config => &deployed.configurations,
            Part::Secret => &deployed.secrets,
        });
        let Some(name) = names.and_then(|names| names.get(self.service.as_str())) else { return Ok(()) };
        let is_same_name = *name == self.object.key().name;
        self.is_other = !is_same_name || !self.is_there;
        if !is_same_name {
            let key = ObjectKey { name: name.clone(), ..self.object.key().clone() };
            self.earlier = match connection.find(&key).await {
                // It is only shown; the right to read the present versions is enough for a deployment.
                Err(error) if error.class() == ErrorClass::Denied => None,
                answer => answer?,
            };
        }
        Ok(())
    }
}

/// An object as quotas count it: by its kind.
pub(crate) fn own_object(version: &str, kind: &str, namespace: &str, name: &str) -> Option<Object> {
    let metadata = json!({ "name": name, "namespace": namespace });
    Object::new(json!({ "apiVersion": version, "kind": kind, "metadata": metadata })).ok()
}

fn pull_secret(namespace: &str, pull: &super::PullSecret) -> Result<Object, DeployError> {
    let super::PullSecret { name, registry, username, password } = pull;
    let login = BASE64.encode(format!("{username}:{}", password.expose_secret()));
    let config = json!({ "auths": { registry.as_str(): {
        "username": username, "password": password.expose_secret(), "auth": login,
    } } });
    Ok(Object::new(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "orchestrator" },
        },
        "type": "kubernetes.io/dockerconfigjson",
        "data": { ".dockerconfigjson": BASE64.encode(config.to_string()) },
    }))?)
}

/// In hexadecimal; maps of JSON have their keys in order.
pub(crate) fn keyed_digest(key: &StateKey, value: &Value) -> String {
    let mut digest = Hmac::<Sha256>::new_from_slice(key.expose()).expect("a key of any length will do");
    digest.update(value.to_string().as_bytes());
    let mut digits = String::new();
    for byte in digest.finalize().into_bytes() {
        write!(digits, "{byte:02x}").expect("writing into a string cannot fail");
    }
    digits
}

/// Puts names in the place of others, in every text of a value.
pub(crate) fn rename(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (from, to) in names {
                if text.contains(from.as_str()) {
                    *text = text.replace(from.as_str(), to);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(map) => map.values_mut().for_each(|item| rename(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
