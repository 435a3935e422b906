//! What helm has stored of its releases: a Secret for each revision.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::{Connection, Kind, Object, Selection};
use serde_json::{Map, Value};

use super::changes::StoredSource;
use super::program::HelmVersion;
use super::unchanged::Source;
use crate::error::DeployError;
use crate::manifest::ObjectId;
use crate::namespace::Rendering;
use crate::problem::escaped;

/// What the description of every revision begins with that is made here; the release id follows, and then the fingerprint of
/// what the chart was rendered from and to, where the chart asks for nothing else.
pub(super) const DESCRIPTION: &str = "orchestrator ";

/// The label of every revision that is made here, whatever became of it: helm replaces the description of one that failed.
pub(super) const MADE_HERE: &str = "orchestrator.dev/release";

/// The description of a revision that a killed helm left.
const ENDED: &str = "ended by orchestrator: the helm that worked on it is gone";

/// Largest release that is read, unpacked.
const SIZE_LIMIT: u64 = 32 * 1024 * 1024;

/// The newest revision of a release.
#[derive(Clone, Debug)]
pub(super) struct StoredRelease {
    pub(super) revision: u64,
    pub(super) status: Status,
    /// Name of the chart.
    pub(super) chart: String,
    /// Whether another program made it, as its description says.
    pub(super) is_foreign: bool,
    pub(super) rendering: Rendering,
    secret: Object,
    /// All of the revision, as helm reads it.
    payload: Payload,
}

/// What became of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Deployed,
    /// A helm works on it, or was killed or failed while it did; helm itself upgrades none of these, and the word.
    Unfinished(String),
    /// Any other status: the word.
    Other(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployed => f.write_str("deployed"),
            Self::Unfinished(word) | Self::Other(word) => write!(f, "`{}`", escaped(word)),
        }
    }
}

/// A revision as JSON; it holds values and manifests, and is never shown.
#[derive(Clone)]
struct Payload(Map<String, Value>);

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payload")
    }
}

/// The newest revision of each release of a namespace, by name. A release that was uninstalled is none, and so is one of
/// another program that cannot be read.
pub(super) async fn stored_releases(
    connection: &Connection,
    namespace: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, StoredRelease>, DeployError> {
    Ok(releases(connection, namespace, is_ours).await?.stored)
}

/// The newest revisions of a namespace, by the names of their releases.
#[derive(Default)]
pub(super) struct Releases {
    pub(super) stored: BTreeMap<String, StoredRelease>,
    /// Those that helm calls uninstalled: it has asked for the deletion of their objects.
    pub(super) uninstalled: BTreeMap<String, StoredRelease>,
    /// Why releases of other programs cannot be read: helm takes manifests that the reader here does not.
    pub(super) unread: BTreeMap<String, String>,
}

impl Releases {
    /// For reviewers: the releases that are not judged.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.unread.iter().map(|(name, reason)| {
            format!(
                "helm release `{}` of another program is not judged, since it cannot be read: {reason}",
                escaped(name)
            )
        })
    }
}

