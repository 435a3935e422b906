//! Manifests of artefacts and lists of referrers, as they come over the wire.

use std::collections::BTreeMap;

use lock_model::Digest;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::content::Referrer;
use crate::document::{Fetched, media_type};
use crate::error::RegistryErrorKind;
use crate::layout::Blob;
use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::text::escaped;

/// A manifest, read for what it refers to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    schema_version: u64,
    media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    pub(super) subject: Option<Descriptor>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
    manifests: Option<IgnoredAny>,
}

/// A reference to other content. Its `urls` are never looked at.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    artifact_type: Option<String>,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// A list of referrers, with everything in it that we know nothing of.
#[derive(Debug)]
pub(super) struct List {
    document: Map<String, Value>,
    entries: Vec<Descriptor>,
}

impl Manifest {
    /// Reads a manifest whose hash has been compared; `served_as` must be what it calls itself.
    pub(super) fn parse(fetched: &Fetched) -> Result<Self, RegistryErrorKind> {
        let manifest: Self = serde_json::from_slice(&fetched.bytes)
            .map_err(|error| refused(format!("the answer is not a manifest ({error})")))?;
        let media_type = media_type(fetched.media_type.as_deref(), manifest.media_type.as_deref()).map_err(refused)?;
        if media_type != OCI_MANIFEST && media_type != DOCKER_MANIFEST {
            return Err(refused(format!("its media type is `{}`", escaped(media_type))));
        }
        if manifest.schema_version != 2 {
            return Err(refused("its `schemaVersion` is not 2".to_owned()));
        }
        if manifest.manifests.is_some() {
            return Err(refused("it is an index and a manifest at the same time".to_owned()));
        }
        Ok(manifest)
    }
}

impl List {
    /// A list without entries.
    pub(super) fn empty() -> Self {
        let empty = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
        let Value::Object(document) = empty else { unreachable!("an object was written") };
        Self { document, entries: Vec::new() }
    }

    pub(super) fn parse(fetched: &Fetched) -> Result<Self, RegistryErrorKind> {
        let unreadable = |error| refused(format!("the list of referrers cannot be read ({error})"));
        let document: Map<String, Value> = serde_json::from_slice(&fetched.bytes).map_err(unreadable)?;
        let own = document.get("mediaType").and_then(Value::as_str);
        let media_type = media_type(fetched.media_type.as_deref(), own).map_err(refused)?;
        if media_type != OCI_INDEX {
            return Err(refused(format!("the list of referrers is `{}`", escaped(media_type))));
        }
        if document.contains_key("config") || document.contains_key("layers") {
            return Err(refused("it is an index and a manifest at the same time".to_owned()));
        }
        let entries = document.get("manifests").cloned().unwrap_or(Value::Null);
        let entries: Option<Vec<Descriptor>> = serde_json::from_value(entries).map_err(unreadable)?;
        Ok(Self { document, entries: entries.unwrap_or_default() })
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.entries.iter().any(|entry| entry.digest == *digest)
    }

    /// The list with one more entry; everything else stays as it is.
    pub(super) fn with(mut self, entry: Value) -> Blob {
        match self.document.get_mut("manifests") {
            Some(Value::Array(entries)) => entries.push(entry),
            _ => drop(self.document.insert("manifests".to_owned(), Value::Array(vec![entry]))),
        }
        self.document.entry("mediaType").or_insert_with(|| OCI_INDEX.into());
        // Not in canonical form: what others wrote need not be possible in it.
        let bytes = serde_json::to_vec(&self.document).expect("a JSON value can be written");
        Blob::new(OCI_INDEX, bytes)
    }

    pub(super) fn into_referrers(self) -> impl Iterator<Item = Referrer> {
        self.entries.into_iter().map(|entry| Referrer {
            media_type: entry.media_type,
            digest: entry.digest,
            size: entry.size,
            artifact_type: entry.artifact_type,
            annotations: entry.annotations.unwrap_or_default(),
        })
    }
}

