//! Reading manifests: YAML streams of Kubernetes objects, without YAML's reuse tricks.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use crate::problem::{DeployProblem, ProblemKind, escaped};

/// Largest manifest that is read.
const SIZE_LIMIT: usize = 8 * 1024 * 1024;

/// One object of a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Position among the file's documents, from 1; empty documents do not count.
    pub(crate) number: usize,
    /// Line where the document's content begins.
    pub(crate) line: u64,
    pub(crate) object: Map<String, Value>,
}

/// Parses every object of a file; `kind: List` is taken apart into its items.
///
/// Scalars mean what they mean to `kubectl`, which reads YAML 1.1: `yes` is a boolean and `0644` is octal. A comment
/// means nothing and does not survive.
///
/// The problems name document and line; service and file are the caller's to say.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Document>, Vec<DeployProblem>> {
    let unreadable = |message: &str| DeployProblem::new(ProblemKind::Unreadable, message);
    let whole = |message: String| vec![unreadable(&message)];
    if bytes.len() > SIZE_LIMIT {
        return Err(whole(format!("the file has {} bytes, the limit is {SIZE_LIMIT}", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| whole(format!("the file is not UTF-8: {error}")))?;
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: false,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    let documents: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map(|place| place.line()).filter(|line| *line > 0);
        vec![unreadable(&parser_message(&error)).at(None, line)]
    })?;
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let line = document.referenced.line();
        match document.value.0 {
            Value::Object(object) => unfold(index + 1, line, object, &mut found, &mut wrong),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                wrong.push(unreadable("the document is not a Kubernetes object").at(Some(index + 1), Some(line)));
            }
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn unfold(
    number: usize,
    line: u64,
    mut object: Map<String, Value>,
    found: &mut Vec<Document>,
    wrong: &mut Vec<DeployProblem>,
) {
    let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    if !is_list || !object.get("items").is_some_and(Value::is_array) {
        found.push(Document { number, line, object });
        return;
    }
    if let Some(Value::Array(items)) = object.remove("items") {
        for item in items {
            if let Value::Object(object) = item {
                unfold(number, line, object, found, wrong);
            } else {
                let message = "an item of the list is not a Kubernetes object";
                wrong.push(DeployProblem::new(ProblemKind::Unreadable, message).at(Some(number), Some(line)));
            }
        }
    }
}

fn parser_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = escaped(text.lines().next().unwrap_or("unreadable"));
    if text.contains("anchor") || text.contains("alias") {
        "anchors and aliases are not accepted: write the value out".to_owned()
    } else {
        format!("not readable as YAML: {text}")
    }
}

/// A YAML node as JSON; unlike [`Value`]'s own reader it refuses what JSON has no word for.
pub(crate) struct Node(pub(crate) Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value)
            .map(|number| Node(Value::Number(number)))
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(Node(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Node(Value::Array(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Map::new();
        while let Some((key, Node(value))) = access.next_entry::<String, Node>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{}`", escaped(&key))));
            }
            entries.insert(key, value);
        }
        Ok(Node(Value::Object(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().remove(0).message
    }

    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        let documents = parse(b"a: 0644\nb: yes\nc: 'yes'\nd: 1e3\ne: ~\nf: 2025-11-20\ng: 1.5\nh: '012'\n").unwrap();
        let json = serde_json::to_string(&documents[0].object).unwrap();
        assert_eq!(json, r#"{"a":420,"b":true,"c":"yes","d":1000.0,"e":null,"f":"2025-11-20","g":1.5,"h":"012"}"#);
    }

    #[test]
    fn documents_are_counted_without_the_empty_ones_and_lists_are_unfolded() {
        let text = "---\n# nothing\n---\nkind: A\n---\nkind: List\nitems:\n- kind: B\n- kind: C\n";
        let documents = parse(text.as_bytes()).unwrap();
        let places: Vec<(usize, u64, &str)> =
            documents.iter().map(|it| (it.number, it.line, it.object["kind"].as_str().unwrap())).collect();
        assert_eq!(places, [(1, 4, "A"), (2, 6, "B"), (2, 6, "C")]);
    }

    #[test]
    fn reuse_tricks_and_doubled_keys_are_refused() {
        assert_eq!(message("a: &x 1\nb: *x\n"), "anchors and aliases are not accepted: write the value out");
        assert!(message("a: 1\na: 2\n").contains("duplicate"), "{}", message("a: 1\na: 2\n"));
        assert!(message("a: {<<: {b: 1}}\n").contains("merge"), "{}", message("a: {<<: {b: 1}}\n"));
        assert!(message("a: .nan\n").contains("not readable as YAML"));
        assert!(message("a: !custom x\n").contains("not readable as YAML"));
        assert_eq!(message("- a\n"), "the document is not a Kubernetes object");
        assert!(message("a: [[[[\n").contains("not readable as YAML"));
        assert!(parse(b"\xff\xfe").unwrap_err()[0].message.contains("UTF-8"));
    }
}