/// The same with those that were uninstalled. `is_ours` says which names are those of services.
pub(super) async fn releases(
    connection: &Connection,
    namespace: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<Releases, DeployError> {
    let selection =
        Selection { labels: "owner=helm,status!=superseded".to_owned(), fields: "type=helm.sh/release.v1".to_owned() };
    let secrets = connection.list(&Kind::new("v1", "Secret"), Some(namespace), &selection).await?;
    let mut newest: BTreeMap<String, (u64, Object)> = BTreeMap::new();
    for secret in secrets {
        let revision = secret.label("version").and_then(|text| text.parse().ok());
        let (Some(name), Some(revision)) = (secret.label("name").map(str::to_owned), revision) else { continue };
        if newest.get(&name).is_none_or(|(known, _)| *known < revision) {
            newest.insert(name, (revision, secret));
        }
    }
    read_all(newest, namespace, is_ours)
}

fn read_all(
    newest: BTreeMap<String, (u64, Object)>,
    namespace: &str,
    is_ours: impl Fn(&str) -> bool,
) -> Result<Releases, DeployError> {
    let mut releases = Releases::default();
    for (name, (revision, secret)) in newest {
        let is_ours = is_ours(&name) || secret.label(MADE_HERE).is_some();
        let place = secret.key().name.clone();
        let release = match StoredRelease::read(secret, revision, namespace) {
            Ok(release) => release,
            Err(reason) if is_ours => {
                let subject = format!("helm release `{}`", escaped(&name));
                return Err(DeployError::UnreadableRelease { subject, revision, secret: place, reason });
            }
            Err(reason) => {
                releases.unread.insert(name, reason);
                continue;
            }
        };
        let is_uninstalled = release.status == Status::Other("uninstalled".to_owned());
        let list = if is_uninstalled { &mut releases.uninstalled } else { &mut releases.stored };
        list.insert(name, release);
    }
    Ok(releases)
}

/// The hooks of every stored revision of a release.
pub(super) async fn stored_hooks(
    connection: &Connection,
    namespace: &str,
    release: &str,
) -> Result<BTreeSet<ObjectId>, DeployError> {
    let selection =
        Selection { labels: format!("owner=helm,name={release}"), fields: "type=helm.sh/release.v1".to_owned() };
    let mut hooks = BTreeSet::new();
    for secret in connection.list(&Kind::new("v1", "Secret"), Some(namespace), &selection).await? {
        // A revision that cannot be read shows nothing.
        if let Ok(revision) = StoredRelease::read(secret, 0, namespace) {
            hooks.extend(revision.rendering.hooks.into_keys());
        }
    }
    Ok(hooks)
}

impl StoredRelease {
    fn read(secret: Object, revision: u64, namespace: &str) -> Result<Self, String> {
        let data = secret.text("/data/release").ok_or("its Secret has no `release`")?;
        let payload = unpack(data)?;
        let text = |pointer: &str| pointer_in(&payload, pointer).and_then(Value::as_str);
        let status = match text("/info/status").ok_or("it has no status")? {
            "deployed" => Status::Deployed,
            // helm writes `unknown` over nothing that it has deployed.
            unfinished if unfinished.starts_with("pending-") || ["uninstalling", "unknown"].contains(&unfinished) => {
                Status::Unfinished(unfinished.to_owned())
            }
            other => Status::Other(other.to_owned()),
        };
        let description = text("/info/description").unwrap_or_default();
        let is_foreign = !is_made_here(&status, description, secret.label(MADE_HERE).is_some());
        let chart = text("/chart/metadata/name").ok_or("it names no chart")?.to_owned();
        let rendering = rendering_of(&payload, namespace)?;
        Ok(Self { revision, status, chart, is_foreign, rendering, secret, payload: Payload(payload) })
    }

    /// A revision that was deployed, of which nothing but its objects is known.
    #[cfg(test)]
    pub(super) fn of_rendering(revision: u64, rendering: Rendering) -> Self {
        let secret = Object::new(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "release", "namespace": "shop" },
        }));
        let (chart, payload) = ("cart".to_owned(), Payload(Map::new()));
        let secret = secret.expect("it has a name");
        Self { revision, status: Status::Deployed, chart, is_foreign: false, rendering, secret, payload }
    }

    /// What it was rendered from.
    pub(super) fn source(&self) -> StoredSource {
        StoredSource::of(&self.payload.0)
    }

    /// What a chart would be rendered to, where that is what was stored: the revision is deployed as it was planned, and the
    /// chart would be rendered from the same by the same helm.
    pub(super) fn unchanged(&self, source: &Source<'_>, helm: &HelmVersion) -> Option<&Rendering> {
        let description = pointer_in(&self.payload.0, "/info/description").and_then(Value::as_str)?;
        let (_release, fingerprint) = description.strip_prefix(DESCRIPTION)?.split_once(' ')?;
        let is_same = self.status == Status::Deployed
            && source.is_closed()
            && fingerprint == source.fingerprint(helm, &self.rendering);
        is_same.then_some(&self.rendering)
    }

    /// The Secret of the same revision, called failed: helm goes on from there, and nothing is uninstalled.
    pub(super) fn called_failed(&self) -> Result<Object, DeployError> {
        let Payload(mut payload) = self.payload.clone();
        if let Some(info) = payload.get_mut("info").and_then(Value::as_object_mut) {
            info.insert("status".to_owned(), "failed".into());
            info.insert("description".to_owned(), ENDED.into());
        }
        let mut secret = self.secret.value().clone();
        let packed = pack(&payload);
        if let Some(data) = secret.pointer_mut("/data/release") {
            *data = packed.into();
        }
        if let Some(label) = secret.pointer_mut("/metadata/labels/status") {
            *label = "failed".into();
        }
        Ok(Object::new(secret)?)
    }
}

