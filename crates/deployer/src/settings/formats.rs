//! The formats in which settings are written. No error quotes a value: they can be secret.

use std::collections::BTreeMap;

use serde_json::Value;

/// Why a text is not of a format; without any value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}{reason}")]
pub struct FormatError {
    place: String,
    reason: String,
}

type Settings = BTreeMap<String, String>;

/// Reads what `kubectl create --from-env-file` reads: everything after the first `=` is the value, quotes and spaces too.
///
/// A line without `=` takes the value of kubectl's own environment there, and is an error here (T24).
pub fn parse_kubectl_env_file(text: &str) -> Result<Settings, FormatError> {
    let mut settings = Settings::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { return Err(without_value(index)) };
        add(&mut settings, Some(index), key, value.to_owned())?;
    }
    Ok(settings)
}

/// Reads lines `KEY=VALUE`, with `export ` in front or not, comments, and values in quotes: in single ones as they are, in
/// double ones with `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. Nothing is filled in: a `$` that would stand for a variable
/// elsewhere is an error.
pub fn parse_dotenv(text: &str) -> Result<Settings, FormatError> {
    let mut settings = Settings::new();
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else { return Err(without_value(index)) };
        let (key, value) = (key.trim_end(), value.trim_start());
        let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
        let value = if let Some(quote) = quote {
            let mut rest = value.get(1..).unwrap_or_default().to_owned();
            loop {
                if let Some((value, behind)) = unquote(&rest, quote, index)? {
                    let behind = behind.trim_start();
                    if !behind.is_empty() && !behind.starts_with('#') {
                        return Err(at(index, format!("the value of {} goes on after its quote", shown(key))));
                    }
                    break value;
                }
                let Some((_, next)) = lines.next() else {
                    return Err(at(index, format!("the quote of the value of {} is never closed", shown(key))));
                };
                rest.push('\n');
                rest.push_str(next);
            }
        } else {
            let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
            let value = value.get(..end).unwrap_or(value).trim_end();
            no_variable(value, index)?;
            value.to_owned()
        };
        add(&mut settings, Some(index), key, value)?;
    }
    Ok(settings)
}

/// The value up to the quote that closes it, and what follows; `None` where none does.
fn unquote(text: &str, quote: char, line: usize) -> Result<Option<(String, String)>, FormatError> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            end if end == quote => {
                let behind = text.get(index + 1..).unwrap_or_default().to_owned();
                return Ok(Some((value, behind)));
            }
            '\\' if quote == '"' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 't')) => value.push('\t'),
                Some((_, plain @ ('"' | '\\' | '$'))) => value.push(plain),
                Some((_, _)) => {
                    return Err(at(line, r#"a `\` is followed by none of `n`, `r`, `t`, `"`, `\` and `$`"#.to_owned()));
                }
                None => return Ok(None),
            },
            '$' if quote == '"' => {
                no_variable(text.get(index..).unwrap_or_default(), line)?;
                value.push('$');
            }
            other => value.push(other),
        }
    }
    Ok(None)
}

/// Refuses what other readers fill in.
fn no_variable(text: &str, line: usize) -> Result<(), FormatError> {
    let is_one = text.split('$').skip(1).any(|rest| {
        rest.starts_with(|next: char| next == '{' || next == '(' || next == '_' || next.is_ascii_alphabetic())
    });
    if is_one {
        let reason =
            "`$` would stand for a variable elsewhere, and nothing is filled in here: write the value in single quotes";
        return Err(at(line, reason.to_owned()));
    }
    Ok(())
}

/// Reads a map of texts, whole numbers and booleans in YAML, without anchors. A number or boolean that YAML reads as another
/// text than the file has, such as `0x1F` or `1_000`, is an error.
pub fn parse_yaml(text: &str) -> Result<Settings, FormatError> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_anchors: 0, max_aliases: 0 },
    };
    let document: Value = serde_saphyr::from_str_with_options(text, options.clone()).map_err(|error| {
        let place = error.location().map(|place| format!("line {}: ", place.line())).unwrap_or_default();
        FormatError { place, reason: "it is no YAML map without anchors, and with each key once".to_owned() }
    })?;
    let Value::Object(map) = document else {
        return Err(FormatError { place: String::new(), reason: "it is no map".to_owned() });
    };
    let settings = from_map(map)?;
    let unread = |_| FormatError { place: String::new(), reason: "its values cannot be read as text".to_owned() };
    let written: Settings = serde_saphyr::from_str_with_options(text, options).map_err(unread)?;
    match settings.iter().find(|(key, value)| written.get(*key) != Some(*value)) {
        None => Ok(settings),
        Some((key, _)) => Err(FormatError {
            place: String::new(),
            reason: format!(
                "YAML reads the value of {} as another text than the file has: write it in quotes",
                shown(key)
            ),
        }),
    }
}

