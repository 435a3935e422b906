use super::IdentifierError;
use super::macros::is_host;

identifier!(
    /// Image repository with its registry host, such as `ghcr.io/shop/cart`; never a tag or digest.
    ///
    /// The first segment is always a host (it has a `.` or a port, or is `localhost`): `docker.io/library/redis`,
    /// not `redis`. [`ImageRepository::normalize`] completes the short forms.
    ///
    /// ```
    /// use lock_model::ImageRepository;
    ///
    /// assert!(ImageRepository::try_from("redis").is_err());
    /// let redis = ImageRepository::normalize("redis")?;
    /// assert_eq!((redis.host(), redis.path()), ("docker.io", "library/redis"));
    /// # Ok::<(), lock_model::IdentifierError>(())
    /// ```
    ImageRepository,
    "image repository",
    "a registry host and lower-case path segments, such as `ghcr.io/shop/cart`",
    at most 255 characters,
    pattern concat!("^", image_host_pattern!(), "(/", image_segment_pattern!(), ")+$"),
    check is_image_repository
);

identifier!(
    /// Image tag ([OCI distribution specification], section "Pulling manifests").
    ///
    /// [OCI distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
    Tag,
    "image tag",
    "1 to 128 of letters, digits, `_`, `.`, `-`, not starting with `.` or `-`",
    at most 128 characters,
    pattern r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
    check |text| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    }
);

identifier!(
    /// Platform of an image: `os/architecture` or `os/architecture/variant`, such as `linux/arm/v7`.
    Platform,
    "platform",
    "`os/architecture` or `os/architecture/variant`",
    at most 128 characters,
    pattern r"^[a-z0-9][a-z0-9_.-]*(/[a-z0-9][a-z0-9_.-]*){1,2}$",
    check is_platform
);

impl ImageRepository {
    /// Completes the short forms that image references allow: `redis` is `docker.io/library/redis`, and
    /// `index.docker.io` is `docker.io`.
    pub fn normalize(text: &str) -> Result<Self, IdentifierError> {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if names_host(first) => (first, rest.to_owned()),
            Some(_) => ("docker.io", text.to_owned()),
            None => ("docker.io", format!("library/{text}")),
        };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let path = if host == "docker.io" && !path.contains('/') { format!("library/{path}") } else { path };
        Self::try_from(format!("{host}/{path}")).map_err(|error| error.about(text))
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

fn is_platform(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
        })
}

/// Whether the first segment of a reference is a registry host; else it belongs to the path on `docker.io`.
pub(super) fn names_host(segment: &str) -> bool {
    segment.contains(['.', ':']) || segment == "localhost"
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
    let Some((host, path)) = text.split_once('/') else { return false };
    is_host(host)
        && names_host(host)
        && !host.contains(|c: char| c.is_ascii_uppercase())
        && path.split('/').all(is_repository_segment)
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
            assert!(ImageRepository::normalize(bad).is_err(), "{bad}");
            assert!(ImageRepository::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(ImageRepository::try_from("ghcr.io/a__b/c---d").unwrap().path(), "a__b/c---d");
        assert!(ImageRepository::try_from("shop/cart").is_err(), "no host");
    }

    #[test]
    fn p30_a_tag_with_a_stray_quote_is_no_tag() {
        for bad in ["main-1111111\"", "\"main-1111111", "main 1", "main:1", ".x", "-x", "", "main-1@sha256", "a,"] {
            assert!(Tag::try_from(bad).is_err(), "{bad}");
        }
        assert!(Tag::try_from("2286238").is_ok(), "an odd tag is a tag; the file quotes it");
    }

    #[test]
    fn t29_no_image_reference_starts_with_a_hyphen_or_holds_shell_text() {
        for hostile in ["$(id)", "--post-renderer=x", "a\";DROP", "-u", "a b", "a\n", "../x", ""] {
            assert!(Tag::try_from(hostile).is_err(), "{hostile}");
            assert!(ImageRepository::try_from(hostile).is_err(), "{hostile}");
            assert!(Platform::try_from(hostile).is_err(), "{hostile}");
        }
    }
}
