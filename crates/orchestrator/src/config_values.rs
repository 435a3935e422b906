//! Values that the configuration names instead of holding them: `{ env: NAME }`, `{ file: PATH }`.

use config::{EnvironmentVariable, SourceValue};
use healthcheck::http_client::url::Url;
use lock_model::escaping::{excerpt, mask_address};
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

/// The text of a source that is an address of `http` or `https`.
pub(crate) fn address(context: &Workspace, inputs: &Inputs, place: &str, source: &SourceValue) -> Result<String> {
    let text = text(context, inputs, place, source)?;
    let Some(fault) = no_address(&text) else { return Ok(text) };
    let why = format!("`{place}` is {source}, whose value {}", fault.why);
    Err(Error::new(ErrorKind::Usage, why).hint(format!("let the value of {source} {}", fault.way_out)))
}

/// Why a value is no address, and what it would have to be.
#[derive(Debug, PartialEq, Eq)]
struct NoAddress {
    why: String,
    way_out: String,
}

/// What cannot be a host is not shown: it may be a secret that is in the wrong variable.
fn no_address(text: &str) -> Option<NoAddress> {
    let is_web = |text: &str| text.parse::<Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web(text) {
        return None;
    }
    let with_scheme = format!("https://{text}");
    let host = text.split(['/', ':', '?', '#']).next().unwrap_or_default();
    let is_host =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c));
    let lacks_scheme = !text.contains("://") && is_host && is_web(&with_scheme);
    Some(if lacks_scheme {
        NoAddress {
            why: format!("`{}` has no scheme", excerpt(mask_address(text))),
            way_out: format!("be `{}`", excerpt(mask_address(&with_scheme))),
        }
    } else {
        NoAddress {
            why: "is no address of `http` or `https`".to_owned(),
            way_out: "begin with `https://` or `http://` and a host".to_owned(),
        }
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_no_address_is_named_without_secrets() {
        for good in
            ["https://shop.example", "http://127.0.0.1:1/api?x=1", "HTTPS://Shop.example", "http://me:pass@shop"]
        {
            assert_eq!(no_address(good), None, "{good}");
        }
        for (bad, why, way_out) in [
            ("shop.example", "`shop.example` has no scheme", "be `https://shop.example`"),
            ("localhost:8080/x?token=1", "`localhost:8080/x?***` has no scheme", "be `https://localhost:8080/x?***`"),
            ("", "is no address", "begin with"),
            ("https://", "is no address", "begin with"),
            ("ftp://shop.example", "is no address", "begin with"),
            ("ghp_0123456789abcdef", "is no address", "begin with"),
        ] {
            let fault = no_address(bad).expect("it is no address");
            assert!(fault.why.starts_with(why) && fault.way_out.starts_with(way_out), "{bad}: {fault:?}");
        }
    }
}
