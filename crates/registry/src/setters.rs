//! Setters of option structs, which can get more fields without a breaking change.

/// `field: Type` takes what can be converted into the type, `field = Type` the type itself.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident $kind:tt $type:ty),* $(,)?) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $field(mut self, $field: $crate::setters::argument!($kind $type)) -> Self {
                self.$field = $crate::setters::value!($kind $field);
                self
            }
        )*
    };
}

macro_rules! argument {
    (: $type:ty) => { impl Into<$type> };
    (= $type:ty) => { $type };
}

macro_rules! value {
    (: $field:ident) => {
        $field.into()
    };
    (= $field:ident) => {
        $field
    };
}

pub(crate) use {argument, setters, value};
