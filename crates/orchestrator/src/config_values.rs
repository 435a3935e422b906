//! Values that the configuration names instead of holding them: `{ env: NAME }`, `{ file: PATH }`.

use config::{EnvironmentVariable, SourceValue};
use secrecy::SecretString;

use crate::error::{Error, ErrorKind, Result};
use crate::inputs::Inputs;
use crate::workspace::Workspace;

/// The text of a source, trimmed. `place` is the key that names it; a file is read from the commit, never from the work
/// tree.
pub(crate) fn text(context: &Workspace, inputs: &Inputs, place: &str, source: &SourceValue) -> Result<String> {
    match source {
        SourceValue::Value(value) => Ok(value.clone()),
        SourceValue::Env(name) => context.variable(name.as_str()).ok_or_else(|| unset(place, name)),
        SourceValue::File(path) => {
            let text = String::from_utf8(inputs.file(context, path)?.bytes)
                .map_err(|_| Error::new(ErrorKind::Usage, format!("`{place}`: file `{path}` is not UTF-8")))?;
            Ok(text.trim().to_owned())
        }
    }
}

/// A secret: always from the environment.
pub(crate) fn secret(context: &Workspace, place: &str, name: &EnvironmentVariable) -> Result<SecretString> {
    context.variable(name.as_str()).map(SecretString::from).ok_or_else(|| unset(place, name))
}

/// What messages call a source.
pub(crate) fn name(place: &str, source: &SourceValue) -> String {
    match source {
        SourceValue::Value(_) => place.to_owned(),
        SourceValue::Env(name) => name.to_string(),
        SourceValue::File(path) => path.to_string(),
    }
}

fn unset(place: &str, name: &EnvironmentVariable) -> Error {
    Error::new(ErrorKind::Usage, format!("`{place}` is in the environment variable `{name}`, which is not set"))
        .hint(format!("set `{name}` in the job that runs this command"))
}
