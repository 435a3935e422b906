//! The join of a scanned tree with a decision for each of its submodules.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

use lock_model::{
    Content, ErrorClass, Exception, GitSource, Lock, LockParts, LockedMetadata, Origin, Service, ServiceName, Source,
    ThirdParty, ThirdPartyName, TreePath,
};

use crate::lock_drift::drift;
use crate::{LockDrift, Scan, Submodule};

/// A lock that is being made: what was decided for each submodule of a tree.
///
/// Commits and repositories come from the scan, so that the lock belongs to the tree that was scanned.
///
/// ```
/// use lock_gen::{LockDraft, Scan, Submodule, lock_drift};
/// use lock_model::{Content, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `Superproject::scan` reads this from a tree.
/// let url = "https://github.com/shop/grafana.git".parse()?;
/// let mut scan = Scan::default();
/// scan.submodules.push(Submodule::new("grafana", "infra/grafana".parse()?, url, "3".repeat(40).parse()?));
///
/// let source = Source::new(
///     "https://github.com/shop/shop".parse()?,
///     "a".repeat(40).parse()?,
///     "b".repeat(40).parse()?,
///     "c".repeat(40).parse()?,
/// );
/// let mut draft = LockDraft::new(source.with_pull_request(7));
/// draft.add("grafana".parse()?, "infra/grafana".parse()?, Content::Configuration, None);
/// let lock = draft.assemble(&scan)?;
/// assert_eq!(lock_drift(&lock, &scan), []);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LockDraft {
    source: Source,
    origin: Origin,
    entries: Vec<(ServiceName, Entry)>,
    left_out: BTreeSet<TreePath>,
    third_party: BTreeMap<ThirdPartyName, ThirdParty>,
    exceptions: Vec<Exception>,
}

#[derive(Clone, Debug)]
enum Entry {
    Added { path: TreePath, content: Content, metadata: Option<LockedMetadata> },
    Kept(Service),
}

impl LockDraft {
    /// A draft without decisions, for a tree of this superproject.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            origin: Origin::Resolved,
            entries: Vec::new(),
            left_out: BTreeSet::new(),
            third_party: BTreeMap::new(),
            exceptions: Vec::new(),
        }
    }

    /// The origin of the entries that are [added](Self::add): [`Origin::Resolved`] without this.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Locks the submodule at a path under this name, with its resolved image or as configuration only.
    pub fn add(&mut self, name: ServiceName, path: TreePath, content: Content, metadata: Option<LockedMetadata>) {
        self.entries.push((name, Entry::Added { path, content, metadata }));
    }

    /// Keeps an entry of an earlier lock as it is. Its path, commit and repository must be those of the tree.
    pub fn keep(&mut self, name: ServiceName, entry: Service) {
        self.entries.push((name, Entry::Kept(entry)));
    }

    /// Leaves the submodule at a path out of the lock, which records the exception.
    pub fn leave_out(&mut self, path: TreePath, exception: Exception) {
        self.left_out.insert(path);
        self.exceptions.push(exception);
    }

    /// Adds something that the environments install besides the services; a later one of the same name wins.
    pub fn third_party(&mut self, name: ThirdPartyName, entry: ThirdParty) {
        self.third_party.insert(name, entry);
    }

    /// Joins the decisions with the tree. All problems are reported at once.
    pub fn assemble(self, scan: &Scan) -> Result<Lock, AssembleError> {
        let Self { source, origin, entries, left_out, third_party, exceptions } = self;
        let submodules: BTreeMap<&TreePath, &Submodule> = scan.submodules.iter().map(|one| (&one.path, one)).collect();
        let mut problems = Vec::new();
        let mut services = BTreeMap::new();
        let mut decided = left_out.clone();
        for (name, entry) in entries {
            let service = match entry {
                Entry::Kept(service) => service,
                Entry::Added { path, content, metadata } => match submodules.get(&path) {
                    Some(Submodule { url, commit, .. }) => {
                        let git = GitSource::new(url.clone(), commit.clone());
                        let mut service = Service::new(path, git, content);
                        service.metadata = metadata;
                        service.origin = origin;
                        service
                    }
                    None if scan.has_problem_at(&path) => continue,
                    None => {
                        problems.push(AssembleProblem::Drift(LockDrift::NotInTree { service: name, path }));
                        continue;
                    }
                },
            };
            if left_out.contains(&service.path) {
                problems.push(AssembleProblem::LockedAndLeftOut { service: name.clone(), path: service.path.clone() });
            }
            match services.entry(name) {
                MapEntry::Vacant(place) => {
                    place.insert(service);
                }
                MapEntry::Occupied(taken) => {
                    decided.insert(service.path.clone());
                    problems.push(AssembleProblem::NameTaken { service: taken.key().clone(), path: service.path });
                }
            }
        }
        let stray = left_out.iter().filter(|path| !submodules.contains_key(path) && !scan.has_problem_at(path));
        problems.extend(stray.cloned().map(|path| AssembleProblem::LeftOutNotInTree { path }));
        let mut drifts = drift(&services, scan);
        drifts.retain(|drift| !matches!(drift, LockDrift::NotInLock { path, .. } if decided.contains(path)));
        problems.extend(drifts.into_iter().map(AssembleProblem::Drift));
        let mut parts = LockParts::new(source).with_services(services);
        parts.third_party = third_party;
        parts.exceptions = exceptions;
        match Lock::new(parts) {
            Ok(lock) if problems.is_empty() => return Ok(lock),
            Ok(_) => {}
            Err(error) => problems.extend(error.problems().iter().cloned().map(AssembleProblem::Lock)),
        }
        Err(AssembleError { problems })
    }
}

/// Everything that is wrong with a draft, a line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lock_model::one_per_line(problems))]
pub struct AssembleError {
    problems: Vec<AssembleProblem>,
}

/// One thing that is wrong with a draft.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleProblem {
    /// The decisions are not those of this tree: a submodule without a decision, a decision without a submodule, a kept
    /// entry of another commit or repository, or a problem of the tree itself.
    #[error("{0}")]
    Drift(LockDrift),
    /// A second service has the name of another one.
    #[error("`{path}` has the name of another service, `{service}`")]
    NameTaken {
        /// The name of both.
        service: ServiceName,
        /// The path of the second one.
        path: TreePath,
    },
    /// A path is locked and left out.
    #[error("`{path}` is left out, and locked as `{service}`")]
    LockedAndLeftOut {
        /// The service that is locked there.
        service: ServiceName,
        /// The path of both decisions.
        path: TreePath,
    },
    /// A path is left out where the tree has no submodule.
    #[error("`{path}` is left out, but is no submodule of the tree")]
    LeftOutNotInTree {
        /// The path of the decision.
        path: TreePath,
    },
    /// The parts of the lock contradict each other.
    #[error("{0}")]
    Lock(lock_model::Problem),
}

impl AssembleError {
    /// First those of single decisions, then drift by path, then those of the lock as a whole.
    pub fn problems(&self) -> &[AssembleProblem] {
        &self.problems
    }

    /// Always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}
