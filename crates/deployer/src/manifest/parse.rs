//! Reading manifests: YAML streams of Kubernetes objects. Anchors, aliases and merge keys are written out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::fault::Fault;
use crate::problem::{DeployProblem, ProblemKind, escaped};

/// Largest manifest that is read.
const SIZE_LIMIT: usize = 8 * 1024 * 1024;
/// Most text that a manifest has once its aliases are written out.
const WRITTEN_OUT_LIMIT: usize = 2 * SIZE_LIMIT;
/// Most values that its aliases stand for.
const ALIASED_VALUES: usize = 100_000;

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
    let documents = documents::<Node>(text, MergeKeyPolicy::Merge)?;
    if text.contains("<<") {
        same_to_kubectl(text, &documents)?;
    }
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

/// Reads a file that is one map, such as `Chart.yaml`.
pub(crate) fn parse_map(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("the file is not UTF-8: {error}"))?;
    let mut found = documents::<Node>(text, MergeKeyPolicy::Merge)
        .map_err(|problems| problems.first().map(DeployProblem::text).unwrap_or_default())?;
    match (found.pop().map(|document| document.value.0), found.is_empty()) {
        (Some(Value::Object(map)), true) => Ok(map),
        _ => Err("the file is not one map".to_owned()),
    }
}

fn documents<N: for<'de> Deserialize<'de>>(
    text: &str,
    merge_keys: MergeKeyPolicy,
) -> Result<Vec<Spanned<N>>, Vec<DeployProblem>> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: merge_keys,
        legacy_octal_numbers: true,
        strict_booleans: false,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        with_snippet: false,
        // What an alias stands for counts each time.
        budget: serde_saphyr::budget! {
            max_anchors: 10_000,
            max_aliases: 10_000,
            max_total_scalar_bytes: WRITTEN_OUT_LIMIT,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIASED_VALUES,
            max_replay_stack_depth: 16,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| vec![Fault::of(&error, text).problem()])
}

