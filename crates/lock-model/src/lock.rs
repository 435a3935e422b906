use std::collections::BTreeMap;

use crate::problem::{self, LockError};
use crate::{Exception, LockId, LockParts, Service, ServiceName, Source, ThirdParty, ThirdPartyName, identity};

/// Which commit and which image of every service a release consists of: always consistent, never changed.
///
/// ```
/// use std::collections::BTreeMap;
/// use lock_model::{Content, GitSource, Lock, LockParts, Origin, Service, Source};
///
/// let grafana = Service {
///     path: "infra/grafana".parse()?,
///     git: GitSource { url: "https://github.com/shop/grafana.git".parse()?, sha: "3".repeat(40).parse()? },
///     content: Content::Configuration,
///     metadata: None,
///     origin: Origin::Resolved,
/// };
/// let lock = Lock::new(LockParts {
///     source: Source {
///         repository: "https://github.com/shop/shop".parse()?,
///         pull_request: Some(7),
///         head: "a".repeat(40).parse()?,
///         base: "b".repeat(40).parse()?,
///         tree: "c".repeat(40).parse()?,
///     },
///     services: BTreeMap::from([("grafana".parse()?, grafana)]),
///     third_party: BTreeMap::new(),
///     exceptions: Vec::new(),
/// })?;
/// assert_eq!(lock.services().len(), 1);
/// assert!(lock.id().as_str().starts_with("sha256:"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    id: LockId,
    parts: LockParts,
}

impl Lock {
    /// Checks the parts against each other and computes the id; reports all problems at once.
    ///
    /// Lists without an order of their own (API files, exceptions) are sorted.
    pub fn new(mut parts: LockParts) -> Result<Self, LockError> {
        problem::check(&parts)?;
        for service in parts.services.values_mut() {
            if let Some(metadata) = &mut service.metadata {
                metadata.api.sort_by(|a, b| (&a.path, a).cmp(&(&b.path, b)));
            }
        }
        parts.exceptions.sort();
        Ok(Self { id: identity::lock_id(&parts), parts })
    }

    /// The digest over what the lock pins; descriptions such as `source` and `created` do not change it.
    pub fn id(&self) -> &LockId {
        &self.id
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

    /// All parts.
    pub fn parts(&self) -> &LockParts {
        &self.parts
    }

    /// Gives the parts away, to make another lock of them.
    pub fn into_parts(self) -> LockParts {
        self.parts
    }
}
