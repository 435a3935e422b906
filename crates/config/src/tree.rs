//! The file as a tree in which every node knows where it stands.

use std::fmt;

/// Where a value of the configuration comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It is a default of this program.
    Default,
    /// It stands in the file.
    File(Place),
}

/// A place in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The keys that lead there, such as `base.suites[1]`.
    pub path: String,
    pub(super) width: usize,
}

impl Origin {
    /// The place in the file, where it is in the file.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Default => None,
            Self::File(place) => Some(place),
        }
    }

    /// Whether it is in what all environments share.
    pub(super) fn is_base(&self) -> bool {
        self.path().split('.').next() == Some("base")
    }

    /// The keys that lead there; empty for a default.
    pub(super) fn path(&self) -> &str {
        self.place().map_or("", |place| &place.path)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => write!(f, "{}:{}", place.line, place.column),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub value: Value,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// `null` removes what a lower layer says; merging notes whether there was something.
    Null {
        removes: bool,
    },
    Boolean(bool),
    Integer(i64),
    Text(String),
    /// A plain scalar that YAML readers disagree about, and what some of them read.
    Ambiguous {
        text: String,
        reads_as: &'static str,
    },
    List(Vec<Node>),
    Map(Map),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub key: String,
    pub key_origin: Origin,
    pub node: Node,
}

impl Entry {
    /// An entry that the file does not have.
    pub(super) fn by_default(key: &str, value: Value) -> Self {
        let node = Node { value, origin: Origin::Default };
        Self { key: key.to_owned(), key_origin: Origin::Default, node }
    }
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }
}

impl Node {
    pub(super) fn empty_map(origin: Origin) -> Self {
        Self { value: Value::Map(Map::default()), origin }
    }

    pub(super) fn map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.get(key)
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a scalar; whether readers disagree about it is judged by `check`.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Ambiguous { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match &self.value {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    /// What a message calls the value.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null { .. } => "nothing",
            Value::Boolean(_) => "`true` or `false`",
            Value::Integer(_) => "a number",
            Value::Text(_) | Value::Ambiguous { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The value as JSON; what readers disagree about is text.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null { .. } => serde_json::Value::Null,
            Value::Boolean(boolean) => (*boolean).into(),
            Value::Integer(number) => (*number).into(),
            Value::Text(text) | Value::Ambiguous { text, .. } => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(map) => map.entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect(),
        }
    }
}