/// Who made a revision. helm writes the description of a revision that it installed as it was told, and puts words of its own
/// in its place while it works and where it fails; labels stay, also on what another program installs over it.
fn is_made_here(status: &Status, description: &str, has_label: bool) -> bool {
    match status {
        Status::Deployed => description.starts_with(DESCRIPTION),
        Status::Unfinished(_) | Status::Other(_) => has_label || description.starts_with(DESCRIPTION),
    }
}

/// Reads what `helm upgrade --dry-run=server --output json` prints, and what a Secret holds.
pub(super) fn rendering_of(release: &Map<String, Value>, namespace: &str) -> Result<Rendering, String> {
    let manifest = release.get("manifest").and_then(Value::as_str).unwrap_or_default();
    let hooks = release.get("hooks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let hooks = hooks.iter().map(|hook| hook.get("manifest").and_then(Value::as_str).ok_or("a hook has no manifest"));
    let hooks = hooks.collect::<Result<Vec<_>, _>>()?;
    let texts = std::iter::once(manifest).chain(hooks).map(str::as_bytes);
    Rendering::parse(texts, namespace).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })
}

fn pointer_in<'a>(map: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let mut keys = pointer.trim_start_matches('/').split('/');
    let first = map.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

/// base64 of the API, base64 of helm, gzip, JSON.
fn unpack(data: &str) -> Result<Map<String, Value>, String> {
    let inner = BASE64.decode(data).map_err(|error| format!("it is no base64: {error}"))?;
    let packed = BASE64.decode(inner).map_err(|error| format!("it is no base64: {error}"))?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(format!("it has more than {SIZE_LIMIT} bytes"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("it is no JSON: {error}"))
}

/// As helm gives it to the API server, whose limit is about this.
pub(super) fn pack_once(release: &Map<String, Value>) -> String {
    let json = serde_json::to_vec(release).expect("JSON that was read can be written");
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(&json).expect("a vector takes every byte");
    BASE64.encode(writer.finish().expect("a vector takes every byte"))
}

fn pack(release: &Map<String, Value>) -> String {
    BASE64.encode(pack_once(release))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(status: &str) -> Object {
        let payload = json!({
            "name": "cart", "version": 3, "namespace": "shop",
            "info": { "status": status, "description": "x" },
            "chart": { "metadata": { "name": "cart", "version": "0.1.0" } },
            "manifest": "---\n# Source: cart/templates/a.yaml\napiVersion: v1\nkind: Service\nmetadata:\n  name: cart\n",
            "hooks": [{ "name": "h", "manifest": "apiVersion: v1\nkind: Pod\nmetadata: { name: h, annotations: { helm.sh/hook: post-install } }\n" }],
        });
        let Value::Object(payload) = payload else { unreachable!("the macro was given a map") };
        Object::new(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "sh.helm.release.v1.cart.v3", "namespace": "shop", "labels": { "status": status } },
            "data": { "release": pack(&payload) },
        }))
        .unwrap()
    }

    #[test]
    fn f2_an_unfinished_revision_is_called_failed_and_keeps_everything_else() {
        for word in ["pending-install", "pending-upgrade", "pending-rollback", "uninstalling", "unknown"] {
            let release = StoredRelease::read(secret(word), 3, "shop").unwrap();
            assert_eq!((&release.status, release.chart.as_str()), (&Status::Unfinished(word.to_owned()), "cart"));
            assert_eq!((release.rendering.objects.len(), release.rendering.hooks.len()), (1, 1));
            let failed = StoredRelease::read(release.called_failed().unwrap(), 3, "shop").unwrap();
            assert_eq!(failed.status, Status::Other("failed".to_owned()));
            assert_eq!(failed.secret.label("status"), Some("failed"));
            assert_eq!(failed.rendering, release.rendering);
        }
    }

    /// helm writes `Upgrade "cart" failed: …` in the place of the description that it was given.
    #[test]
    fn a_revision_that_failed_or_is_on_its_way_is_known_as_made_here_by_its_label() {
        let failed = || Status::Other("failed".to_owned());
        for (status, description, has_label, expected) in [
            (Status::Deployed, "orchestrator sha256:1", true, true),
            (Status::Deployed, "orchestrator sha256:1", false, true),
            (Status::Deployed, "Upgrade complete", true, false),
            (failed(), "Upgrade \"cart\" failed: x", true, true),
            (failed(), "Upgrade \"cart\" failed: x", false, false),
            (failed(), ENDED, false, false),
            (Status::Unfinished("pending-upgrade".to_owned()), "Preparing upgrade", true, true),
            (Status::Unfinished("pending-upgrade".to_owned()), "Preparing upgrade", false, false),
        ] {
            assert_eq!(is_made_here(&status, description, has_label), expected, "{status} {description} {has_label}");
        }
    }

    /// helm installs what this reader refuses: a key that is there twice, two hooks of one name, a test without a name.
    #[test]
    fn a_release_of_another_program_that_cannot_be_read_is_a_note_and_one_of_a_service_an_error() {
        let named = |extra: &str| {
            let mut payload = unpack(secret("deployed").text("/data/release").unwrap()).unwrap();
            payload["manifest"] = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {extra}\n").into();
            payload
        };
        let hook = |metadata: &str| {
            let mut payload = named("{ name: a }");
            let manifest = format!("apiVersion: v1\nkind: Pod\nmetadata: {metadata}\n");
            payload["hooks"] = json!([{ "manifest": manifest }, { "manifest": manifest }]);
            payload
        };
        for (payload, reason) in [
            (named("{ name: a }\ndata: { A: '1', A: '2' }"), "key `A` is in this map a second time"),
            (hook("{ name: h, annotations: { helm.sh/hook: post-install } }"), "Pod/h is rendered twice"),
            (hook("{ generateName: h-, annotations: { helm.sh/hook: test } }"), "no `metadata.name`"),
        ] {
            let stored = |labels: Value| {
                let mut value = secret("deployed").value().clone();
                value["data"]["release"] = pack(&payload).into();
                value["metadata"]["labels"] = labels;
                BTreeMap::from([("cart".to_owned(), (3, Object::new(value).unwrap()))])
            };
            let other = read_all(stored(json!({})), "shop", |name| name == "basket").unwrap();
            let notes: Vec<String> = other.notes().collect();
            let is_told = notes[0].starts_with("helm release `cart` of another program is not judged");
            assert!(is_told && notes[0].contains(reason) && !notes[0].contains("Policy"), "{notes:?}");
            assert!(other.stored.is_empty() && notes.len() == 1, "{notes:?}");
            for ours in [
                read_all(stored(json!({})), "shop", |name| name == "cart"),
                read_all(stored(json!({ MADE_HERE: "12345678" })), "shop", |_| false),
            ] {
                let error = ours.err().unwrap().to_string();
                assert!(error.starts_with("helm release `cart`: cannot read its revision 3: "), "{error}");
                assert!(error.contains(reason), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_release_is_an_error() {
        for data in ["", "%", "aGVsbG8=", &BASE64.encode(BASE64.encode("hello"))] {
            assert!(unpack(data).is_err(), "{data}");
        }
    }
}
