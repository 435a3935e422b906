//! Proof of what was stored: every document is read again and compared with the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lock_model::{CommitId, Digest, LockId, ServiceName};

use crate::changes::service_of;
use crate::image::ImagePin;
use crate::manifest;
use crate::object::ObjectId;
use crate::pin::{self, ImageVerdict, Leftover, Pins};
use crate::problem::shown;
use crate::record::{RECORD_NAME, RELEASE_FILE, ReleaseRecord};
use crate::request::{ForeignNamespace, LeftoverRule, NamespaceRule, RenderRequest};
use crate::rules;
use crate::tree::RenderedTree;
use crate::walk::Slot;

/// What a stored tree has to be.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Name of the environment.
    pub environment: String,
    /// Namespace of its objects.
    pub namespace: String,
    /// Which objects may leave the namespace.
    pub namespace_rule: NamespaceRule,
    /// What happens to images that nothing pins.
    pub leftovers: LeftoverRule,
    /// Release id.
    pub release: String,
    /// Id of the lock.
    pub lock: LockId,
    /// The services that are deployed here, each with its locked image where it has one.
    pub services: Vec<ExpectedService>,
    /// Images of the lock that belong to no deployed service.
    pub other_images: Vec<ImagePin>,
}

/// A service that has to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedService {
    /// Name of the service.
    pub name: ServiceName,
    /// Its locked image; none for a service of kind `configuration`.
    pub image: Option<ImagePin>,
    /// Which of its objects may leave the namespace, where the expectation's rule does not hold for it.
    pub namespace_rule: Option<NamespaceRule>,
}

impl Expectation {
    /// What a request has to lead to.
    pub fn of(request: &RenderRequest) -> Self {
        Self {
            environment: request.environment.clone(),
            namespace: request.namespace.clone(),
            namespace_rule: request.namespace_rule.clone(),
            leftovers: request.leftovers,
            release: request.release.clone(),
            lock: request.lock.clone(),
            services: request
                .services
                .iter()
                .map(|service| ExpectedService {
                    name: service.name.clone(),
                    image: service.image.clone(),
                    namespace_rule: service.namespace_rule.clone(),
                })
                .collect(),
            other_images: request.other_images.clone(),
        }
    }
}

/// How far a proof reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofLevel {
    /// What was written was read back.
    Stored,
}

/// The answer of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofVerdict {
    /// Everything is as locked.
    Proven,
    /// Something is not; see the findings.
    NotProven,
}

/// What was found in a stored tree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    /// How far the proof reaches.
    pub level: ProofLevel,
    /// The answer.
    pub verdict: ProofVerdict,
    /// The commit that was read; none for a folder or a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// Digest over every path and its bytes.
    pub tree: Digest,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Every locked image that was found.
    pub images: Vec<ProvenImage>,
    /// Images that the lock does not decide.
    pub leftovers: Vec<Leftover>,
}

/// A locked image at its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ProvenImage {
    /// The service whose manifests hold it.
    pub service: Option<ServiceName>,
    /// `Kind/name` of the object.
    pub object: String,
    /// Place in the object.
    pub place: String,
    /// The pinned reference.
    pub image: String,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The service it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// File in the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// What was found.
    pub message: String,
}

/// What kind of thing is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// There is no tree.
    Missing,
    /// The tree is another release's, or says nothing about it.
    Release,
    /// A file that belongs to no deployed service, or is no file.
    Unexpected,
    /// A file that is no list of Kubernetes objects.
    Unreadable,
    /// A container of a locked repository runs another image.
    Image,
    /// A deployed service has no objects, or no container of its image.
    NothingDeployed,
    /// An object outside the namespace, or with reach beyond it.
    Reach,
    /// An object that is there twice.
    Duplicate,
    /// An image that nothing pins, where the rule refuses those.
    Leftover,
}

