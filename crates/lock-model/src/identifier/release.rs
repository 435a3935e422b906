digest_of_something!(
    /// Identity of what is promoted through the environments: a lock together with the configuration that it runs with.
    ReleaseId,
    "release id"
);

digest_of_something!(
    /// Digest over `orchestrator.yaml` and every file that an environment names in it.
    ConfigDigest,
    "configuration digest"
);

digest_of_something!(
    /// Digest over a suite's definition and the content of its files: equal digests test the same.
    SuiteDigest,
    "suite digest"
);

impl ReleaseId {
    /// The first eight hexadecimal digits: how people name a release.
    pub fn id8(&self) -> &str {
        self.hex().get(..8).unwrap_or_default()
    }
}