/// Reads a map of texts, whole numbers and booleans in JSON, with each key once.
pub fn parse_json(text: &str) -> Result<Settings, FormatError> {
    let document: Entries = serde_json::from_str(text).map_err(|error| FormatError {
        place: format!("line {}: ", error.line()),
        reason: if error.is_data() { "it is no map" } else { "it is no JSON" }.to_owned(),
    })?;
    from_map(document.0)
}

/// The entries of a map, those too whose keys are there already.
struct Entries(Vec<(String, Value)>);

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfMap;

        impl<'de> serde::de::Visitor<'de> for OfMap {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(OfMap)
    }
}

fn from_map(entries: impl IntoIterator<Item = (String, Value)>) -> Result<Settings, FormatError> {
    let whole = |reason: &str| FormatError { place: String::new(), reason: reason.to_owned() };
    let mut settings = Settings::new();
    for (key, value) in entries {
        let value = match value {
            Value::String(text) => text,
            Value::Bool(boolean) => boolean.to_string(),
            Value::Number(number) if !number.is_f64() => number.to_string(),
            Value::Number(_) => {
                return Err(whole(&format!(
                    "the value of {} is no whole number of 64 bits: write it in quotes",
                    shown(&key)
                )));
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                return Err(whole(&format!("the value of {} is no text", shown(&key))));
            }
        };
        add(&mut settings, None, &key, value)?;
    }
    Ok(settings)
}

