//! What is wrong with manifests: always all of it at once.

use std::fmt;

use lock_model::{ErrorClass, ServiceName};

/// One reason why nothing is rendered, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, thiserror::Error)]
pub struct PlanProblem {
    /// The service whose manifests are meant; none for a problem of the request itself.
    pub service: Option<ServiceName>,
    /// File, relative to the folder of the service's manifests.
    pub file: Option<String>,
    /// Which document of the file, counted from 1; empty documents do not count.
    pub document: Option<usize>,
    /// Line in the file.
    pub line: Option<u64>,
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What kind of problem a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A path that leaves its folder, names `.git`, or is there twice.
    Path,
    /// Not YAML, or YAML that is not a Kubernetes object.
    Unreadable,
    /// A chart: another target renders those.
    NeedsHelm,
    /// A kustomization: another target renders those.
    NeedsKustomize,
    /// An object outside the environment's namespace.
    Namespace,
    /// An object that belongs to no namespace and is on no list.
    ClusterScoped,
    /// A pod or a binding that reaches beyond the namespace.
    Privileged,
    /// Two objects with the same identity.
    Duplicate,
    /// A service without objects, or without a container of its image.
    NothingToDeploy,
    /// An image of a locked repository that cannot be pinned.
    Image,
    /// An image that nothing pins, where the rule refuses those.
    Leftover,
    /// What was rendered does not pass its own proof: a fault of this program.
    Proof,
}

impl PlanProblem {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            ProblemKind::Path
            | ProblemKind::Unreadable
            | ProblemKind::NeedsHelm
            | ProblemKind::NeedsKustomize
            | ProblemKind::Namespace
            | ProblemKind::ClusterScoped
            | ProblemKind::Privileged
            | ProblemKind::Duplicate
            | ProblemKind::NothingToDeploy
            | ProblemKind::Image
            | ProblemKind::Leftover => ErrorClass::Invalid,
            ProblemKind::Proof => ErrorClass::Bug,
        }
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "`{service}`: ")?;
        }
        if let Some(file) = &self.file {
            write!(f, "`{}`", shown(file))?;
            if let Some(document) = self.document {
                write!(f, " document {document}")?;
            }
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

/// Text from a manifest as it may stand in a message: control and direction characters escaped, at most 200
/// characters.
pub(crate) fn shown(text: &str) -> String {
    lock_model::escaping::escape_short(text, 200)
}
