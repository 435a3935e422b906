//! Writing manifests: one form for one content, which YAML 1.1 and YAML 1.2 readers take alike.
//!
//! Keys are sorted, there are no comments, and a string is left plain only where no reader could take it for
//! anything else.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// Writes objects as one YAML stream.
pub(crate) fn to_yaml<'a>(objects: impl IntoIterator<Item = &'a Map<String, Value>>) -> String {
    let mut out = String::new();
    for (index, object) in objects.into_iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        if object.is_empty() {
            out.push_str("{}\n");
        } else {
            entries(&mut out, object, 0);
        }
    }
    out
}

/// Writes a map's entries; the writer stands where the first key belongs.
fn entries(out: &mut String, map: &Map<String, Value>, indent: usize) {
    let mut sorted: Vec<(&String, &Value)> = map.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| key.as_str());
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        text_on_one_line(out, key);
        out.push(':');
        match value {
            Value::Object(child) if !child.is_empty() => {
                out.push('\n');
                pad(out, indent + 2);
                entries(out, child, indent + 2);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                pad(out, indent);
                items(out, list, indent);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                out.push(' ');
                leaf(out, value, indent + 2);
            }
        }
    }
}

/// Writes a list's items; the writer stands where the first dash belongs.
fn items(out: &mut String, list: &[Value], indent: usize) {
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(child) if !child.is_empty() => entries(out, child, indent + 2),
            Value::Array(child) if !child.is_empty() => items(out, child, indent + 2),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                leaf(out, value, indent + 2);
            }
        }
    }
}

/// Writes a scalar or an empty collection, and ends the line.
fn leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) if fits_a_block(text) => return block(out, text, indent),
        Value::String(text) => text_on_one_line(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// YAML 1.1 wants a point in the mantissa and a sign in the exponent: `1e16` is a string there.
fn number_text(number: &Number) -> String {
    let text = number.to_string();
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// Text of several lines that a literal block (`|`) keeps exactly.
fn fits_a_block(text: &str) -> bool {
    text.contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with(['\n', ' ', '\t'])
        && text.chars().all(|character| character == '\n' || character == '\t' || is_harmless(character))
        && text.trim_end_matches('\n').split('\n').all(|line| line.is_empty() || !line.trim().is_empty())
}

fn block(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn text_on_one_line(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if is_harmless(character) => out.push(character),
            _ => {
                let code = u32::from(character);
                let written = if code > 0xffff { write!(out, "\\U{code:08x}") } else { write!(out, "\\u{code:04x}") };
                written.expect("writing into a string cannot fail");
            }
        }
    }
    out.push('"');
}

/// Shown as it is: ASCII that prints, and letters of other scripts; no control, direction or format character.
fn is_harmless(character: char) -> bool {
    matches!(character, ' '..='~') || (!character.is_ascii() && character.is_alphanumeric())
}

/// Starts with a letter, `_` or `/`, holds nothing that has a meaning in YAML, and is no word for a value.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '/'))
        && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '/' | ':' | '@' | '+' | '-'))
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> String {
        to_yaml([value.as_object().unwrap()])
    }

    #[test]
    fn one_form_for_one_content() {
        let value = json!({
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "data": { "b": "1", "a": "line\n\tsecond\n", "c": "no", "d": "x\ny", "e": "\n", "f": "a\r\nb", "1": "" },
            "list": [[1, 2.5], [], {}, { "x": { "y": null }, "a": [true] }, "a: b", "- x", "22:22", "é\u{202e}", "1e3"],
            "number": 1e16,
        });
        let expected = r#"apiVersion: v1
data:
  "1": ""
  a: |
    line
    	second
  b: "1"
  c: "no"
  d: |-
    x
    y
  e: "\n"
  f: "a\r\nb"
kind: ConfigMap
list:
- - 1
  - 2.5
- []
- {}
- a:
  - true
  x:
    "y": null
- "a: b"
- "- x"
- "22:22"
- "é\u202e"
- "1e3"
number: 1.0e+16
"#;
        assert_eq!(written(&value), expected);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let texts = [
            "", " ", "y", "Yes", "~", "null", "0644", "1_000", "0x1f", "1:30", "=", "<<", "- a", "a #b", "a: b",
            "key:", "a\n", "a\n\nb", "a\n\n", " lead\nx", "a\n \nb", "\u{85}", "\u{2028}", "%x", "@x", "`x`", "!x",
            "&a", "*a", "{}", "[]", "'", "\"", "\\", "?", "|", ">", "#", ".5", "1e3", "+1", "---", "--- a\nb",
            "...\nx", "#x\ny", "\u{0}", "\u{7f}",
        ];
        let longer_texts =
            ["tab\there", "trail \nx", "\u{feff}x", "2025-11-20", "\u{1f600}", "a\n---\nb\n", "x\u{1b}[0m\ny"];
        for text in texts.into_iter().chain(longer_texts) {
            for value in [json!({ "key": text }), json!({ "list": [text, { "deep": [[text]] }] }), json!({ text: 1 })] {
                let yaml = written(&value);
                let read = crate::manifest::parse(yaml.as_bytes()).unwrap_or_else(|error| panic!("{yaml}: {error:?}"));
                assert_eq!(Value::Object(read[0].object.clone()), value, "{yaml}");
                assert!(!yaml.contains(['\u{1b}', '\u{202e}', '\u{85}', '\u{2028}']), "{yaml}");
            }
        }
    }
}
