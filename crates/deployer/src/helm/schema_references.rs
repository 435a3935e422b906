//! Whether the schemas of a chart's values are whole by themselves.
//!
//! helm loads what a schema refers to, from the disk or the network of the job that renders the chart, and quotes it in the
//! errors of its validation.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::archive::files_of_archive;
use crate::problem::escaped;
use crate::request::DeployService;

const SCHEMA_FILE: &str = "values.schema.json";
/// Keys whose text names what is loaded.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Keys whose text is what other references are relative to; draft 4 has the second.
const BASES: [&str; 2] = ["$id", "id"];
/// The metaschemas that every helm has built in, without their scheme.
const METASCHEMAS: [&str; 6] = [
    "json-schema.org/schema",
    "json-schema.org/draft-04/schema",
    "json-schema.org/draft-06/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft/2020-12/schema",
];
/// Archives in archives; no chart has that many.
const DEEPEST: usize = 8;

/// What is wrong with the schemas of a service's chart and of the charts within it, by file.
pub(super) fn schema_problems(service: &DeployService) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for (path, bytes) in &service.files {
        look_at(path, path, bytes, 0, &mut problems);
    }
    problems
}

/// Looks at a file; `shown` says in which archive it is.
fn look_at(shown: &str, path: &str, bytes: &[u8], depth: usize, problems: &mut Vec<(String, String)>) {
    let name = last_name(path);
    if name == SCHEMA_FILE {
        problems.extend(outside(bytes).into_iter().map(|problem| (shown.to_owned(), problem)));
    } else if is_packed_chart(path, depth) {
        if depth == DEEPEST {
            problems.push((shown.to_owned(), "it is an archive in too many others".to_owned()));
            return;
        }
        match files_of_archive(bytes) {
            Ok(files) => {
                for (inner, bytes) in files {
                    look_at(&format!("{shown}:{inner}"), &inner, &bytes, depth + 1, problems);
                }
            }
            Err(reason) => problems.push((shown.to_owned(), format!("the archive cannot be read: {reason}"))),
        }
    }
}

/// Gives every file to a function: the file itself, or those of a packed chart in `charts/` and in the charts within it.
/// Archives that cannot be read have a [problem](schema_problems) of their own.
pub(super) fn each_file(path: &str, bytes: &[u8], give: &mut dyn FnMut(&str, &[u8])) {
    each_file_at(path, bytes, 0, give);
}

fn each_file_at(path: &str, bytes: &[u8], depth: usize, give: &mut dyn FnMut(&str, &[u8])) {
    if !is_packed_chart(path, depth) {
        return give(path, bytes);
    }
    let files = if depth < DEEPEST { files_of_archive(bytes).unwrap_or_default() } else { Vec::new() };
    for (inner, bytes) in &files {
        each_file_at(inner, bytes, depth + 1, give);
    }
}

fn is_packed_chart(path: &str, depth: usize) -> bool {
    last_name(path).rsplit_once('.').is_some_and(|(_, ending)| ending == "tgz")
        && (depth > 0 || path.starts_with("charts/"))
}

/// The last part of a path after it is cleaned as helm cleans it, in small letters.
fn last_name(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.last().copied().unwrap_or_default().to_ascii_lowercase()
}

/// What a schema refers to outside of itself.
fn outside(bytes: &[u8]) -> Vec<String> {
    let mut walk = Walk { pointer: String::new(), problems: Vec::new() };
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Place { key: None, walk: &mut walk }.deserialize(&mut reader).and_then(|()| reader.end());
    match read {
        Ok(()) => walk.problems,
        Err(error) => vec![format!("it is no JSON: {error}")],
    }
}

struct Walk {
    /// Of the value that is read, as RFC 6901 writes it.
    pointer: String,
    problems: Vec<String>,
}

impl Walk {
    fn judge(&mut self, key: &str, text: &str) {
        let says = if REFERENCES.contains(&key) && !text.starts_with('#') {
            "which helm would load: copy it into the schema and refer to it as `#/definitions/NAME`"
        } else if key == "$schema" && !is_metaschema(text) {
            "which helm would load: the metaschemas that it has are those of json-schema.org, drafts 4, 6, 7, 2019-09 and 2020-12"
        } else if BASES.contains(&key) && !is_plain_base(text) {
            "which helm would load for what refers to it: write an `http` or `https` address or a name, without a fragment"
        } else {
            return;
        };
        self.problems.push(format!("`{}` is `{}`, {says}", escaped(&self.pointer), escaped(text)));
    }
}

fn is_metaschema(text: &str) -> bool {
    let text = text.strip_suffix('#').unwrap_or(text);
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| METASCHEMAS.contains(&rest))
}

/// Whether references within the schema, which are fragments, lead to nothing that is loaded: the base is the schema that
/// says it. With a fragment behind it, helm before 3.18 takes the base without it for another document.
fn is_plain_base(text: &str) -> bool {
    let (base, fragment) = text.split_once('#').unwrap_or((text, ""));
    let scheme = base.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let is_known = scheme.is_none_or(|scheme| ["http", "https", "urn"].contains(&scheme.as_str()));
    base.is_empty() || (is_known && fragment.is_empty())
}