fn add(settings: &mut Settings, line: Option<usize>, key: &str, value: String) -> Result<(), FormatError> {
    let error = |reason: String| match line {
        Some(line) => at(line, reason),
        None => FormatError { place: String::new(), reason },
    };
    if !is_key(key) {
        // It is not quoted: it can be a part of a secret.
        return Err(error(format!(
            "a key of {} characters is none of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first",
            key.chars().count()
        )));
    }
    if settings.insert(key.to_owned(), value).is_some() {
        return Err(error(format!("`{key}` is there twice")));
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    key.len() <= 253
        && key.bytes().all(is_plain)
        && key.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
        // Names of files in a volume: the API server takes none that leads up.
        && key != "."
        && !key.starts_with("..")
}

/// The line itself is not quoted: it can be the rest of a secret that has line breaks.
fn without_value(line: usize) -> FormatError {
    at(line, "it has no `=`".to_owned())
}

/// A key as a message quotes it: what is none can be a part of a secret.
fn shown(key: &str) -> String {
    if is_key(key) { format!("`{}`", lock_model::escaping::escape_short(key, 60)) } else { "a key".to_owned() }
}

fn at(line: usize, reason: String) -> FormatError {
    FormatError { place: format!("line {}: ", line + 1), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_as(settings: Result<Settings, FormatError>) -> String {
        match settings {
            Ok(settings) => {
                settings.iter().map(|(key, value)| format!("{key}={value:?}")).collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn t24_kubectls_format_keeps_quotes_and_takes_nothing_from_our_environment() {
        for (text, expected) in [
            ("A=1\n\n # c\n  B=\"x y\" # z\r\nC=\nD=a=b", r#"A="1" B="\"x y\" # z" C="" D="a=b""#),
            ("\u{feff}A= 1 ", r#"A=" 1 ""#),
            ("A=1\nPATH", "error: line 2: it has no `=`"),
            ("KEY=-----BEGIN KEY-----\nMIIEvQIBADANBgk", "error: line 2: it has no `=`"),
            ("A=1\nA=2", "error: line 2: `A` is there twice"),
            (
                "1A=1",
                "error: line 1: a key of 2 characters is none of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first",
            ),
            (
                "A B=1",
                "error: line 1: a key of 3 characters is none of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first",
            ),
            ("", ""),
        ] {
            assert_eq!(shown_as(parse_kubectl_env_file(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn dotenv_has_quotes_and_comments_and_fills_nothing_in() {
        for (text, expected) in [
            ("export A=1 # c\nB='x $Y \\n'\nC=\"a\\n\\\"b\\\" \\$x\" # d", r#"A="1" B="x $Y \\n" C="a\n\"b\" $x""#),
            ("A=\"one\ntwo\"\nB=3", r#"A="one\ntwo" B="3""#),
            ("A = 1", r#"A="1""#),
            ("A=a#b", r#"A="a#b""#),
            ("A=5$", r#"A="5$""#),
            (
                "A=$HOME",
                "error: line 1: `$` would stand for a variable elsewhere, and nothing is filled in here: write the value in single quotes",
            ),
            (
                "A=\"${B}\"",
                "error: line 1: `$` would stand for a variable elsewhere, and nothing is filled in here: write the value in single quotes",
            ),
            ("A=\"x", "error: line 1: the quote of the value of `A` is never closed"),
            ("A='x' y", "error: line 1: the value of `A` goes on after its quote"),
            ("\nA", "error: line 2: it has no `=`"),
            ("hunter2/x='", "error: line 1: the quote of the value of a key is never closed"),
        ] {
            assert_eq!(shown_as(parse_dotenv(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn maps_are_flat_and_no_error_quotes_a_value() {
        for (text, expected) in [
            ("A: x\nB: 5\nC: true\nD: \"1.50\"", r#"A="x" B="5" C="true" D="1.50""#),
            ("A: 1.50", "error: the value of `A` is no whole number of 64 bits: write it in quotes"),
            ("A: \"0x1F\"\nB: '1_000'\nC: 12:30\nD: yes", r#"A="0x1F" B="1_000" C="12:30" D="yes""#),
            ("A: 1_000", "error: YAML reads the value of `A` as another text than the file has: write it in quotes"),
            ("A: 0x1F", "error: YAML reads the value of `A` as another text than the file has: write it in quotes"),
            ("A: +5", "error: YAML reads the value of `A` as another text than the file has: write it in quotes"),
            ("A: True", "error: YAML reads the value of `A` as another text than the file has: write it in quotes"),
            (
                "A: 9007199254740993\nB: 18446744073709551615\nC: -9223372036854775808",
                r#"A="9007199254740993" B="18446744073709551615" C="-9223372036854775808""#,
            ),
            ("A: 18446744073709551616", "error: the value of `A` is no whole number of 64 bits: write it in quotes"),
            ("A: 007", "error: the value of `A` is no whole number of 64 bits: write it in quotes"),
            ("A: |\n  hunter\n  2\n", r#"A="hunter\n2\n""#),
            ("A: { B: hunter2 }", "error: the value of `A` is no text"),
            ("A:", "error: the value of `A` is no text"),
            ("- hunter2", "error: it is no map"),
            ("A: 1\nA: hunter2", "error: line 2: it is no YAML map without anchors, and with each key once"),
        ] {
            assert_eq!(shown_as(parse_yaml(text)), expected, "{text:?}");
        }
        assert_eq!(shown_as(parse_json(r#"{"A": "x", "B": 5}"#)), r#"A="x" B="5""#);
        for (text, expected) in [
            (
                r#"{"A": 9007199254740993, "B": 18446744073709551615, "C": -9223372036854775808}"#,
                r#"A="9007199254740993" B="18446744073709551615" C="-9223372036854775808""#,
            ),
            (
                r#"{"..x": "1"}"#,
                "error: a key of 3 characters is none of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first",
            ),
            (
                r#"{"A": 18446744073709551616}"#,
                "error: the value of `A` is no whole number of 64 bits: write it in quotes",
            ),
            (r#"{"A": 1e3}"#, "error: the value of `A` is no whole number of 64 bits: write it in quotes"),
            ("{\"A\": hunter2}", "error: line 1: it is no JSON"),
            ("[\"hunter2\"]", "error: line 1: it is no map"),
            ("{\"A\": 1,\n\"A\": \"hunter2\"}", "error: `A` is there twice"),
            ("{\"hunter2/x\": []}", "error: the value of a key is no text"),
            (
                "{\"hunter2/x\": 1}",
                "error: a key of 9 characters is none of a setting: letters, digits, `-`, `_` and `.`, and neither a digit nor `..` first",
            ),
        ] {
            assert_eq!(shown_as(parse_json(text)), expected, "{text:?}");
        }
    }
}
