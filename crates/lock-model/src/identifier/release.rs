use super::Digest;

identifier!(
    /// Identity of what is promoted through the environments: a lock together with the configuration that it runs with.
    ReleaseId,
    "release id",
    "`sha256:` and 64 lower-case hexadecimal digits",
    at most 71 characters,
    pattern "^sha256:[0-9a-f]{64}$",
    check super::digest::is_digest
);

identifier!(
    /// Digest over `orchestrator.yaml` and every file that an environment names in it.
    ConfigDigest,
    "configuration digest",
    "`sha256:` and 64 lower-case hexadecimal digits",
    at most 71 characters,
    pattern "^sha256:[0-9a-f]{64}$",
    check super::digest::is_digest
);

identifier!(
    /// Digest over a suite's definition and the content of its files: equal digests test the same.
    SuiteDigest,
    "suite digest",
    "`sha256:` and 64 lower-case hexadecimal digits",
    at most 71 characters,
    pattern "^sha256:[0-9a-f]{64}$",
    check super::digest::is_digest
);

impl ReleaseId {
    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        super::digest::hex_part(&self.0)
    }

    /// The first eight hexadecimal digits: how people name a release.
    pub fn id8(&self) -> &str {
        self.hex().get(..8).unwrap_or_default()
    }
}

impl From<Digest> for ReleaseId {
    fn from(digest: Digest) -> Self {
        Self(digest.into())
    }
}

impl From<Digest> for ConfigDigest {
    fn from(digest: Digest) -> Self {
        Self(digest.into())
    }
}

impl From<Digest> for SuiteDigest {
    fn from(digest: Digest) -> Self {
        Self(digest.into())
    }
}