/// A value and the key that it stands behind. Each key that is there twice is looked at: programs differ in which counts.
struct Place<'a> {
    key: Option<&'a str>,
    walk: &'a mut Walk,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if let Some(key) = self.key {
            self.walk.judge(key, text);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let length = self.walk.pointer.len();
        while let Some(key) = map.next_key::<String>()? {
            self.walk.pointer.push('/');
            self.walk.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            map.next_value_seed(Place { key: Some(&key), walk: self.walk })?;
            self.walk.pointer.truncate(length);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let length = self.walk.pointer.len();
        for index in 0_usize.. {
            self.walk.pointer.extend(["/", &index.to_string()]);
            if items.next_element_seed(Place { key: None, walk: self.walk })?.is_none() {
                break;
            }
            self.walk.pointer.truncate(length);
        }
        self.walk.pointer.truncate(length);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::archive::archive_of;
    use super::*;

    fn of(text: &str) -> Vec<String> {
        outside(text.as_bytes())
    }

    #[test]
    fn t17_a_schema_that_is_whole_by_itself_is_taken() {
        for text in [
            r##"{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"$ref":"#/definitions/a"}}}"##,
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://shop.example/cart.json"}"#,
            r##"{"$id":"http://shop.example/root.json#","properties":{"a":{"$id":"#/properties/a"}}}"##,
            r##"{"$anchor":"a","$dynamicRef":"#a","$recursiveRef":"#","id":"cart","properties":{"id":{"type":"string"}}}"##,
            r#"{"properties":{"$ref":{"type":["string","null"]},"uri":{"default":"http://shop.example/"}},"x":[1,2.5,-3,true]}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn t17_a_schema_that_makes_helm_load_a_file_or_an_address_is_refused() {
        for (text, told) in [
            (
                r#"{"a":[0,{"$ref":"file:///etc/passwd"}]}"#,
                "`/a/1/$ref` is `file:///etc/passwd`, which helm would load",
            ),
            (r#"{"$ref":"http://shop.example/x.json#/a"}"#, "`/$ref` is"),
            (r#"{"$ref":"other.json"}"#, "`/$ref` is"),
            (r#"{"$ref":" #/a"}"#, "`/$ref` is"),
            (r#"{"\u0024ref":"/etc/passwd"}"#, "`/$ref` is"),
            (r##"{"$ref":"//evil.example/x","$ref":"#"}"##, "`/$ref` is"),
            (r##"{"$ref":"#","$ref":"../x"}"##, "`/$ref` is"),
            (r#"{"default":{"a/b":{"$dynamicRef":"x#a"}}}"#, "`/default/a~1b/$dynamicRef` is"),
            (r#"{"const":[{"$recursiveRef":"x"}]}"#, "`/const/0/$recursiveRef` is"),
            (r#"{"$schema":"http://evil.example/draft-07/schema#"}"#, "`/$schema` is"),
            (r#"{"$schema":"http://json-schema.org/draft-03/schema#"}"#, "`/$schema` is"),
            (r#"{"items":{"$schema":"schema.json"}}"#, "`/items/$schema` is"),
            (r#"{"$id":"http://evil.example/x#a"}"#, "without a fragment"),
            (r#"{"id":"file:///etc/passwd"}"#, "`/id` is"),
            (r#"{"items":{"$id":"x.json#a"}}"#, "`/items/$id` is"),
            (r#"{} {"$ref":"x"}"#, "it is no JSON"),
            ("", "it is no JSON"),
        ] {
            let found = of(text);
            assert!(found.len() == 1 && found[0].contains(told), "{text}: {found:?}");
        }
    }

    #[test]
    fn t17_t28_schemas_of_charts_within_a_chart_are_read_in_folders_and_archives() {
        let evil = br#"{"$ref":"http://evil.example/x.json"}"#;
        let inner = archive_of(&[(b'0', "inner/a/../values.schema.json", evil), (b'0', "inner/other.json", evil)]);
        let outer = archive_of(&[(b'0', "db/values.schema.json", b"{}"), (b'0', "db/charts/inner-1.0.0.tgz", &inner)]);
        let mut service = DeployService::new("shop-cart".try_into().unwrap());
        service.files = [
            ("other.json", evil.to_vec()),
            ("charts/web/values.schema.json", evil.to_vec()),
            ("charts/db-1.0.0.tgz", outer),
            ("charts/gone-1.0.0.tgz", b"gone".to_vec()),
            ("files/data.tgz", b"no chart".to_vec()),
        ]
        .map(|(path, bytes)| (path.to_owned(), bytes))
        .to_vec();
        let found: Vec<String> =
            schema_problems(&service).into_iter().map(|(file, message)| format!("{file}: {message}")).collect();
        assert_eq!(found.len(), 3, "{found:?}");
        for told in [
            "charts/web/values.schema.json: `/$ref` is `http://evil.example/x.json`",
            "charts/db-1.0.0.tgz:db/charts/inner-1.0.0.tgz:inner/a/../values.schema.json: `/$ref` is",
            "charts/gone-1.0.0.tgz: the archive cannot be read: no gzip",
        ] {
            assert!(found.iter().any(|found| found.starts_with(told)), "{told}: {found:?}");
        }
        let nested = (0..9).fold(inner, |inner, _| archive_of(&[(b'0', "a.tgz", &inner)]));
        service.files = vec![("charts/a.tgz".to_owned(), nested)];
        assert!(schema_problems(&service)[0].1.contains("too many others"));
    }
}
