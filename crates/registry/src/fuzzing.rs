//! What the fuzz targets in `fuzz/` reach and the public interface does not show. Nothing here is promised to anybody.

use std::path::Path;

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};

use crate::auth::{Challenge, challenges};
use crate::credentials::{AuthFile, EntryContent, canonical};
use crate::document::{Document, parse};

/// Reads `WWW-Authenticate` headers and writes what was understood as one header that means the same. Values that no
/// HTTP library would give us are left out.
pub fn rewritten_challenges(values: &[&[u8]]) -> String {
    let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
    let headers: HeaderMap = values.map(|value| (WWW_AUTHENTICATE, value)).collect();
    challenges(&headers).iter().map(Challenge::written).collect::<Vec<_>>().join(", ")
}

/// Reads a file of docker or podman; gives the names in it as they are looked up, and those of them that have a
/// login, or every problem in words.
pub fn docker_config(bytes: &[u8]) -> Result<(Vec<String>, usize), Vec<String>> {
    let file = AuthFile::parse(Path::new("config.json"), bytes)
        .map_err(|error| error.problems().iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let logins = file.entries.values().filter(|entry| matches!(entry.content, EntryContent::Login(_))).count();
    let names: Vec<String> = file.entries.keys().chain(file.helpers.keys()).cloned().collect();
    for (name, key) in file.entries.iter().map(|(name, entry)| (name, &entry.key)) {
        assert_eq!(*name, canonical(key), "a name is how its key is read");
    }
    Ok((names, logins))
}

/// Reads a manifest or an index as a type; says how many other documents it refers to, or why it is refused.
pub fn document(bytes: &[u8], served_as: Option<&str>) -> Result<usize, String> {
    match parse(bytes, served_as) {
        Ok(Document::Index(index)) => Ok(index.entries.iter().filter(|entry| entry.platform_key().is_some()).count()),
        Ok(Document::Manifest(_)) => Ok(1),
        Err(error) => Err(error.to_string()),
    }
}