impl Proof {
    /// Whether everything is as locked.
    pub fn is_proven(&self) -> bool {
        self.verdict == ProofVerdict::Proven
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "`{}`: ", shown(path))?;
        } else if let Some(service) = &self.service {
            write!(f, "`{service}`: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Reads a stored tree and says whether it is what was locked.
pub fn prove(expectation: &Expectation, tree: &RenderedTree) -> Proof {
    let mut reader = Reader {
        expectation,
        services: expectation.services.iter().map(|service| (&service.name, service.image.as_ref())).collect(),
        pins: Pins::new(
            expectation.services.iter().filter_map(|it| it.image.as_ref()).chain(&expectation.other_images),
        ),
        objects: BTreeMap::new(),
        counts: BTreeMap::new(),
        containers: BTreeSet::new(),
        proven: BTreeSet::new(),
        findings: BTreeSet::new(),
        leftovers: BTreeSet::new(),
    };
    for path in &tree.irregular {
        reader.find(service_of(path), Some(path), FindingKind::Unexpected, "is not a regular file");
    }
    reader.read_record(tree);
    for (path, bytes) in tree.files.iter().filter(|(path, _)| path.as_str() != RELEASE_FILE) {
        reader.read_file(path, bytes);
    }
    reader.look_for_services();

    let findings: Vec<Finding> = reader.findings.into_iter().collect();
    let verdict = if findings.is_empty() { ProofVerdict::Proven } else { ProofVerdict::NotProven };
    Proof {
        level: ProofLevel::Stored,
        verdict,
        commit: tree.commit.clone(),
        tree: tree.digest(),
        findings,
        images: reader.proven.into_iter().collect(),
        leftovers: reader.leftovers.into_iter().collect(),
    }
}

/// The proof of a tree that is not there at all.
pub fn prove_missing(what: &str) -> Proof {
    let tree = RenderedTree::default();
    Proof {
        level: ProofLevel::Stored,
        verdict: ProofVerdict::NotProven,
        commit: None,
        tree: tree.digest(),
        findings: vec![Finding {
            service: None,
            path: None,
            kind: FindingKind::Missing,
            message: format!("{what} holds no rendered tree"),
        }],
        images: Vec::new(),
        leftovers: Vec::new(),
    }
}

struct Reader<'a> {
    expectation: &'a Expectation,
    services: BTreeMap<&'a ServiceName, Option<&'a ImagePin>>,
    pins: Pins,
    objects: BTreeMap<ObjectId, String>,
    counts: BTreeMap<ServiceName, usize>,
    /// The services that have a container, with the locked image that it runs.
    containers: BTreeSet<(ServiceName, String)>,
    proven: BTreeSet<ProvenImage>,
    findings: BTreeSet<Finding>,
    leftovers: BTreeSet<Leftover>,
}

impl Reader<'_> {
    fn find(
        &mut self,
        service: Option<ServiceName>,
        path: Option<&str>,
        kind: FindingKind,
        message: impl Into<String>,
    ) {
        self.findings.insert(Finding { service, path: path.map(str::to_owned), kind, message: message.into() });
    }

    fn read_record(&mut self, tree: &RenderedTree) {
        let path = Some(RELEASE_FILE);
        let Some(bytes) = tree.files.get(RELEASE_FILE) else {
            return self.find(None, path, FindingKind::Release, "is missing: nothing says which release this is");
        };
        let Some(record) = ReleaseRecord::read(bytes) else {
            return self.find(None, path, FindingKind::Release, "does not say which release this is");
        };
        let ReleaseRecord { environment, release, lock, commit: _ } = record;
        let expected = self.expectation;
        for (what, found, wanted) in [
            ("environment", environment.as_str(), expected.environment.as_str()),
            ("release", release.as_str(), expected.release.as_str()),
            ("lock", lock.as_str(), expected.lock.as_str()),
        ] {
            if found != wanted {
                let message = format!("says {what} `{}`, expected is `{wanted}`", shown(found));
                self.find(None, path, FindingKind::Release, message);
            }
        }
        let id = ObjectId {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(expected.namespace.clone()),
            name: RECORD_NAME.to_owned(),
        };
        self.objects.insert(id, RELEASE_FILE.to_owned());
    }

    fn read_file(&mut self, path: &str, bytes: &[u8]) {
        let service = service_of(path);
        let Some(own) = service.as_ref().and_then(|service| self.services.get(service).copied()) else {
            return self.find(
                service,
                Some(path),
                FindingKind::Unexpected,
                "belongs to no service that is deployed here",
            );
        };
        let documents = match manifest::read(bytes) {
            Ok(documents) => documents,
            Err(reasons) => {
                for reason in reasons {
                    let line = reason.line.map(|line| format!(" (line {line})")).unwrap_or_default();
                    let message = format!("{}{line}", reason.message);
                    self.find(service.clone(), Some(path), FindingKind::Unreadable, message);
                }
                return;
            }
        };
        for document in documents {
            let manifest::Document { number, line: _, mut object } = document;
            let id = match ObjectId::of(&object) {
                Ok(id) => id,
                Err(message) => {
                    let message = format!("document {number}: {message}");
                    self.find(service.clone(), Some(path), FindingKind::Unreadable, message);
                    continue;
                }
            };
            if let Some(service) = &service {
                *self.counts.entry(service.clone()).or_default() += 1;
            }
            self.check_reach(service.as_ref(), path, &id, &object);
            self.check_images(service.as_ref(), path, &id, &mut object, own);
            if let Some(other) = self.objects.insert(id.clone(), path.to_owned()) {
                let message = format!("{id} is there twice: also in `{}`", shown(&other));
                self.find(service.clone(), Some(path), FindingKind::Duplicate, message);
            }
        }
    }

    /// What is stored must stand in the namespace by itself: nothing is filled in or moved any more.
    fn check_reach(
        &mut self,
        service: Option<&ServiceName>,
        path: &str,
        id: &ObjectId,
        object: &serde_json::Map<String, serde_json::Value>,
    ) {
        let expectation = self.expectation;
        let own = expectation.services.iter().find(|expected| Some(&expected.name) == service);
        let rule = own.and_then(|own| own.namespace_rule.as_ref()).unwrap_or(&expectation.namespace_rule).clone();
        let rule = NamespaceRule { foreign: ForeignNamespace::Refuse, ..rule };
        if id.namespace.is_none() && !id.is_cluster_scoped() {
            self.find(service.cloned(), Some(path), FindingKind::Reach, format!("{id} names no namespace"));
        }
        let mut copy = object.clone();
        let mut violations = rules::place_in_namespace(&mut copy, &mut id.clone(), &expectation.namespace, &rule);
        violations.extend(rules::node_privileges(object, id, &rule));
        for (_, message) in violations {
            self.find(service.cloned(), Some(path), FindingKind::Reach, message);
        }
    }

    fn check_images(
        &mut self,
        service: Option<&ServiceName>,
        path: &str,
        id: &ObjectId,
        object: &mut serde_json::Map<String, serde_json::Value>,
        own: Option<&ImagePin>,
    ) {
        for image in pin::pin_images(object, own, &self.pins) {
            let (place, written) = (image.place, shown(&image.before));
            match image.verdict {
                ImageVerdict::Locked if image.locked.as_deref() == Some(image.before.as_str()) => {
                    if let Some(service) = service.filter(|_| image.slot == Slot::Container) {
                        self.containers.insert((service.clone(), image.before.clone()));
                    }
                    let (service, object) = (service.cloned(), id.to_string());
                    self.proven.insert(ProvenImage { service, object, place, image: image.before });
                }
                ImageVerdict::Locked => {
                    let wanted = image.locked.unwrap_or_default();
                    let message = format!("`{place}` of {id} is `{written}`, locked is `{wanted}`");
                    self.find(service.cloned(), Some(path), FindingKind::Image, message);
                }
                ImageVerdict::Ambiguous(which) => {
                    let message = format!("`{place}` of {id} is `{written}`, locked are {}", which.join(", "));
                    self.find(service.cloned(), Some(path), FindingKind::Image, message);
                }
                ImageVerdict::NotAnImage => {
                    let message = format!("`{place}` of {id} is `{written}`, which is not an image reference");
                    self.find(service.cloned(), Some(path), FindingKind::Image, message);
                }
                ImageVerdict::Pinned => {}
                ImageVerdict::Leftover(reason) => {
                    if self.expectation.leftovers == LeftoverRule::Refuse {
                        let message = format!("`{place}` of {id} is `{written}`, which the lock does not decide");
                        self.find(service.cloned(), Some(path), FindingKind::Leftover, message);
                    }
                    self.leftovers.insert(Leftover {
                        service: service.cloned(),
                        path: path.to_owned(),
                        object: id.to_string(),
                        place,
                        image: written,
                        reason,
                    });
                }
            }
        }
    }

    fn look_for_services(&mut self) {
        let mut missing = Vec::new();
        for (&name, &own) in &self.services {
            if !self.counts.contains_key(name) {
                missing.push((name.clone(), "is deployed here, but has no objects".to_owned()));
                continue;
            }
            let Some(own) = own else { continue };
            let reference = own.reference();
            if !self.containers.contains(&(name.clone(), reference.clone())) {
                missing.push((name.clone(), format!("is deployed here, but no container runs `{reference}`")));
            }
        }
        for (name, message) in missing {
            self.find(Some(name), None, FindingKind::NothingDeployed, message);
        }
    }
}
