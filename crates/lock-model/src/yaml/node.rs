use std::borrow::Cow;

use crate::problem::Position;

/// A YAML value that remembers where it stands.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) at: Position,
    pub(super) value: Value<'a>,
}

/// What a YAML value is; anchors, aliases and tags do not get this far.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Scalar(Scalar<'a>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

#[derive(Debug)]
pub(super) struct Scalar<'a> {
    pub(super) text: Cow<'a, str>,
    /// Without quotes and not a block scalar: may be a number, a bool or null.
    pub(super) plain: bool,
}

#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) key_at: Position,
    pub(super) key: Scalar<'a>,
    pub(super) value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Entry<'a>> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key.text == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// Where the value at the end of the keys stands, or the last of them that exists.
    pub(super) fn locate(&self, keys: &[String]) -> Position {
        let mut node = self;
        let mut at = self.at;
        for key in keys {
            match &node.value {
                Value::Map(_) => {
                    let Some(entry) = node.get(key) else { break };
                    node = &entry.value;
                    at = if matches!(node.value, Value::Scalar(_)) { node.at } else { entry.key_at };
                }
                Value::List(items) => {
                    let Some(item) = key.parse().ok().and_then(|index: usize| items.get(index)) else { break };
                    node = item;
                    at = item.at;
                }
                Value::Scalar(_) => break,
            }
        }
        at
    }

    /// The keys that lead to what stands on a line: the innermost value that begins on it or before it.
    pub(super) fn keys_at(&self, line: usize) -> Vec<String> {
        let mut keys = Vec::new();
        let mut node = self;
        loop {
            let next = match &node.value {
                Value::Map(entries) => entries
                    .iter()
                    .rev()
                    .find(|entry| entry.key_at.line <= line)
                    .map(|entry| (entry.key.text.clone().into_owned(), &entry.value)),
                Value::List(items) => items
                    .iter()
                    .enumerate()
                    .rev()
                    .find(|(_, item)| item.at.line <= line)
                    .map(|(index, item)| (index.to_string(), item)),
                Value::Scalar(_) => None,
            };
            let Some((key, inner)) = next else { return keys };
            keys.push(key);
            node = inner;
        }
    }
}
