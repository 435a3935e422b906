use super::scalar::push_scalar;
use crate::wire::LOCK_VERSION;
use crate::{
    Content, Exception, Lock, LockedChart, LockedImage, LockedManifests, Origin, SchemaPlace, Service, Source,
    ThirdParty, ThirdPartySource,
};

/// The first line: where editors find the schema. It is part of the bytes.
pub(super) fn header(schema: SchemaPlace) -> &'static str {
    match schema {
        SchemaPlace::Usual => "# yaml-language-server: $schema=./schema.json\n",
        SchemaPlace::Beside => "# yaml-language-server: $schema=./lock.schema.json\n",
    }
}

impl Lock {
    /// Writes the lock file in its only form: the same lock is always the same bytes.
    ///
    /// Two spaces, LF, maps sorted, lists not indented, what is empty is left out. A string is plain, unless a YAML
    /// reader would take it for something else or could not read it: then it is double-quoted.
    ///
    /// ```
    /// use lock_model::{Lock, LockParts, Source};
    ///
    /// let source = Source::new(
    ///     "https://github.com/shop/shop".parse()?,
    ///     "1".repeat(40).parse()?,
    ///     "b".repeat(40).parse()?,
    ///     "c".repeat(40).parse()?,
    /// );
    /// let lock = Lock::new(LockParts::new(source.with_pull_request(7)))?;
    /// assert_eq!(
    ///     lock.to_yaml(),
    ///     r#"# yaml-language-server: $schema=./schema.json
    /// version: 1
    /// id: sha256:2d88547f99c24c7009b0fc405edccfdbcc71ce0a3226a78a17e5afc5ddb41d01
    /// source:
    ///   repository: https://github.com/shop/shop
    ///   pull_request: 7
    ///   head: "1111111111111111111111111111111111111111"
    ///   base: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    ///   tree: cccccccccccccccccccccccccccccccccccccccc
    /// "#
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_yaml(&self) -> String {
        let mut out = Writer { text: header(self.schema()).to_owned() };
        out.number(0, "version", LOCK_VERSION);
        out.field(0, "id", self.id().as_str());
        out.source(self.source());
        if !self.services().is_empty() {
            out.open(0, "services");
            for (name, service) in self.services() {
                out.open(1, name.as_str());
                out.service(service);
            }
        }
        if !self.third_party().is_empty() {
            out.open(0, "third_party");
            for (name, entry) in self.third_party() {
                out.open(1, name.as_str());
                out.third_party(entry);
            }
        }
        if !self.exceptions().is_empty() {
            out.open(0, "exceptions");
            for exception in self.exceptions() {
                out.exception(exception);
            }
        }
        out.text
    }
}

struct Writer {
    text: String,
}

impl Writer {
    fn source(&mut self, source: &Source) {
        let Source { repository, pull_request, head, base, tree } = source;
        self.open(0, "source");
        self.field(1, "repository", repository.as_str());
        if let Some(number) = pull_request {
            self.number(1, "pull_request", *number);
        }
        self.field(1, "head", head.as_str());
        self.field(1, "base", base.as_str());
        self.field(1, "tree", tree.as_str());
    }

    fn service(&mut self, service: &Service) {
        let Service { path, git, content, metadata, origin } = service;
        self.field(2, "kind", content.kind());
        self.field(2, "path", path.as_str());
        self.open(2, "git");
        self.field(3, "url", git.url.as_str());
        self.field(3, "sha", git.commit.as_str());
        match content {
            Content::Image(image) => self.image(image),
            Content::Configuration => {}
        }
        if let Some(metadata) = metadata {
            self.open(2, "metadata");
            self.field(3, "version", metadata.version.as_str());
            if !metadata.api.is_empty() {
                self.open(3, "api");
                for file in &metadata.api {
                    self.item(3, "kind", file.kind.as_str());
                    self.field(4, "path", file.path.as_str());
                    self.field(4, "digest", file.digest.as_str());
                }
            }
        }
        match origin {
            Origin::Resolved => {}
            Origin::Migrated => self.field(2, "origin", origin.as_str()),
        }
    }

    fn image(&mut self, image: &LockedImage) {
        let LockedImage { repository, tag, digest, platforms, created, created_from, revision } = image;
        self.open(2, "image");
        self.field(3, "repository", repository.as_str());
        self.field(3, "tag", tag.as_str());
        self.field(3, "digest", digest.as_str());
        if !platforms.is_empty() {
            self.open(3, "platforms");
            for (platform, digest) in platforms {
                self.field(4, platform.as_str(), digest.as_str());
            }
        }
        self.field(3, "created", &created.to_string());
        self.field(3, "created_from", created_from.as_str());
        self.field(3, "revision", revision.as_str());
    }

    fn third_party(&mut self, entry: &ThirdParty) {
        let ThirdParty { source, images } = entry;
        match source {
            ThirdPartySource::Chart(LockedChart { reference, version, digest }) => {
                self.open(2, "chart");
                self.field(3, "reference", reference.as_str());
                self.field(3, "version", version.as_str());
                self.field(3, "digest", digest.as_str());
            }
            ThirdPartySource::Manifests(LockedManifests { service, path, digest }) => {
                self.open(2, "manifests");
                self.field(3, "service", service.as_str());
                self.field(3, "path", path.as_str());
                self.field(3, "digest", digest.as_str());
            }
        }
        if !images.is_empty() {
            self.open(2, "images");
            for (repository, digest) in images {
                self.field(3, repository.as_str(), digest.as_str());
            }
        }
    }

    fn exception(&mut self, exception: &Exception) {
        let Exception { kind, subject, reason, owner, until } = exception;
        self.item(0, "kind", kind.as_str());
        self.field(1, "subject", subject.as_str());
        self.field(1, "reason", reason.as_str());
        self.field(1, "owner", owner.as_str());
        self.field(1, "until", &until.to_string());
    }

    /// A key whose value is a map or list on the following lines.
    fn open(&mut self, depth: usize, key: &str) {
        self.key(depth, key);
        self.text.push('\n');
    }

    fn field(&mut self, depth: usize, key: &str, value: &str) {
        self.key(depth, key);
        self.text.push(' ');
        push_scalar(&mut self.text, value);
        self.text.push('\n');
    }

    fn number(&mut self, depth: usize, key: &str, value: u64) {
        self.key(depth, key);
        self.text.push(' ');
        self.text.push_str(&value.to_string());
        self.text.push('\n');
    }

    /// The first field of a list's item; its other fields follow one level deeper.
    fn item(&mut self, depth: usize, key: &str, value: &str) {
        self.indent(depth);
        self.text.push_str("- ");
        self.field(0, key, value);
    }

    fn key(&mut self, depth: usize, key: &str) {
        self.indent(depth);
        push_scalar(&mut self.text, key);
        self.text.push(':');
    }

    fn indent(&mut self, depth: usize) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
    }
}
