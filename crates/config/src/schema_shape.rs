//! The vocabulary in which `schema_keys` describes the file. The loader checks by it and the JSON Schema is made from it,
//! so that they cannot disagree.

use super::string_formats::Format;
use crate::variables::Variable;

/// What a value must look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Text of a format.
    Text(Format),
    /// One of some words, each with what it means; a [`later_word`] means nothing yet.
    Choice(&'static [(&'static str, &'static str)]),
    /// A number in a range.
    Integer { least: i64, most: i64 },
    /// `true` or `false`.
    Boolean,
    /// A list of values of one shape; it may be empty.
    List(&'static Self),
    /// A list of at least one value.
    NonEmptyList(&'static Self),
    /// A map with free keys of a format.
    Named(Format, &'static Self),
    /// A map with these keys.
    Keys(&'static [Key]),
    /// A map with these keys; a text stands for the first key alone.
    ShortForm(&'static [Key]),
    /// A map whose `kind` says which other keys it has.
    Kinds(&'static [Kind]),
    /// A map with exactly one of the sources' keys.
    Source(&'static [Key]),
    /// A map with any keys, of values of any type; text may hold variables.
    Tree(&'static [Variable]),
    /// A key that a later version has.
    Later,
}

/// A key of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub name: &'static str,
    /// One sentence about it; becomes its description in the JSON Schema.
    pub doc: &'static str,
    pub need: Need,
    pub shape: Shape,
}

/// Whether a key must be there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    Required,
    Optional,
    /// It is this (YAML) where the file does not say it.
    Default(&'static str),
}

/// One kind of a map that has several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub name: &'static str,
    pub doc: &'static str,
    pub keys: &'static [Key],
    /// Whether this version has it.
    pub availability: Availability,
}

/// Whether this version has a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    Now,
    Later,
}

/// Whether layers below can hold what is missing in a map, so that keys are only required after merging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// This is all there is.
    Whole,
    /// One of several layers.
    Partial,
}

pub(super) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, doc, need: Need::Required, shape }
}

pub(super) const fn optional(name: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, doc, need: Need::Optional, shape }
}

pub(super) const fn defaults(name: &'static str, default: &'static str, shape: Shape, doc: &'static str) -> Key {
    Key { name, doc, need: Need::Default(default), shape }
}

/// A kind that this version has.
pub(super) const fn kind(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Kind {
    Kind { name, doc, keys, availability: Availability::Now }
}

/// A key that is answered with "not available yet".
pub(super) const fn later(name: &'static str) -> Key {
    Key { name, doc: "", need: Need::Optional, shape: Shape::Later }
}

/// A kind that is answered with "not available yet".
pub(super) const fn later_kind(name: &'static str) -> Kind {
    Kind { name, doc: "", keys: &[], availability: Availability::Later }
}

/// A word that is answered with "not available yet".
pub(super) const fn later_word(word: &'static str) -> (&'static str, &'static str) {
    (word, "")
}

/// The words of a choice that this version has, each with what it means.
pub(super) fn available_words(
    words: &'static [(&'static str, &'static str)],
) -> impl Iterator<Item = &'static (&'static str, &'static str)> + Clone {
    words.iter().filter(|(_, meaning)| !meaning.is_empty())
}

impl Key {
    /// Whether this version has it.
    pub(super) fn is_available(&self) -> bool {
        !matches!(self.shape, Shape::Later)
    }
}

impl Kind {
    /// Those that this version has.
    pub(super) fn available(kinds: &[Self]) -> impl Iterator<Item = &Self> + Clone {
        kinds.iter().filter(|kind| kind.availability == Availability::Now)
    }
}

impl Shape {
    /// The shape of the value below a key, in a map that has the same keys whatever its `kind` is.
    pub(super) fn of_key(&self, name: &str) -> Option<&'static Self> {
        match *self {
            Self::Named(_, value) => Some(value),
            Self::Keys(keys) | Self::ShortForm(keys) | Self::Source(keys) => {
                keys.iter().find(|key| key.name == name).map(|key| &key.shape)
            }
            Self::Kinds(_)
            | Self::Text(_)
            | Self::Choice(_)
            | Self::Integer { .. }
            | Self::Boolean
            | Self::List(_)
            | Self::NonEmptyList(_)
            | Self::Tree(_)
            | Self::Later => None,
        }
    }

    /// What a message calls a value of this shape.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Choice(_) => "text",
            Self::Integer { .. } => "a number",
            Self::Boolean => "`true` or `false`",
            Self::List(_) | Self::NonEmptyList(_) => "a list",
            Self::ShortForm(..) => "text or a map",
            Self::Named(..) | Self::Keys(_) | Self::Kinds(_) | Self::Source(_) | Self::Tree(_) => "a map",
            Self::Later => "nothing",
        }
    }
}
