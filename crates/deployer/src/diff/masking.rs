//! Values that a plan must not show: those of Secrets, and secrets that are known wherever they stand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cluster::{Kind, StateKey};
use process::Redactor;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::FieldChange;
use crate::settings::keyed_digest;

/// How many digits of the HMAC a marker has.
const DIGITS: usize = 8;

/// Puts markers in the place of secret values.
pub(crate) struct Masking {
    key: Option<StateKey>,
    redactor: Redactor,
}

impl Masking {
    /// Markers under the key of the namespace, and these secrets nowhere. Without a key all markers are alike.
    pub(crate) fn new<'a>(key: Option<StateKey>, secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut redactor = Redactor::new();
        for secret in secrets {
            redactor.add(secret.expose_secret());
        }
        Self { key, redactor }
    }

    /// The change of a field of an object of this kind, without secrets.
    pub(crate) fn mask(&self, kind: &Kind, change: FieldChange) -> FieldChange {
        let FieldChange { path, before, after } = change;
        let is_secret = kind.is("", "Secret") && !is_public(&path);
        let is_encoded = path.starts_with("data");
        let value = |value: Value| if is_secret { self.marked(value, is_encoded) } else { self.redacted(value) };
        FieldChange { before: before.map(value), after: after.map(value), path }
    }

    /// The marker of a value.
    pub(crate) fn marker(&self, value: &str) -> String {
        match &self.key {
            Some(key) => {
                let digest = keyed_digest(key, &serde_json::json!(["plan-marker", value]));
                format!("(secret {})", digest.get(..DIGITS).unwrap_or(&digest))
            }
            None => "(secret)".to_owned(),
        }
    }

    fn marked(&self, value: Value, is_encoded: bool) -> Value {
        match value {
            Value::Object(map) => {
                let marked = map.into_iter().map(|(key, value)| (key, self.marked(value, is_encoded)));
                Value::Object(marked.collect())
            }
            Value::String(text) => {
                let plain = BASE64.decode(&text).ok().filter(|_| is_encoded);
                let plain = plain.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                self.marker(plain.as_deref().unwrap_or(&text)).into()
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
                self.marker(&other.to_string()).into()
            }
        }
    }

    fn redacted(&self, value: Value) -> Value {
        match value {
            Value::String(text) => self.redactor.redact(&text).into(),
            Value::Array(items) => items.into_iter().map(|item| self.redacted(item)).collect(),
            Value::Object(map) => {
                Value::Object(map.into_iter().map(|(key, value)| (key, self.redacted(value))).collect())
            }
            other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
        }
    }
}

/// Fields of a Secret that hold none: annotations can hold a copy of it.
fn is_public(path: &str) -> bool {
    let is_of =
        |field: &str| path == field || path.starts_with(&format!("{field}.")) || path.starts_with(&format!("{field}["));
    ["apiVersion", "kind", "type", "immutable"].contains(&path)
        || ["metadata.labels", "metadata.name", "metadata.namespace", "metadata.ownerReferences"].into_iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(path: &str, before: Value, after: Value) -> FieldChange {
        FieldChange { path: path.to_owned(), before: Some(before), after: Some(after) }
    }

    #[test]
    fn b30_values_of_secrets_are_markers_and_equal_values_look_equal() {
        let masking = Masking::new(Some(StateKey::new([7; 32])), []);
        let mask = |path: &str, before: &str, after: &str| {
            let masked = masking.mask(&Kind::new("v1", "Secret"), change(path, before.into(), after.into()));
            let text = |value: Option<Value>| value.unwrap().as_str().unwrap().to_owned();
            (text(masked.before), text(masked.after))
        };
        let (one, other) = mask("data.PASSWORD", &BASE64.encode("hunter2"), &BASE64.encode("hunter3"));
        assert!(one.starts_with("(secret ") && one != other, "{one} {other}");
        let (again, plain) = mask("data.OTHER", &BASE64.encode("hunter2"), &BASE64.encode("hunter2"));
        assert_eq!((again.as_str(), plain.as_str()), (one.as_str(), one.as_str()));
        assert_eq!(mask("stringData.PASSWORD", "hunter2", "x").0, one, "in whatever form it is written");
        assert_eq!(mask("metadata.labels.app", "cart", "web"), ("cart".to_owned(), "web".to_owned()));
        assert!(mask("metadata.annotations.backup", "hunter2", "x").0.starts_with("(secret "));
        let other_namespace = Masking::new(Some(StateKey::new([8; 32])), []);
        assert_ne!(other_namespace.marker("hunter2"), one, "nothing can be looked up in another namespace");
        assert_eq!(Masking::new(None, []).marker("hunter2"), "(secret)");
    }

    #[test]
    fn t25_a_known_secret_is_shown_nowhere() {
        let secrets = [SecretString::from("correct-horse-battery")];
        let masking = Masking::new(None, &secrets);
        let masked = masking.mask(
            &Kind::new("v1", "ConfigMap"),
            change(
                "data",
                json!({ "URL": "postgres://cart:correct-horse-battery@db" }),
                json!(["correct-horse-battery"]),
            ),
        );
        let text = format!("{masked:?}");
        assert!(text.contains("postgres://cart:") && !text.contains("horse"), "{text}");
    }
}
