//! What an answer has to look like, and in what it does not.

use std::collections::BTreeMap;

use http_client::json::is_equal;
use lock_model::escaping::excerpt;
use process::Redactor;
use reqwest::header::HeaderMap;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::text::masked_excerpt;

/// What an answer has to look like: `expect:` of a request.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Expectation {
    pub(crate) status: Spanned<u16>,
    /// Headers by name in any case, each with its whole value.
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
    /// A text anywhere in the body.
    pub(crate) body_contains: Option<String>,
    /// Values of a JSON body, by [JSON pointer](https://www.rfc-editor.org/rfc/rfc6901).
    #[serde(default)]
    pub(crate) json: BTreeMap<String, Value>,
}

impl Expectation {
    /// Everything in which the answer is not as expected, without the secrets that an answer repeats.
    pub(crate) fn mismatches(&self, status: u16, headers: &HeaderMap, body: &[u8], secrets: &Redactor) -> Vec<String> {
        let mut mismatches = Vec::new();
        let beginning = || masked_excerpt(secrets, body);
        let text = String::from_utf8_lossy(body);
        if status != self.status.value {
            let beginning = beginning();
            let body = if beginning.is_empty() { String::new() } else { format!(" with `{beginning}`") };
            mismatches.push(format!("status is {status}{body}, expected {}", self.status.value));
        }
        for (name, expected) in &self.header {
            let found: Vec<String> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .collect();
            if found.is_empty() {
                mismatches.push(format!("header `{name}` is missing, expected `{}`", excerpt(expected)));
            } else if !found.contains(expected) {
                let found = masked_excerpt(secrets, found.join(", ").as_bytes());
                mismatches.push(format!("header `{name}` is `{found}`, expected `{}`", excerpt(expected)));
            }
        }
        if let Some(expected) = self.body_contains.as_deref().filter(|expected| !text.contains(expected)) {
            mismatches.push(format!("body is `{}`, expected to contain `{}`", beginning(), excerpt(expected)));
        }
        if !self.json.is_empty() {
            self.json_mismatches(body, secrets, &mut mismatches);
        }
        mismatches
    }

    fn json_mismatches(&self, body: &[u8], secrets: &Redactor, mismatches: &mut Vec<String>) {
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return mismatches.push(format!("body is not JSON: `{}`", masked_excerpt(secrets, body)));
        };
        for (pointer, expected) in &self.json {
            match document.pointer(pointer) {
                None => mismatches.push(format!("`{}` is missing, expected `{}`", excerpt(pointer), in_json(expected))),
                Some(found) if is_equal(found, expected) => {}
                Some(found) => mismatches.push(format!(
                    "`{}` is `{}`, expected `{}`",
                    excerpt(pointer),
                    masked_excerpt(secrets, found.to_string().as_bytes()),
                    in_json(expected)
                )),
            }
        }
    }
}

fn in_json(value: &Value) -> String {
    excerpt(value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn t48_no_beginning_of_a_secret_is_left_where_an_answer_is_cut() {
        let secret = "s3cr3t-of-the-suite";
        let mut secrets = Redactor::new();
        secrets.add(secret);
        let text = "{ status: 200, header: { x-token: none }, body-contains: digest, json: { /a: x, /b: y } }";
        let expectation: Expectation = serde_saphyr::from_str(text).unwrap();
        for padding in 150..210 {
            let padding = "p".repeat(padding);
            let long = format!("{padding}{secret}{padding}");
            let headers = HeaderMap::from_iter([(http_name(), long.parse().unwrap())]);
            let json = json!({ "a": long, "b": [{ secret: long }] }).to_string();
            for body in [long.as_str(), &json] {
                let found = expectation.mismatches(503, &headers, body.as_bytes(), &secrets).join("; ");
                assert!(!found.contains("s3c"), "{found}");
            }
        }
    }

    fn http_name() -> reqwest::header::HeaderName {
        reqwest::header::HeaderName::from_static("x-token")
    }

    #[test]
    fn every_mismatch_is_reported() {
        let text = r"{ status: 200, header: { Content-Type: application/json }, body-contains: digest, json: { /a/0: 1, /b: x } }";
        let expectation: Expectation = serde_saphyr::from_str(text).unwrap();
        let found = expectation.mismatches(503, &HeaderMap::new(), br#"{"a":[2]}"#, &Redactor::new());
        assert_eq!(
            found,
            [
                r#"status is 503 with `{"a":[2]}`, expected 200"#,
                "header `Content-Type` is missing, expected `application/json`",
                r#"body is `{"a":[2]}`, expected to contain `digest`"#,
                "`/a/0` is `2`, expected `1`",
                "`/b` is missing, expected `\"x\"`",
            ]
        );
    }
}
