//! Whether an object can be stored as it is written: the API server writes some fields itself, and some kinds are requests
//! that are answered and not kept.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::manifest::ObjectId;
use crate::problem::{ProblemKind, escaped};
use crate::rules::Violation;

/// Fields of `metadata` that the API server writes; with a value of its own an object is refused there, or means another one.
const WRITTEN_BY_THE_SERVER: [&str; 5] = ["deletionTimestamp", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Kinds that the API server answers and does not keep.
const REQUESTS: [&str; 8] = [
    "Binding",
    "Eviction",
    "LocalSubjectAccessReview",
    "SelfSubjectAccessReview",
    "SelfSubjectReview",
    "SelfSubjectRulesReview",
    "SubjectAccessReview",
    "TokenReview",
];

/// Maps of a kind of the core group whose values are text: the API server would quote the value that it refuses.
const TEXTS: [(&str, &str); 3] = [("Secret", "stringData"), ("Secret", "data"), ("ConfigMap", "data")];

/// What keeps an object from being stored.
pub(crate) fn violations(object: &Map<String, Value>, id: &ObjectId) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut refuse = |message: String| found.push((ProblemKind::Unreadable, message));
    let is_builtin = id.group.is_empty() || id.group == "policy" || id.group.ends_with(".k8s.io");
    if is_builtin && REQUESTS.contains(&id.kind.as_str()) {
        refuse(format!("{id} is a request to the API server, and no object that it keeps"));
    }
    if let Some(reason) = name_problem(&id.name) {
        refuse(format!("`metadata.name` of the {} is `{}`: {reason}", escaped(&id.kind), escaped(&id.name)));
    }
    let metadata = object.get("metadata").and_then(Value::as_object);
    for field in WRITTEN_BY_THE_SERVER {
        if metadata.and_then(|metadata| metadata.get(field)).is_some_and(|value| !value.is_null() && *value != "") {
            refuse(format!("`metadata.{field}` of {id} is written by the API server alone: leave it out"));
        }
    }
    for (_, field) in TEXTS.iter().filter(|(kind, _)| id.group.is_empty() && id.kind == *kind) {
        for (key, value) in object.get(*field).and_then(Value::as_object).into_iter().flatten() {
            if let Some(kind) = kind_of(value) {
                let key = escaped(key);
                refuse(format!("`{field}.{key}` of {id} is {kind}, and has to be text: write it in quotes"));
            }
        }
    }
    if id.group.is_empty() && id.kind == "Secret" {
        for (key, value) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
            if value.as_str().is_some_and(|text| !is_base64(text)) {
                let key = escaped(key);
                refuse(format!("`data.{key}` of {id} is no base64: text as it is goes into `stringData`"));
            }
        }
    }
    found
}

/// As the API server reads it: line breaks do not count.
fn is_base64(text: &str) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let digits: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(digits).is_ok()
}

/// What a value is that is no text; the value itself is not told. `null` is none.
fn kind_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::String(_) => None,
        Value::Bool(_) => Some("true or false"),
        Value::Number(_) => Some("a number"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("a map"),
    }
}

/// Why no kind can have such a name: it is a part of the object's address.
fn name_problem(name: &str) -> Option<&'static str> {
    if matches!(name, "." | "..") || name.contains(['/', '%']) {
        Some("a name cannot be `.` or `..`, and has no `/` and no `%`")
    } else if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("a name has ASCII characters alone, and no space")
    } else if name.len() > 253 {
        Some("a name has at most 253 characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(object: Value) -> Vec<String> {
        let Value::Object(object) = object else { panic!("an object is a map") };
        let id = ObjectId::of(&object).unwrap();
        violations(&object, &id).into_iter().map(|(_, message)| message).collect()
    }

    #[test]
    fn what_the_api_server_would_not_keep_is_told_with_its_field() {
        let map = |metadata: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata });
        for kept in [
            map(json!({ "name": "a", "creationTimestamp": null, "resourceVersion": "", "generation": 1 })),
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": { "name": "Shop:reader" } }),
            json!({ "apiVersion": "shop.example/v1", "kind": "Binding", "metadata": { "name": "a" } }),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a" }, "stringData": { "a": "1", "b": null } }),
            json!({ "apiVersion": "shop.example/v1", "kind": "Secret", "metadata": { "name": "a" }, "data": { "a": 1 } }),
        ] {
            assert!(found(kept).is_empty());
        }
        for (refused, told) in [
            (
                map(json!({ "name": "a", "uid": "u" })),
                "`metadata.uid` of ConfigMap/a is written by the API server alone",
            ),
            (map(json!({ "name": "a", "resourceVersion": "1" })), "`metadata.resourceVersion`"),
            (map(json!({ "name": "a", "managedFields": [] })), "`metadata.managedFields`"),
            (map(json!({ "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z" })), "`metadata.deletionTimestamp`"),
            (map(json!({ "name": "é" })), "`metadata.name` of the ConfigMap is `é`"),
            (map(json!({ "name": "a/b" })), "has no `/`"),
            (map(json!({ "name": ".." })), "cannot be `.` or `..`"),
            (map(json!({ "name": "a b" })), "no space"),
            (map(json!({ "name": "a".repeat(254) })), "at most 253"),
            (json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "p" } }), "Binding/p is a request"),
            (json!({ "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": "p" } }), "is a request"),
        ] {
            let found = found(refused);
            assert!(found.len() == 1 && found[0].contains(told), "{told}: {found:?}");
        }
    }

    #[test]
    fn t25_a_value_that_is_no_text_is_told_with_its_key_and_never_with_its_value() {
        for (kind, field, value, told) in [
            ("Secret", "stringData", json!(1_234_567_890_123_u64), "is a number"),
            ("Secret", "data", json!(1.5), "is a number"),
            ("Secret", "data", json!("12345!"), "is no base64"),
            ("Secret", "data", json!("MTIzNDU"), "is no base64"),
            ("ConfigMap", "data", json!(true), "is true or false"),
            ("ConfigMap", "data", json!(["1234567890123"]), "is a list"),
        ] {
            let found = found(json!({
                "apiVersion": "v1", "kind": kind, "metadata": { "name": "pre" }, field: { "pw": value, "ok": "eHg=\n" },
            }));
            assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
            assert!(found[0].starts_with(&format!("`{field}.pw` of {kind}/pre")), "{found:?}");
            assert!(!found[0].contains("12345") && !found[0].contains("1.5"), "{found:?}");
        }
    }
}
