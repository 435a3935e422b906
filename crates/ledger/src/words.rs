//! The words that records are written with.

/// A word that names no value of its kind, such as no step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{escaped}` is no {kind}")]
pub struct UnknownWord {
    kind: &'static str,
    escaped: String,
}

impl UnknownWord {
    pub(crate) fn new(kind: &'static str, text: &str) -> Self {
        Self { kind, escaped: text.chars().take(60).flat_map(char::escape_default).collect() }
    }
}

/// Declares an enum whose values are words in records: `as_str`, `Display`, `FromStr`, serde and JSON Schema agree.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal, { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in records.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                found.ok_or_else(|| $crate::UnknownWord::new($kind, text))
            }
        }
    };
}
