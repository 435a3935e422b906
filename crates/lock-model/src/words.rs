/// Defines an enum of fixed words: `ALL`, `as_str`, `Display`, `FromStr`, serde and (with feature `schema`) the JSON
/// Schema agree on each value's word.
///
/// The error of `FromStr` is [`IdentifierError`](crate::IdentifierError). The crate that uses the macro has to know this
/// one as `lock_model`; it needs no dependency on serde or schemars.
///
/// ```
/// lock_model::words! {
///     /// How urgent a job is.
///     Urgency, "urgency" {
///         /// It may wait for the night.
///         Low = "low",
///         /// It goes before all others.
///         High = "high",
///     }
/// }
/// assert_eq!("high".parse(), Ok(Urgency::High));
/// assert_eq!(Urgency::ALL, [Urgency::Low, Urgency::High]);
/// let error = "High".parse::<Urgency>().unwrap_err();
/// assert_eq!(error.to_string(), "`High` is not a valid urgency: one of `low` `high`");
/// ```
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $crate::words_schema! {
            $(#[$doc])*
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
                $crate::serde::Serialize, $crate::serde::Deserialize,
            )]
            #[serde(crate = "lock_model::serde")]
            pub enum $name {
                $($(#[$word_doc])* #[serde(rename = $text)] $word,)+
            }
        }

        impl $name {
            /// Every value, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::IdentifierError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$word),)+
                    _ => Err($crate::IdentifierError::new($kind, text, concat!("one of", $(" `", $text, "`"),+))),
                }
            }
        }
    };
}

/// Derives the JSON Schema of an enum; nothing where lock-model is built without the feature `schema`.
#[cfg(feature = "schema")]
#[doc(hidden)]
#[macro_export]
macro_rules! words_schema {
    ($words:item) => {
        #[derive($crate::schemars::JsonSchema)]
        #[schemars(crate = "lock_model::schemars")]
        $words
    };
}

/// Derives the JSON Schema of an enum; nothing where lock-model is built without the feature `schema`.
#[cfg(not(feature = "schema"))]
#[doc(hidden)]
#[macro_export]
macro_rules! words_schema {
    ($words:item) => {
        $words
    };
}
