//! What a proof says: the same for every target, apart from the detail.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use lock_model::{Digest, ServiceName};

use crate::apply::ApplyProof;
use crate::helm::HelmProof;
use crate::image_pinning::UnpinnedImage;
use crate::namespace::{EndingPod, RunningContainer, Sidecar};
use crate::problem::{ProblemKind, escaped};
use crate::render::RenderProof;

/// What was found when a deployment was compared with its request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Proof {
    /// What was looked at.
    pub level: ProofLevel,
    /// Proven, if there are no findings.
    pub verdict: ProofVerdict,
    /// What the target read.
    #[serde(flatten)]
    pub detail: ProofDetail,
    /// What differs from the request.
    pub findings: Vec<Finding>,
    /// Every locked image that was found.
    pub images: Vec<ProvenImage>,
    /// Images that the lock does not decide.
    pub unpinned_images: Vec<UnpinnedImage>,
    /// Locked digests whose containers report another one without a repository: it may be that of the image's configuration,
    /// which the request does not have.
    #[serde(skip)]
    pub without_configuration: BTreeSet<Digest>,
    /// Containers that other programs added to pods, and that the environment allows.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sidecars: BTreeSet<Sidecar>,
    /// Pods of earlier versions that still work until they have ended; gone with the next look, they are no part of what
    /// is kept of the proof.
    #[serde(skip)]
    pub ending: BTreeSet<EndingPod>,
}

/// The part of a proof that belongs to its target.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "target", rename_all = "snake_case")]
pub enum ProofDetail {
    /// Of [`Target::Render`](crate::Target::Render).
    Render(RenderProof),
    /// Of [`Target::Helm`](crate::Target::Helm).
    Helm(HelmProof),
    /// Of [`Target::Apply`](crate::Target::Apply).
    Apply(ApplyProof),
}

impl ProofDetail {
    /// The containers that run locked images; none of manifests that nothing was started from.
    pub fn running(&self) -> &[RunningContainer] {
        match self {
            Self::Render(_) => &[],
            Self::Helm(proof) => &proof.running,
            Self::Apply(proof) => &proof.running,
        }
    }
}

/// What a proof looked at, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProofLevel {
    /// What was written was read back.
    Stored,
    /// What the containers run was compared.
    Running,
}

/// The answer of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProofVerdict {
    /// Everything is as locked.
    Proven,
    /// There are findings.
    NotProven,
}

/// A locked image that was found where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ProvenImage {
    /// The service whose object it is.
    pub service: Option<ServiceName>,
    /// `Kind/name` of the object.
    pub object: String,
    /// Field of the object, such as `spec.template.spec.containers[0].image`.
    pub place: String,
    /// The reference, with its digest.
    pub image: String,
}

/// One way in which a deployment is not what was requested.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Finding {
    /// The service it concerns; none for the deployment as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The file that was read; none where the finding is not about one file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For programs.
    pub kind: FindingKind,
    /// For people.
    pub message: String,
}

/// What kind of finding it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Nothing is deployed.
    Missing,
    /// Another release is deployed, or nothing says which one.
    Release,
    /// A file that belongs to no deployed service, or an entry that is no regular file.
    Unexpected,
    /// A file that is no list of Kubernetes objects.
    Unreadable,
    /// An image of a locked repository that is not the locked one.
    Image,
    /// A deployed service without objects, or without a container of its image.
    NothingDeployed,
    /// An object outside the namespace, or with reach beyond it.
    Reach,
    /// Fewer pods run than are wanted, or one does not say what it runs.
    NotRunning,
    /// A Service sends requests to a pod of which it is not proven what it runs.
    Endpoint,
    /// A Service sends requests to a pod that has yet to end.
    Ending,
    /// An object that is there twice.
    Duplicate,
    /// An image that is neither locked nor written with a digest, where the rule refuses those.
    UnpinnedImage,
    /// A file that is not what the release is rendered to.
    Edited,
    /// A service that is not deployed here any more, and still there.
    Left,
    /// A container that another program added to an object of a deployed service: no deployment takes it out.
    Foreign,
    /// A container of a pod that neither the release nor the object that makes the pod has.
    Injected,
    /// A container that was added to a running pod, such as by `kubectl debug`: it goes with the pod.
    Ephemeral,
}

