//! Fields that are not the manifest's alone: what the API server filled in, and replicas that an autoscaler sets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::Object;
use serde_json::{Map, Value};

use super::ownership::is_our_spec_field;
use crate::manifest::ObjectId;
use crate::namespace::Autoscaled;
use crate::stopped::stays_stopped;

/// A manifest as the API server keeps it: `stringData` of a Secret is a way to write `data`. Sent so, its keys are owned where
/// they are kept, and one that leaves the manifest leaves the Secret.
pub(super) fn as_kept(id: &ObjectId, mut manifest: Map<String, Value>) -> Map<String, Value> {
    if !(id.group.is_empty() && id.kind == "Secret") {
        return manifest;
    }
    let Some(Value::Object(texts)) = manifest.remove("stringData") else { return manifest };
    let data = manifest.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    for (key, text) in texts {
        let kept = text.as_str().map(|text| BASE64.encode(text).into());
        if let (Some(data), Some(kept)) = (data.as_object_mut(), kept) {
            data.insert(key, kept);
        }
    }
    manifest
}

/// A strategy that excludes a block, which the API server fills in where there is no strategy: field, value, block.
const EXCLUDED_BLOCKS: [(&str, &str, &str); 2] =
    [("strategy", "Recreate", "rollingUpdate"), ("updateStrategy", "OnDelete", "rollingUpdate")];

/// How a block is cleared that the API server filled in and that the strategy of a manifest excludes. A server-side apply
/// cannot do so: the block has no owner.
pub(super) fn clears(manifest: &Object, live: &Object) -> Option<String> {
    let (field, kind, block) = EXCLUDED_BLOCKS.into_iter().find(|(field, kind, block)| {
        manifest.text(&format!("/spec/{field}/type")) == Some(kind)
            && manifest.at(&format!("/spec/{field}/{block}")).is_none()
            && live.at(&format!("/spec/{field}/{block}")).is_some()
    })?;
    let patch = serde_json::json!({ "spec": { field: { "type": kind, block: null } } });
    let (key, workload) = (live.key(), live.key().kind.kind.to_lowercase());
    let namespace = key.namespace.as_deref().unwrap_or_default();
    Some(format!(
        "the API server had filled in `spec.{field}.{block}`; `kubectl patch {workload} {} --namespace {namespace} --type merge \
         --patch '{patch}'` clears it once",
        key.name
    ))
}

/// What is sent in place of a manifest, for the object that is there now.
pub(super) fn adjusted(manifest: &Object, live: Option<&Object>, scaled: &Autoscaled) -> Value {
    let mut value = manifest.value().clone();
    let (Some(live), Some(spec)) = (live, value.get_mut("spec").and_then(Value::as_object_mut)) else { return value };
    if scaled.has(live) && spec.contains_key("replicas") {
        match live.at("/spec/replicas") {
            // To give up what nothing else owns yet would set it to its default.
            Some(replicas) if is_our_spec_field(live, "replicas") => {
                spec.insert("replicas".to_owned(), replicas.clone());
            }
            Some(_) | None => {
                spec.remove("replicas");
            }
        }
    } else if stays_stopped(manifest.value(), live) || holds_default(manifest, live) {
        // What the API server gives to a new one.
        spec.insert("replicas".to_owned(), 1.into());
    }
    value
}

/// Whether one replica was started where the manifest names no number: it is sent until something else sets the number,
/// since giving the field up would be a change that changes nothing.
fn holds_default(manifest: &Object, live: &Object) -> bool {
    manifest.at("/spec/replicas").is_none()
        && live.integer("/spec/replicas") == Some(1)
        && is_our_spec_field(live, "replicas")
}

