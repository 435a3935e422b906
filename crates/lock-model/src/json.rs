//! JSON, read strictly and with places.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::parse_error::{ParseError, ParseErrorKind};
use crate::problem::{Position, Problem};

/// The text of a file that is neither too large nor something else than text.
pub(crate) fn text_of<'a>(bytes: &'a [u8], name: &str, limit: usize) -> Result<&'a str, ParseError> {
    if bytes.len() > limit {
        return Err(ParseError::too_large(name, bytes.len(), limit));
    }
    std::str::from_utf8(bytes).map_err(|error| ParseError::not_text(name, bytes, error))
}

/// Reads a whole text; a problem has its place and the path of keys to it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str, name: &str) -> Result<T, ParseError> {
    if text.starts_with('\u{feff}') {
        let message = "the file begins with a byte order mark, which JSON has not: save it as UTF-8 without one";
        let at = Some(Position { line: 1, column: 1 });
        return Err(ParseError::at(name, ParseErrorKind::Unreadable, Problem::new("", at, Vec::new(), message), None));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let keys = error.path().iter().filter_map(key).collect();
        invalid(text, name, keys, &error.into_inner())
    })?;
    json.end().map_err(|error| invalid(text, name, Vec::new(), &error))?;
    Ok(value)
}

fn key(segment: &serde_path_to_error::Segment) -> Option<String> {
    match segment {
        serde_path_to_error::Segment::Seq { index } => Some(index.to_string()),
        serde_path_to_error::Segment::Map { key } | serde_path_to_error::Segment::Enum { variant: key } => {
            Some(key.clone())
        }
        serde_path_to_error::Segment::Unknown => None,
    }
}

fn invalid(text: &str, name: &str, keys: Vec<String>, error: &serde_json::Error) -> ParseError {
    let at = match locate(text, &keys) {
        Some(offset) if error.is_data() => Position::of(text, offset),
        Some(_) | None => Position { line: error.line().max(1), column: error.column().max(1) },
    };
    let full = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = full.strip_suffix(&place).unwrap_or(&full);
    // What a reader takes for one of its own types is a map in the file.
    let message = match message.split_once("expected struct ") {
        Some((found, _)) if found.starts_with("invalid length") => "invalid type: sequence, expected a map".to_owned(),
        Some((found, _)) => format!("{found}expected a map"),
        None => message.to_owned(),
    };
    let kind = if error.is_data() { ParseErrorKind::Invalid } else { ParseErrorKind::Unreadable };
    ParseError::at(name, kind, Problem::new(text, Some(at), keys, &message), None)
}

/// Where the value at the end of the keys begins: `serde_json` itself only knows how far it has read.
pub(crate) fn locate(text: &str, keys: &[String]) -> Option<usize> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for key in keys {
        let next = match key.parse::<usize>() {
            Ok(index) => serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(index).copied(),
            Err(_) => serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.get(key).copied(),
        };
        value = next?;
    }
    value.get().as_ptr().addr().checked_sub(text.as_ptr().addr())
}

/// A map in which each key stands once: `serde_json` alone would take the last of two.
#[derive(Debug)]
pub(crate) struct UniqueMap<T>(pub(crate) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for UniqueMap<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = BTreeMap<String, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if entries.contains_key(&key) {
                        return Err(A::Error::custom(format!("`{key}` stands here twice")));
                    }
                    entries.insert(key, value);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData)).map(Self)
    }
}