impl FindingKind {
    /// Whether it is about a container that another program added, which no deployment takes out.
    pub fn is_added_container(self) -> bool {
        matches!(self, Self::Foreign | Self::Injected | Self::Ephemeral)
    }

    /// What a problem of a plan is, found in what is there.
    pub(crate) fn of(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::Namespace
            | ProblemKind::ChartNamespace
            | ProblemKind::ClusterScoped
            | ProblemKind::Privileged
            | ProblemKind::Reserved => Self::Reach,
            ProblemKind::UnpinnedImage | ProblemKind::TestHook => Self::UnpinnedImage,
            ProblemKind::NothingToDeploy => Self::NothingDeployed,
            ProblemKind::Duplicate => Self::Duplicate,
            ProblemKind::Image | ProblemKind::ChartImage => Self::Image,
            ProblemKind::Request
            | ProblemKind::Path
            | ProblemKind::Place
            | ProblemKind::ForeignRelease
            | ProblemKind::Adoption
            | ProblemKind::Unreadable
            | ProblemKind::NeedsHelm
            | ProblemKind::Chart
            | ProblemKind::ChartSchema
            | ProblemKind::ChartSize
            | ProblemKind::Unstable
            | ProblemKind::Cluster
            | ProblemKind::Unserved
            | ProblemKind::ImmutableField
            | ProblemKind::FieldOwner
            | ProblemKind::Quota
            | ProblemKind::Definitions
            | ProblemKind::HookOwner
            | ProblemKind::HookName
            | ProblemKind::HookDeletion
            | ProblemKind::Admission
            | ProblemKind::Ending
            | ProblemKind::Owner
            | ProblemKind::Label
            | ProblemKind::Inventory
            | ProblemKind::Volumes
            | ProblemKind::NeedsKustomize
            | ProblemKind::Kustomization
            | ProblemKind::NamespaceGone
            | ProblemKind::Proof => Self::Unreadable,
        }
    }
}

impl Proof {
    pub(crate) fn new(level: ProofLevel, detail: ProofDetail, findings: Vec<Finding>) -> Self {
        let verdict = if findings.is_empty() { ProofVerdict::Proven } else { ProofVerdict::NotProven };
        Self {
            level,
            verdict,
            detail,
            findings,
            images: Vec::new(),
            unpinned_images: Vec::new(),
            without_configuration: BTreeSet::new(),
            sidecars: BTreeSet::new(),
            ending: BTreeSet::new(),
        }
    }

    /// The same with what was found beyond the target.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        if !findings.is_empty() {
            self.verdict = ProofVerdict::NotProven;
            self.findings.extend(findings);
            self.findings.sort();
        }
        self
    }

    /// The same where it could not be found out whether an image is the locked one.
    #[must_use]
    pub fn without_answer(self, message: String) -> Self {
        self.with_findings(vec![Finding { service: None, path: None, kind: FindingKind::Image, message }])
    }

    /// The same without some findings, and these.
    #[must_use]
    pub fn without(mut self, is_meant: impl Fn(&Finding) -> bool) -> (Self, Vec<Finding>) {
        let (meant, others): (Vec<_>, Vec<_>) = self.findings.into_iter().partition(is_meant);
        self.verdict = if others.is_empty() { ProofVerdict::Proven } else { ProofVerdict::NotProven };
        self.findings = others;
        (self, meant)
    }

    /// Whether everything is as locked.
    pub fn is_proven(&self) -> bool {
        self.verdict == ProofVerdict::Proven
    }

    /// How long the pods have at most that are all that keeps it from being proven: they have yet to end, and take requests until
    /// then. `None` where it is proven, or where it will not be by that.
    pub fn until_ended(&self) -> Option<Duration> {
        let is_ending = |finding: &Finding| finding.kind == FindingKind::Ending;
        let waits = !self.findings.is_empty() && self.findings.iter().all(is_ending);
        let longest = self.ending.iter().map(|pod| pod.grace).max();
        longest.filter(|_| waits)
    }

    /// Whether a Service sends requests to pods that have yet to end.
    pub fn asks_ending_pods(&self) -> bool {
        self.findings.iter().any(|finding| finding.kind == FindingKind::Ending)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "`{}`: ", escaped(path))?;
        } else if let Some(service) = &self.service {
            write!(f, "`{service}`: ")?;
        }
        f.write_str(&self.message)
    }
}