/// Refuses a map that `kubectl` and the YAML specification read differently: to the specification a key of its own wins
/// over one that `<<` brings, to `kubectl` the later of the two.
fn same_to_kubectl(text: &str, documents: &[Spanned<Node>]) -> Result<(), Vec<DeployProblem>> {
    let kubectl = self::documents::<InOrder>(text, MergeKeyPolicy::AsOrdinary)?;
    let mut problems = Vec::new();
    for (index, (document, theirs)) in documents.iter().zip(&kubectl).enumerate() {
        if document.value.0 != theirs.value.value {
            let begin = document.referenced.line();
            let end = documents.get(index + 1).map(|next| next.referenced.line());
            let place = theirs.value.disagreeing;
            let (line, brings) = merge_key(text, begin, end, place.map(|(line, _)| line));
            let message = format!(
                "a key stands before the `<<` that brings it too{brings}, and YAML readers do not agree which one counts: \
                 write `<<` first in its map"
            );
            let problem = DeployProblem::new(ProblemKind::Unreadable, message).at(Some(index + 1), Some(line));
            problems.push(problem.column(place.map(|(_, column)| column)));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The line of a document's `<<`, and which anchor it brings from which line; the document's first line where it has several
/// of them and the parser does not say `at` which line the fault is.
fn merge_key(text: &str, begin: u64, end: Option<u64>, at: Option<u64>) -> (u64, String) {
    let lines =
        || (1..).zip(text.lines()).filter(|(number, _)| *number >= begin && end.is_none_or(|end| *number < end));
    let is_key = |line: &str| line.contains("<<") && !line.trim_start().starts_with('#');
    let mut keys = lines().filter(|(number, line)| is_key(line) && at.is_none_or(|at| at == *number));
    let (Some((number, line)), None) = (keys.next(), keys.next()) else { return (at.unwrap_or(begin), String::new()) };
    let is_name = |sign: char| !sign.is_whitespace() && !matches!(sign, ',' | '[' | ']' | '{' | '}');
    let alias = line.rsplit_once("<<").and_then(|(_, rest)| rest.split_once('*'));
    let name = alias.and_then(|(_, name)| name.split(|sign| !is_name(sign)).next()).unwrap_or_default();
    let is_anchor =
        |line: &str| line.split_once(&format!("&{name}")).is_some_and(|(_, rest)| !rest.starts_with(is_name));
    let anchor = lines().take_while(|(at, _)| *at <= number).filter(|(_, line)| is_anchor(line)).last();
    let brings = anchor.map(|(at, _)| format!(" (anchor `{}` of line {at})", escaped(name))).unwrap_or_default();
    (number, brings)
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

/// The same where `<<` is read as `kubectl` does: in the order of the map, whatever stands there already.
struct InOrder {
    value: Value,
    /// Line and column of what the first `<<` brings that takes the place of a key before it.
    disagreeing: Option<(u64, u64)>,
}

impl From<Node> for InOrder {
    fn from(Node(value): Node) -> Self {
        Self { value, disagreeing: None }
    }
}

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InOrderVisitor)
    }
}

struct InOrderVisitor;

impl<'de> Visitor<'de> for InOrderVisitor {
    type Value = InOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeVisitor.expecting(f)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<InOrder, E> {
        NodeVisitor.visit_bool(value).map(InOrder::from)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<InOrder, E> {
        NodeVisitor.visit_i64(value).map(InOrder::from)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<InOrder, E> {
        NodeVisitor.visit_u64(value).map(InOrder::from)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<InOrder, E> {
        NodeVisitor.visit_f64(value).map(InOrder::from)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<InOrder, E> {
        NodeVisitor.visit_str(value).map(InOrder::from)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<InOrder, E> {
        NodeVisitor.visit_unit().map(InOrder::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<InOrder, A::Error> {
        let (mut items, mut first) = (Vec::new(), None);
        while let Some(InOrder { value, disagreeing }) = access.next_element()? {
            items.push(value);
            first = first.or(disagreeing);
        }
        Ok(InOrder { value: Value::Array(items), disagreeing: first })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<InOrder, A::Error> {
        let (mut entries, mut first) = (Map::new(), None);
        while let Some((key, found)) = access.next_entry::<String, Spanned<InOrder>>()? {
            let place = (found.referenced.line(), found.referenced.column());
            let InOrder { value, disagreeing } = found.value;
            first = first.or(disagreeing);
            let merged = match (key.as_str(), value) {
                ("<<", Value::Object(merged)) => merged,
                // Of several the first counts most.
                ("<<", Value::Array(several)) => {
                    several.into_iter().rev().filter_map(|one| one.as_object().cloned()).flatten().collect()
                }
                (_, value) => {
                    entries.insert(key, value);
                    continue;
                }
            };
            let is_other = |(key, value): (&String, &Value)| entries.get(key).is_some_and(|own| own != value);
            if merged.iter().any(is_other) {
                first = first.or(Some(place));
            }
            entries.extend(merged);
        }
        Ok(InOrder { value: Value::Object(entries), disagreeing: first })
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
    fn anchors_and_merge_keys_are_written_out_as_kubectl_does() {
        let shared = "x: &x { a: 1, l: [1] }\ny: &y { a: 2, b: 2 }\n";
        for (text, expected) in [
            ("name: &app cart\nagain: *app\n", r#"{"name":"cart","again":"cart"}"#),
            (
                "a: &n ~\nb: *n\nc: &t yes\nd: *t\ne: &s 'yes'\nf: *s\n",
                r#"{"a":null,"b":null,"c":true,"d":true,"e":"yes","f":"yes"}"#,
            ),
            ("&k a: 1\nb: *k\n", r#"{"a":1,"b":"a"}"#),
            ("a: &a [1, &b { c: 2 }]\nd: *a\ne: *b\n", r#"{"a":[1,{"c":2}],"d":[1,{"c":2}],"e":{"c":2}}"#),
            ("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", r#"{"a":1,"b":1,"c":2,"d":2}"#),
            ("a: { <<: { b: 1, c: 1 }, b: 2 }\n", r#"{"a":{"b":2,"c":1}}"#),
            ("a: { b: 1, <<: { b: 1 } }\n", r#"{"a":{"b":1}}"#),
        ] {
            let documents = parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
            let expected: Map<String, Value> = serde_json::from_str(expected).unwrap();
            assert_eq!(documents[0].object, expected, "{text}");
        }
        for (rest, expected) in [
            ("m: { <<: *x, a: 3 }\n", r#"{"a":3,"l":[1]}"#),
            ("m: { <<: [*x, *y] }\n", r#"{"a":1,"l":[1],"b":2}"#),
            ("m: { <<: [*y, *x], b: 3 }\n", r#"{"a":2,"l":[1],"b":3}"#),
            ("m: { <<: *x, l: { <<: *y } }\n", r#"{"a":1,"l":{"a":2,"b":2}}"#),
            ("m: { \"<<\": 1 }\n", r#"{"<<":1}"#),
        ] {
            let text = format!("{shared}{rest}");
            let documents = parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
            let expected: Value = serde_json::from_str(expected).unwrap();
            assert_eq!(documents[0].object["m"], expected, "{text}");
        }
        // To one reader this is 1, to the other 3.
        for rest in ["m: { a: 3, <<: *x }\n", "m: { \"<<\": *x }\n", "m: { a: 3, <<: [*y, *x] }\n"] {
            let said = message(&format!("{shared}{rest}"));
            assert!(said.contains("YAML readers do not agree"), "{rest}: {said}");
        }
        let text = "kind: A\n---\nx: &x-1 { a: 1 }\nz: &x-10 1\nm:\n  a: 3\n  <<: *x-1 # why\n";
        let found = parse(text.as_bytes()).unwrap_err().remove(0);
        assert_eq!((found.document, found.line), (Some(2), Some(7)), "{found:?}");
        assert!(found.message.contains("that brings it too (anchor `x-1` of line 3), and"), "{}", found.message);
        // Within an anchor, and where the document has others.
        let text = "kind: A\n---\nx: &x { a: 1 }\ny: &y\n  <<: *x\nz: &z\n  a: 3\n  <<: *x\nm: *z\nn: [*y, *z]\n";
        let found = parse(text.as_bytes()).unwrap_err().remove(0);
        assert_eq!((found.document, found.line, found.column), (Some(2), Some(8), Some(7)), "{found:?}");
        assert!(found.message.contains("that brings it too (anchor `x` of line 3), and"), "{}", found.message);
        for text in ["m: { <<: 1 }\n", "m: { <<: [1] }\n", "m: { <<: {a: 1}, <<: {b: 1} }\n"] {
            assert!(message(text).contains("not readable as YAML"), "{text}: {}", message(text));
        }
    }

    #[test]
    fn t40_bombs_of_aliases_cycles_and_anchors_of_other_documents_are_refused() {
        let laughs = (1..=12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
            format!("{text}a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","))
        });
        let quadratic = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 9_000].join(","));
        let many = format!("a: &a [1,2,3,4,5,6,7,8,9]\nb: [{}]\n", vec!["*a"; 9_999].join(","));
        let merges = (1..=30).fold("a0: &a0 {x: 1}\n".to_owned(), |text, level| {
            format!("{text}a{level}: &a{level} {{<<: *a{0}, k{level}: [*a{0}, *a{0}]}}\n", level - 1)
        });
        let anchors: Vec<String> = (0..11_000).map(|number| format!("- &a{number} x\n")).collect();
        let anchors = anchors.concat();
        for (what, text) in
            [("laughs", laughs), ("quadratic", quadratic), ("many", many), ("merges", merges), ("anchors", anchors)]
        {
            let start = std::time::Instant::now();
            let said = message(&text);
            assert!(said.contains("too large once its aliases are written out"), "{what}: {said}");
            assert!(start.elapsed().as_secs() < 10, "{what}");
        }
        for text in ["a: &a [*a]\n", "a: &a { b: *a }\n", "a: &a { <<: *a }\n", "a: *nothing\n", "a: *b\nb: &b 1\n"] {
            assert!(message(text).contains("not readable as YAML"), "{text}: {}", message(text));
        }
        let across = "a: &a 1\n---\nb: *a\n";
        assert!(message(across).contains("not readable as YAML"), "{}", message(across));
        assert_eq!(parse(b"a: &a 1\nb: *a\n---\na: &a 2\nb: *a\n").unwrap()[1].object["b"], 2);
    }

    /// What the reader of the library says of itself: names of its types, options and parts.
    const INTERNALS: [&str; 10] =
        ["Option", "Policy", "scalar", "deserial", "mapping", "sequence", "indicator", "weak", "context", "at line"];

    #[test]
    fn what_is_not_readable_is_said_in_plain_words_with_its_place() {
        for (text, place, said) in [
            ("a: 1\n  b: 2\n", (2, 4), "a `:` where no key can be"),
            ("a: b: c\n", (1, 5), "a `:` where no key can be"),
            ("a:\n\t- b\n", (2, 2), "indented by a tab"),
            ("kind: [\n", (1, 7), "`[` is not closed"),
            ("a: {b: 1\nc: 2\n", (2, 2), "a `{` is not closed"),
            ("x: { b: [1, }\n", (1, 9), "`[` is closed by `}`"),
            ("a: ]\n", (1, 4), "closed that was not opened"),
            ("- a\nb: 1\n", (2, 1), "does not begin with `-`"),
            ("a:\n  - b\n c: 1\n", (3, 2), "belongs to no map or list above it"),
            ("a: - b\n", (1, 4), "a list begins in a line of its own"),
            ("a: \"x\n", (1, 4), "a quote is not closed"),
            ("a: \"x\" y\n", (1, 8), "after the closing quote"),
            ("a: \"\\q\"\n", (1, 4), "begins no escape"),
            ("a: @x\n", (1, 4), "`@` is written in quotes"),
            ("a: !custom x\n", (1, 12), "tag `!custom` has no meaning here"),
            ("a: !!int x\n", (1, 10), "not what its tag"),
            ("a: .nan\n", (1, 4), "`.nan` is no number"),
            ("a: {{ .Values.x }}\n", (1, 5), "that of a template"),
            ("? [a, b]\n: 1\n", (1, 3), "a key is text"),
            ("~: x\n", (1, 1), "a key is text"),
            ("a: *b\n", (1, 4), "has no anchor (`&…`) above it"),
            ("a: &a [*a]\n", (1, 8), "within its own anchor"),
            ("x: &x [1]\nb: {<<: *x}\n", (1, 8), "`<<` takes a map"),
            ("b: 1\na: &x\n  k: 1\n  k: 2\nb: *x\n", (4, 3), "key `k` is in this map a second time"),
            ("kind: A\n---\na: &x\n  k: .inf\nb: *x\n", (4, 6), "`.inf` is no number"),
            ("a: &x\n  [1]: 2\nb: *x\n", (2, 3), "a key is text"),
            ("a: &x [1]\nb:\n  *x : 2\n", (1, 7), "a key is text"),
        ] {
            let found = parse(text.as_bytes()).unwrap_err();
            let [found] = found.as_slice() else { panic!("{text}: {found:?}") };
            assert_eq!((found.line, found.column), (Some(place.0), Some(place.1)), "{text}: {found:?}");
            assert!(found.message.contains(said), "{text}: {}", found.message);
            let internal = INTERNALS.iter().find(|word| found.message.contains(*word));
            assert_eq!((internal, found.message.lines().count()), (None, 1), "{}", found.message);
        }
        let conflict = parse(b"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n").unwrap_err().remove(0);
        assert_eq!(
            (conflict.line, conflict.message.as_str()),
            (Some(2), "the lines of a merge conflict are still in it")
        );
    }

    #[test]
    fn doubled_keys_and_what_json_has_no_word_for_are_refused() {
        assert_eq!(message("a: 1\na: 2\n"), "not readable as YAML: key `a` is in this map a second time");
        assert!(message("a: .nan\n").contains("not readable as YAML"));
        assert!(message("a: !custom x\n").contains("not readable as YAML"));
        assert_eq!(message("- a\n"), "the document is not a Kubernetes object");
        assert!(message("a: [[[[\n").contains("not readable as YAML"));
        assert!(parse(b"\xff\xfe").unwrap_err()[0].message.contains("UTF-8"));
    }
}
