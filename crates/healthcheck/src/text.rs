//! Text for a terminal and a report.

pub(crate) use lock_model::escaping::{EXCERPT_CHARACTERS, excerpt as shown};

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shown(error.to_string())
}