/// The descriptor of a manifest or an index that is there, for the `subject` of another.
pub(super) fn descriptor(digest: &Digest, fetched: &Fetched) -> Result<Value, RegistryErrorKind> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    let typed: Typed = serde_json::from_slice(&fetched.bytes)
        .map_err(|error| refused(format!("the answer is not a manifest ({error})")))?;
    let media_type = media_type(fetched.media_type.as_deref(), typed.media_type.as_deref()).map_err(refused)?;
    if ![OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].contains(&media_type) {
        return Err(refused(format!("its media type is `{}`", escaped(media_type))));
    }
    Ok(json!({ "mediaType": media_type, "digest": digest, "size": fetched.bytes.len() }))
}

pub(super) fn refused(reason: String) -> RegistryErrorKind {
    RegistryErrorKind::NotAnArtifact { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(document: &Value, media_type: &str) -> Fetched {
        Fetched { bytes: document.to_string().into_bytes().into(), media_type: Some(media_type.to_owned()) }
    }

    fn descriptor_of(text: &str) -> Value {
        json!({ "mediaType": "text/plain", "digest": Digest::of(text.as_bytes()), "size": text.len() })
    }

    #[test]
    fn t33_documents_that_readers_may_see_differently_are_refused() {
        let blob = descriptor_of("a");
        let manifest = |change: Value| {
            let mut manifest = json!({ "schemaVersion": 2, "config": blob, "layers": [blob] });
            manifest.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            manifest
        };
        Manifest::parse(&fetched(&manifest(json!({})), OCI_MANIFEST)).unwrap();
        for (document, served_as, why) in [
            (manifest(json!({ "manifests": [] })), OCI_MANIFEST, "same time"),
            (manifest(json!({ "mediaType": OCI_INDEX })), OCI_MANIFEST, "calling itself"),
            (manifest(json!({ "schemaVersion": 1 })), OCI_MANIFEST, "not 2"),
            (manifest(json!({})), OCI_INDEX, "media type is"),
            (manifest(json!({})), "text/html", "media type is"),
            (json!([]), OCI_MANIFEST, "not a manifest"),
            (
                manifest(json!({ "layers": [{ "mediaType": "a/b", "digest": "md5:1", "size": 1 }] })),
                OCI_MANIFEST,
                "digest",
            ),
        ] {
            let text = Manifest::parse(&fetched(&document, served_as)).unwrap_err().to_string();
            assert!(text.contains(why), "{document}: {text}");
        }
        let twice = format!(r#"{{"schemaVersion":2,"config":{blob},"config":{blob},"layers":[]}}"#);
        let twice = Fetched { bytes: twice.into_bytes().into(), media_type: Some(OCI_MANIFEST.to_owned()) };
        assert!(Manifest::parse(&twice).unwrap_err().to_string().contains("duplicate"));
        for (document, served_as) in [
            (json!({ "schemaVersion": 2, "manifests": [], "layers": [] }), OCI_INDEX),
            (json!({ "schemaVersion": 2, "manifests": [] }), DOCKER_LIST),
            (json!({ "schemaVersion": 2, "manifests": [{ "digest": "x" }] }), OCI_INDEX),
            (json!([]), OCI_INDEX),
        ] {
            List::parse(&fetched(&document, served_as)).unwrap_err();
        }
    }

    #[test]
    fn a_list_keeps_what_it_does_not_know() {
        let mut known = descriptor_of("a");
        known["platform"] = json!({ "os": "linux", "score": 1.5 });
        let list = json!({ "schemaVersion": 2, "manifests": [known], "x-other": { "y": [1, null] } });
        let list = List::parse(&fetched(&list, OCI_INDEX)).unwrap();
        assert!(list.contains(&Digest::of(b"a")) && !list.contains(&Digest::of(b"b")));
        let grown: Value = serde_json::from_slice(&list.with(descriptor_of("b")).bytes).unwrap();
        let expected = json!({
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [known, descriptor_of("b")],
            "x-other": { "y": [1, null] },
        });
        assert_eq!(grown, expected);
        // `null` where a list should be is how Go writes an empty one.
        let none = List::parse(&fetched(&json!({ "schemaVersion": 2, "manifests": null }), OCI_INDEX)).unwrap();
        let one: Value = serde_json::from_slice(&none.with(descriptor_of("b")).bytes).unwrap();
        assert_eq!(one["manifests"], json!([descriptor_of("b")]));
    }
}
