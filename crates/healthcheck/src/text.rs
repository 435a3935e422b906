//! Errors in short: part of a detail.

use std::error::Error;

use lock_model::escaping::excerpt;

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    excerpt(error.to_string())
}
