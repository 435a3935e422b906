use crate::Digest;

/// A value that has no canonical JSON form (RFC 8785): a number that is not finite.
#[derive(Debug, thiserror::Error)]
#[error("value has no canonical JSON form")]
pub struct CanonicalError(#[source] serde_json::Error);

/// Writes a value as canonical JSON, [RFC 8785](https://www.rfc-editor.org/rfc/rfc8785) (JCS).
pub fn canonical_json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(CanonicalError)
}

/// Hashes `tag`, a line feed, and the canonical JSON of a value.
///
/// The tag keeps identities of different kinds apart: a lock and a release with the same content have
/// different ids.
pub fn tagged_digest<T: serde::Serialize>(tag: &str, value: &T) -> Result<Digest, CanonicalError> {
    let mut bytes = tag.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.extend(canonical_json(value)?);
    Ok(Digest::of(&bytes))
}
