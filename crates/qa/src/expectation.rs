//! What an answer has to look like, and how it differs from that.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::text::shown;

/// What an answer has to look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The status.
    pub status: u16,
    /// Headers by name in lower case, and their whole value.
    pub headers: BTreeMap<String, String>,
    /// A text that the body has somewhere.
    pub body_contains: Option<String>,
    /// Values of a JSON body, by [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901).
    pub json: BTreeMap<String, Value>,
}

impl Expectation {
    /// Everything in which the answer differs.
    pub(crate) fn differences(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
        let mut differences = Vec::new();
        let text = String::from_utf8_lossy(body);
        if status != self.status {
            let beginning = shown(body);
            let body = if beginning.is_empty() { String::new() } else { format!(" with `{beginning}`") };
            differences.push(format!("status is {status}{body}, expected {}", self.status));
        }
        for (name, expected) in &self.headers {
            let found: Vec<String> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if found.is_empty() {
                differences.push(format!("header `{name}` is missing, expected `{}`", shown(expected)));
            } else if !found.contains(expected) {
                let found = shown(&found.join(", "));
                differences.push(format!("header `{name}` is `{found}`, expected `{}`", shown(expected)));
            }
        }
        if let Some(expected) = self.body_contains.as_deref().filter(|expected| !text.contains(expected)) {
            differences.push(format!("body is `{}`, expected to contain `{}`", shown(body), shown(expected)));
        }
        if !self.json.is_empty() {
            self.json_differences(body, &mut differences);
        }
        differences
    }

    fn json_differences(&self, body: &[u8], differences: &mut Vec<String>) {
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return differences.push(format!("body is not JSON: `{}`", shown(body)));
        };
        for (pointer, expected) in &self.json {
            match document.pointer(pointer) {
                None => differences.push(format!("`{}` is missing, expected `{}`", shown(pointer), in_json(expected))),
                Some(found) if is_equal(found, expected) => {}
                Some(found) => differences.push(format!(
                    "`{}` is `{}`, expected `{}`",
                    shown(pointer),
                    in_json(found),
                    in_json(expected)
                )),
            }
        }
    }
}

fn in_json(value: &Value) -> String {
    shown(&value.to_string())
}

/// JSON has one kind of number: `1` and `1.0` are equal.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| is_equal(value, other)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_nothing_else_is_bent() {
        assert!(is_equal(&json!({ "a": [1, 2.5] }), &json!({ "a": [1.0, 2.5] })));
        assert!(!is_equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
        assert!(!is_equal(&json!("1"), &json!(1)));
        assert!(!is_equal(&json!([1]), &json!([1, 2])));
        assert!(!is_equal(&json!(null), &json!(false)));
    }

    #[test]
    fn every_difference_is_said() {
        let expectation = Expectation {
            status: 200,
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            body_contains: Some("digest".to_owned()),
            json: [("/a/0".to_owned(), json!(1)), ("/b".to_owned(), json!("x"))].into(),
        };
        let found = expectation.differences(503, &HeaderMap::new(), br#"{"a":[2]}"#);
        assert_eq!(
            found,
            [
                r#"status is 503 with `{"a":[2]}`, expected 200"#,
                "header `content-type` is missing, expected `application/json`",
                r#"body is `{"a":[2]}`, expected to contain `digest`"#,
                "`/a/0` is `2`, expected `1`",
                "`/b` is missing, expected `\"x\"`",
            ]
        );
    }
}
