use sha2::Digest as _;

identifier!(
    /// Content digest as the [OCI image specification] writes it; `sha256` only.
    ///
    /// ```
    /// use lock_model::Digest;
    ///
    /// let empty = Digest::of(b"");
    /// assert_eq!(empty.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /// assert!(Digest::try_from("sha512:…").is_err());
    /// ```
    ///
    /// [OCI image specification]: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
    Digest,
    "digest",
    "`sha256:` and 64 lower-case hexadecimal digits",
    at most 71 characters,
    pattern r"^sha256:[0-9a-f]{64}$",
    check is_digest
);

/// Defines an identifier that is the [`Digest`] of something.
macro_rules! digest_of_something {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        identifier!(
            $(#[$doc])*
            $name,
            $kind,
            "`sha256:` and 64 lower-case hexadecimal digits",
            at most 71 characters,
            pattern r"^sha256:[0-9a-f]{64}$",
            check super::digest::is_digest
        );

        impl $name {
            /// The 64 hexadecimal digits.
            pub fn hex(&self) -> &str {
                super::digest::hex_part(&self.0)
            }
        }

        impl From<super::Digest> for $name {
            fn from(digest: super::Digest) -> Self {
                Self(digest.into())
            }
        }
    };
}

digest_of_something!(
    /// Identity of a lock: a digest over what it pins, over its services and third parties.
    LockId,
    "lock id"
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

pub(super) fn hex_part(text: &str) -> &str {
    text.split_once(':').map_or(text, |(_, hex)| hex)
}

pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_bytes() {
        assert_eq!(Digest::of(b"").as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn other_lengths_capitals_and_algorithms_are_refused() {
        let hex = "a".repeat(64);
        for bad in
            [format!("sha256:{}", hex.to_uppercase()), format!("sha512:{hex}"), hex.clone(), format!("sha256:{hex}a")]
        {
            assert!(Digest::try_from(bad.as_str()).is_err(), "{bad}");
        }
    }
}
