//! One type for each kind of identifier: parsed at the edge, trusted afterwards.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

/// Text that is not the identifier it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not a valid {kind}: {expected}")]
pub struct IdentifierError {
    kind: &'static str,
    shown: String,
    expected: &'static str,
}

impl IdentifierError {
    fn new(kind: &'static str, text: &str, expected: &'static str) -> Self {
        let shown: String = text.chars().take(120).flat_map(char::escape_default).collect();
        Self { kind, shown, expected }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentifierError;

            fn try_from(text: String) -> Result<Self, IdentifierError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(IdentifierError::new($kind, &text, $expected)) }
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdentifierError;

            fn try_from(text: &str) -> Result<Self, IdentifierError> {
                Self::try_from(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = IdentifierError;

            fn from_str(text: &str) -> Result<Self, IdentifierError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $expected })
            }
        }
    };
}

identifier!(
    /// Name of a service: by default the last segment of its submodule's path.
    ServiceName,
    "service name",
    "lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 128",
    "^[a-z0-9][a-z0-9._-]{0,127}$",
    is_name
);

identifier!(
    /// Name of something that the environments install besides the services, such as a database chart.
    ThirdPartyName,
    "third-party name",
    "lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 128",
    "^[a-z0-9][a-z0-9._-]{0,127}$",
    is_name
);

identifier!(
    /// Full object id of a git commit, in either of git's hash functions.
    CommitId,
    "commit id",
    "40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits",
    "^([0-9a-f]{40}|[0-9a-f]{64})$",
    is_object_id
);

identifier!(
    /// Full object id of a git tree.
    TreeId,
    "tree id",
    "40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits",
    "^([0-9a-f]{40}|[0-9a-f]{64})$",
    is_object_id
);

identifier!(
    /// Content digest as the [OCI image specification] writes it; `sha256` only.
    ///
    /// [OCI image specification]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
    Digest,
    "digest",
    "`sha256:` and 64 lower-case hexadecimal digits",
    "^sha256:[0-9a-f]{64}$",
    is_digest
);

identifier!(
    /// Identity of a lock: a digest over what it pins, over its services and third parties.
    LockId,
    "lock id",
    "`sha256:` and 64 lower-case hexadecimal digits",
    "^sha256:[0-9a-f]{64}$",
    is_digest
);

identifier!(
    /// Image repository with its registry host, such as `ghcr.io/shop/cart`; never a tag or digest.
    ///
    /// The first segment is always a host (it has a `.` or a port, or is `localhost`): `docker.io/library/redis`,
    /// not `redis`. [`ImageRepository::normalize`] completes the short forms.
    ImageRepository,
    "image repository",
    "a registry host and lower-case path segments, such as `ghcr.io/shop/cart`",
    "^([a-z0-9-]+(\\.[a-z0-9-]+)+(:[0-9]{1,5})?|[a-z0-9-]+:[0-9]{1,5}|localhost)(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)+$",
    is_image_repository
);

identifier!(
    /// Image tag ([OCI distribution specification], section "Pulling manifests").
    ///
    /// [OCI distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
    Tag,
    "image tag",
    "1 to 128 of letters, digits, `_`, `.`, `-`, not starting with `.` or `-`",
    "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
    is_tag
);

identifier!(
    /// Platform of an image: `os/architecture` or `os/architecture/variant`, such as `linux/arm/v7`.
    Platform,
    "platform",
    "`os/architecture` or `os/architecture/variant`",
    "^[a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*)?$",
    is_platform
);

identifier!(
    /// Address of a git repository as the lock writes it: `https://` (or, with a warning, `http://`), no user,
    /// no password, no query.
    RepositoryUrl,
    "repository URL",
    "`https://HOST/PATH` without user, query or fragment",
    "^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?(/[^\\s/?#@\\\\%\\x00-\\x1f]+)+/?$",
    is_repository_url
);

identifier!(
    /// Path of something in a git tree: relative, `/`-separated, without `.`, `..`, `.git` or control characters.
    TreePath,
    "path in a tree",
    "relative, `/` between segments, no `.`, `..` or `.git` segment, no leading `-`, no control character or backslash",
    "^[^/\\\\\\x00-\\x1f\\x7f-]",
    is_tree_path
);

impl Digest {
    /// Hashes bytes with SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(sha2::Sha256::digest(bytes).into())
    }

    /// Writes a finished SHA-256 as a digest.
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in hash {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Self(text)
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        hex_part(&self.0)
    }
}

impl LockId {
    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        hex_part(&self.0)
    }
}

