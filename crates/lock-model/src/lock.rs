use std::collections::BTreeMap;

use crate::consistency::{self, LockError};
use crate::{Exception, LockId, LockParts, Service, ServiceName, Source, ThirdParty, ThirdPartyName, identity};

/// Which commit and which image of every service a release consists of: always consistent, never changed.
///
/// Serialised, for example with `serde_json`, it is the JSON form of the lock file. With feature `yaml`, `Lock::parse`
/// and `Lock::to_yaml` are the lock file itself.
///
/// ```
/// use lock_model::{Content, GitSource, Lock, LockParts, Service, Source};
///
/// let source = Source::new(
///     "https://github.com/shop/shop".parse()?,
///     "a".repeat(40).parse()?,
///     "b".repeat(40).parse()?,
///     "c".repeat(40).parse()?,
/// );
/// let mut parts = LockParts::new(source.with_pull_request(7));
/// let git = GitSource::new("https://github.com/shop/grafana.git".parse()?, "3".repeat(40).parse()?);
/// let grafana = Service::new("infra/grafana".parse()?, git, Content::Configuration);
/// parts.services.insert("grafana".parse()?, grafana);
/// let lock = Lock::new(parts)?;
/// assert_eq!(lock.services().len(), 1);
/// assert!(lock.id().as_str().starts_with("sha256:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(into = "crate::wire::WireLock")]
pub struct Lock {
    id: LockId,
    parts: LockParts,
    schema: SchemaPlace,
}

/// Where a lock's first line looks for its schema. It is part of the bytes, not of the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaPlace {
    /// [`LOCK_SCHEMA_FILE`](crate::LOCK_SCHEMA_FILE).
    #[default]
    Usual,
    /// [`LOCK_SCHEMA_BESIDE_FILE`](crate::LOCK_SCHEMA_BESIDE_FILE), because the usual one is a file of another tool.
    Beside,
}

impl SchemaPlace {
    /// Both, the usual one first.
    pub const ALL: [Self; 2] = [Self::Usual, Self::Beside];

    /// The path of the schema in the superproject.
    pub fn path(self) -> &'static str {
        match self {
            Self::Usual => crate::LOCK_SCHEMA_FILE,
            Self::Beside => crate::LOCK_SCHEMA_BESIDE_FILE,
        }
    }
}

impl Lock {
    /// Checks the parts against each other and computes the id; reports all problems at once.
    ///
    /// Lists without an order of their own (API files, exceptions) are sorted.
    pub fn new(mut parts: LockParts) -> Result<Self, LockError> {
        consistency::check(&parts)?;
        for service in parts.services.values_mut() {
            if let Some(metadata) = &mut service.metadata {
                metadata.api.sort_by(|a, b| (&a.path, a).cmp(&(&b.path, b)));
            }
        }
        parts.exceptions.sort();
        Ok(Self { id: identity::lock_id(&parts), parts, schema: SchemaPlace::default() })
    }

    /// The digest over what the lock pins; descriptions such as `source` and `created` do not change it.
    pub fn id(&self) -> &LockId {
        &self.id
    }

    /// Where its first line looks for the schema.
    pub fn schema(&self) -> SchemaPlace {
        self.schema
    }

    /// Sets where its first line looks for the schema.
    #[must_use]
    pub fn with_schema(mut self, schema: SchemaPlace) -> Self {
        self.schema = schema;
        self
    }

    /// Where and from what the lock was made.
    pub fn source(&self) -> &Source {
        &self.parts.source
    }

    /// Every service by name.
    pub fn services(&self) -> &BTreeMap<ServiceName, Service> {
        &self.parts.services
    }

    /// What the environments install besides, by name.
    pub fn third_party(&self) -> &BTreeMap<ThirdPartyName, ThirdParty> {
        &self.parts.third_party
    }

    /// The declared deviations, sorted.
    pub fn exceptions(&self) -> &[Exception] {
        &self.parts.exceptions
    }

    /// What the lock was made of, with its lists sorted.
    pub fn parts(&self) -> &LockParts {
        &self.parts
    }

    /// Gives the parts away, to make another lock of them.
    pub fn into_parts(self) -> LockParts {
        self.parts
    }
}
