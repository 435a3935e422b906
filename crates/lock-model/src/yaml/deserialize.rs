//! Reads the wire structs from located nodes: no lax conversion, and every error finds its place on the way out.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Expected, MapAccess, SeqAccess, Unexpected, Visitor};

use super::node::{Entry, Node, Scalar, Value};
use super::scalar::Plain;
use crate::problem::Position;

/// A value that is not what its place asks for.
#[derive(Debug)]
pub(super) struct ShapeError {
    pub(super) at: Option<Position>,
    /// Innermost first.
    pub(super) keys: Vec<String>,
    pub(super) message: String,
}

impl ShapeError {
    fn new(message: String) -> Self {
        Self { at: None, keys: Vec::new(), message }
    }

    /// Passes through a value: the innermost value that the error is about decides the place.
    fn inside(mut self, at: Position, key: &str) -> Self {
        self.at.get_or_insert(at);
        self.keys.push(key.to_owned());
        self
    }
}

impl Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("{expected} is expected"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not one of {}", list(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{field}` is not a field here; there are {}", list(expected)))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the field `{field}` is missing"))
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

impl Node<'_> {
    fn description(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) => scalar.kind().article_and_name(),
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    fn expected(&self, what: &str) -> ShapeError {
        ShapeError::new(format!("{what} is expected, not {}", self.description()))
    }

    fn text(&self) -> Result<&str, ShapeError> {
        match &self.value {
            Value::Scalar(scalar) => scalar.string(),
            Value::List(_) | Value::Map(_) => Err(self.expected("a string")),
        }
    }
}

impl Scalar<'_> {
    fn kind(&self) -> Plain {
        if self.plain { Plain::of(&self.text) } else { Plain::String }
    }

    fn string(&self) -> Result<&str, ShapeError> {
        match self.kind() {
            Plain::String => Ok(&self.text),
            Plain::Null => Err(ShapeError::new("a string is expected, not nothing".to_owned())),
            kind @ (Plain::Bool | Plain::Integer | Plain::Float) => Err(ShapeError::new(format!(
                "a string is expected; YAML takes `{}` for {}, so it has to be quoted",
                self.text,
                kind.article_and_name()
            ))),
        }
    }
}

macro_rules! as_string {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
            visitor.visit_str(self.text()?)
        })+
    };
}

impl<'de> de::Deserializer<'de> for &Node<'_> {
    type Error = ShapeError;

    as_string! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.value {
            Value::Scalar(_) => self.deserialize_str(visitor),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.value {
            Value::Scalar(scalar) if matches!(scalar.kind(), Plain::Integer | Plain::Float) => {
                let number = scalar.text.parse();
                visitor.visit_u64(number.map_err(|_| ShapeError::new(format!("`{}` is not a count", scalar.text)))?)
            }
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => Err(self.expected("a number without quotes")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        visitor.visit_enum(StrDeserializer::new(self.text()?))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.value {
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Scalar(_) | Value::Map(_) => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match &self.value {
            Value::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
            Value::Scalar(_) | Value::List(_) => Err(self.expected("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        self.deserialize_map(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 bytes byte_buf option unit unit_struct tuple tuple_struct
        ignored_any
    }
}

struct Items<'b, 'a> {
    items: &'b [Node<'a>],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = ShapeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ShapeError> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.inside(item.at, &index.to_string()))
    }
}

struct Entries<'b, 'a> {
    entries: &'b [Entry<'a>],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = ShapeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ShapeError> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        let key = entry.key.string().and_then(|key| seed.deserialize(StrDeserializer::new(key)));
        key.map(Some).map_err(|error| error.inside(entry.key_at, &entry.key.text))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ShapeError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Err(de::Error::custom("a value without a key"));
        };
        self.next += 1;
        // A fault of a whole map, such as a missing field, is shown at the key that it stands under.
        let at = match &entry.value.value {
            Value::Scalar(_) => entry.value.at,
            Value::List(_) | Value::Map(_) => entry.key_at,
        };
        seed.deserialize(&entry.value).map_err(|error| error.inside(at, &entry.key.text))
    }
}