impl From<Digest> for LockId {
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

impl CommitId {
    /// The first `length` digits, at most all of them.
    pub fn short(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }
}

impl TreeId {
    /// The first `length` digits, at most all of them.
    pub fn short(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }
}

impl ImageRepository {
    /// Completes the short forms that image references allow: `redis` is `docker.io/library/redis`, and
    /// `index.docker.io` is `docker.io`.
    pub fn normalize(text: &str) -> Result<Self, IdentifierError> {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest.to_owned()),
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path };
        Self::try_from(format!("{host}/{path}"))
            .map_err(|error| IdentifierError { shown: text.escape_default().collect(), ..error })
    }

    /// The registry host, with its port where it has one.
    pub fn host(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(host, _)| host)
    }

    /// What follows the host.
    pub fn path(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, path)| path)
    }
}

impl TreePath {
    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

fn hex_part(text: &str) -> &str {
    text.split_once(':').map_or(text, |(_, hex)| hex)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && is_lower_hex(text)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && is_lower_hex(hex))
}

fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        })
}

fn is_host(text: &str, dotted: bool) -> bool {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let labels = name.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    });
    let port_fine =
        port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()));
    labels && port_fine && (!dotted || name.contains('.') || port.is_some() || name == "localhost")
}

/// A path segment of a repository: runs of letters and digits, between them `.`, `_`, `__` or any number of `-`.
fn is_repository_segment(text: &str) -> bool {
    let alphanumeric = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes.split(|&byte| alphanumeric(byte)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
        })
}

fn is_image_repository(text: &str) -> bool {
    text.len() <= 255
        && text
            .split_once('/')
            .is_some_and(|(host, path)| is_host(host, true) && path.split('/').all(is_repository_segment))
}

fn is_repository_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let path = path.strip_suffix('/').unwrap_or(path);
    text.len() <= 2048
        && is_host(&host.to_ascii_lowercase(), false)
        && path.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && !segment.contains(|c: char| {
                    c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@' | '\\' | '%')
                })
        })
}

fn is_tree_path(text: &str) -> bool {
    text.len() <= 4096
        && !text.starts_with('-')
        && !text.contains(|c: char| c.is_control() || c == '\\')
        && text.split('/').all(|segment| !matches!(segment, "" | "." | "..") && !segment.eq_ignore_ascii_case(".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_normalised_with_their_host() {
        for (short, full) in [
            ("redis", "docker.io/library/redis"),
            ("bitnami/redis", "docker.io/bitnami/redis"),
            ("index.docker.io/bitnami/redis", "docker.io/bitnami/redis"),
            ("docker.io/redis", "docker.io/library/redis"),
            ("ghcr.io/shop/cart", "ghcr.io/shop/cart"),
            ("localhost/cart", "localhost/cart"),
            ("127.0.0.1:5000/shop/cart", "127.0.0.1:5000/shop/cart"),
        ] {
            assert_eq!(ImageRepository::normalize(short).unwrap().as_str(), full);
        }
        for bad in
            ["", "/cart", "ghcr.io/", "ghcr.io/Shop", "ghcr.io/a..b", "ghcr.io/a___b", "ghcr.io/cart:1", "-x.io/cart"]
        {
            assert!(ImageRepository::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(ImageRepository::try_from("ghcr.io/a__b/c---d").unwrap().path(), "a__b/c---d");
        assert!(ImageRepository::try_from("shop/cart").is_err(), "no host");
    }

    #[test]
    fn urls_carry_no_credentials() {
        for good in
            ["https://github.com/Shopifake/shopifake-back", "https://host.example:8443/a/b.git", "http://host/a"]
        {
            assert!(RepositoryUrl::try_from(good).is_ok(), "{good}");
        }
        for bad in [
            "https://user:secret@host/a",
            "ssh://host/a",
            "https:///host",
            "https://host",
            "https://host/../a",
            "https://host/a?b",
            "https://host/%0a",
            "file:///a",
            "https://host/a\nb",
            "-uhttps://host/a",
        ] {
            assert!(RepositoryUrl::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn t29_no_identifier_starts_with_a_hyphen_or_holds_shell_text() {
        for hostile in ["$(id)", "--post-renderer=x", "a\";DROP", "-u", "a b", "a\n", "../x", ""] {
            assert!(ServiceName::try_from(hostile).is_err(), "{hostile}");
            assert!(Tag::try_from(hostile).is_err(), "{hostile}");
            assert!(CommitId::try_from(hostile).is_err(), "{hostile}");
            assert!(Digest::try_from(hostile).is_err(), "{hostile}");
            assert!(ImageRepository::try_from(hostile).is_err(), "{hostile}");
            assert!(Platform::try_from(hostile).is_err(), "{hostile}");
            assert!(RepositoryUrl::try_from(hostile).is_err(), "{hostile}");
        }
        for hostile in ["-x", "a/../b", "/a", "a//b", ".git/config", "a/.GIT", "a\r", "a\\b", ""] {
            assert!(TreePath::try_from(hostile).is_err(), "{hostile}");
        }
    }

    #[test]
    fn digest_of_bytes() {
        assert_eq!(Digest::of(b"").as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