/// Whether a live value has all that a manifest says; what the API server fills in or writes in another way is more.
pub(super) fn includes(live: &Value, manifest: &Value) -> bool {
    match (live, manifest) {
        (Value::Object(live), Value::Object(manifest)) => manifest.iter().all(|(key, wanted)| match live.get(key) {
            None => wanted.is_null(),
            Some(found) => includes(found, wanted),
        }),
        (Value::Array(live), Value::Array(manifest)) => {
            live.len() == manifest.len() && live.iter().zip(manifest).all(|(found, wanted)| includes(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(spec: &Value, owner: &str) -> Object {
        let managed =
            json!([{ "manager": owner, "operation": "Apply", "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
        Object::new(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "a", "namespace": "shop", "managedFields": managed }, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a2_a_block_that_was_filled_in_is_named_where_the_strategy_excludes_it() {
        let rolling = deployment(&json!({ "strategy": { "type": "RollingUpdate", "rollingUpdate": {} } }), "x");
        let recreate = deployment(&json!({ "strategy": { "type": "Recreate" } }), "x");
        let said = clears(&recreate, &rolling).unwrap();
        assert!(said.contains(r#"--patch '{"spec":{"strategy":{"rollingUpdate":null,"type":"Recreate"}}}'"#), "{said}");
        assert_eq!((clears(&recreate, &recreate), clears(&rolling, &rolling)), (None, None));
    }

    #[test]
    fn replicas_of_an_autoscaler_are_left_out() {
        let autoscaler = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "x", "namespace": "shop" },
            "spec": { "scaleTargetRef": { "kind": "Deployment", "name": "a" } },
        });
        let mut scaled = Autoscaled::default();
        scaled.add(&Object::new(autoscaler).unwrap());
        let sent = |live: Option<&Object>| {
            adjusted(&deployment(&json!({ "replicas": 2 }), "x"), live, &scaled)["spec"].clone()
        };
        assert_eq!(sent(None), json!({ "replicas": 2 }), "a new one begins somewhere");
        assert_eq!(sent(Some(&deployment(&json!({ "replicas": 7 }), "orchestrator"))), json!({ "replicas": 7 }));
        assert_eq!(sent(Some(&deployment(&json!({ "replicas": 7 }), "kube-controller-manager"))), json!({}));
    }

    #[test]
    fn a_workload_without_a_number_that_was_stopped_is_started() {
        let sent = |wanted: &Value, live: &Value| {
            adjusted(&deployment(wanted, "x"), Some(&deployment(live, "x")), &Autoscaled::default())["spec"].clone()
        };
        assert_eq!(sent(&json!({}), &json!({ "replicas": 0 })), json!({ "replicas": 1 }));
        for (wanted, live) in [(json!({}), 3), (json!({ "replicas": 0 }), 0), (json!({ "replicas": 2 }), 0)] {
            assert_eq!(sent(&wanted, &json!({ "replicas": live })), wanted, "{live}");
        }
    }

    #[test]
    fn text_of_a_secret_is_sent_as_it_is_kept() {
        let kept = |manifest: Value| {
            let Value::Object(manifest) = manifest else { panic!("an object is a map") };
            let id = ObjectId::of(&manifest).unwrap();
            Value::Object(as_kept(&id, manifest))
        };
        let secret = |more: Value| {
            let mut secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" } });
            secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            secret
        };
        for (written, wanted) in [
            (json!({ "stringData": { "pw": "abcdefgh" } }), json!({ "data": { "pw": "YWJjZGVmZ2g=" } })),
            // Where both have a key, the text is what the API server takes.
            (
                json!({ "data": { "pw": "eA==", "b": "Yg==" }, "stringData": { "pw": "é" } }),
                json!({ "data": { "pw": "w6k=", "b": "Yg==" } }),
            ),
            (json!({ "data": null, "stringData": {} }), json!({ "data": {} })),
            (json!({ "data": { "pw": "eA==" }, "stringData": null }), json!({ "data": { "pw": "eA==" } })),
        ] {
            assert_eq!(kept(secret(written)), secret(wanted));
        }
        let other =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "stringData": { "a": "b" } });
        assert_eq!(kept(other.clone()), other);
    }

    #[test]
    fn a_live_object_may_have_more() {
        let live = json!({ "a": { "b": 1, "c": 2 }, "l": [{ "x": 1, "y": 2 }] });
        for (manifest, is_included) in [
            (json!({ "a": { "b": 1 } }), true),
            (json!({ "l": [{ "x": 1 }], "gone": null }), true),
            (json!({ "a": { "b": 2 } }), false),
            (json!({ "l": [] }), false),
            (json!({ "a": null }), false),
            (json!({ "z": 1 }), false),
        ] {
            assert_eq!(includes(&live, &manifest), is_included, "{manifest}");
        }
    }
}
