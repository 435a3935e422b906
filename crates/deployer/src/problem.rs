//! Why a request cannot be deployed: always all reasons at once.

use std::fmt;

use lock_model::{ErrorClass, ServiceName};

/// One reason why a request cannot be deployed, with its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct DeployProblem {
    /// The service whose files are meant; none for a problem of the request itself.
    pub service: Option<ServiceName>,
    /// File, relative to the folder of the service's files.
    pub file: Option<String>,
    /// Which document of the file, counted from 1; empty documents do not count.
    pub document: Option<usize>,
    /// Line in the file, counted from 1.
    pub line: Option<u64>,
    /// Column in that line in characters, counted from 1; absent where the whole line or document is meant.
    pub column: Option<u64>,
    /// For programs.
    pub kind: ProblemKind,
    /// What is wrong; what helps depends on who made the request.
    pub message: String,
}

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A service that is in the request twice.
    Request,
    /// A stored release with kinds that the cluster serves no more.
    Unserved,
    /// A path that leaves its folder, names `.git`, or is there twice.
    Path,
    /// A branch or folder that holds something else than a tree of the environment.
    Place,
    /// A helm release of the service's name that another program made of another chart.
    ForeignRelease,
    /// An object that is there, and that the helm release of its chart would not take over.
    Adoption,
    /// Not YAML, or YAML that is not a Kubernetes object.
    Unreadable,
    /// A chart, which this target does not render.
    NeedsHelm,
    /// A chart that helm does not render, or files that are no chart.
    Chart,
    /// A schema of a chart's values that makes helm load a file or an address, or an archive that could hold one.
    ChartSchema,
    /// A chart whose release is larger than what helm can store.
    ChartSize,
    /// A chart that is rendered differently each time.
    Unstable,
    /// A hook of a chart with the name of an object that no hook of its release made: helm would delete it.
    HookOwner,
    /// A hook of a chart whose event helm does not know, so that its object would never be there.
    HookName,
    /// A hook of a chart that holds data and that helm would delete.
    HookDeletion,
    /// A chart with definitions of kinds that helm installs by itself.
    Definitions,
    /// An object that the cluster would not take, or a release that helm cannot go on from there.
    Cluster,
    /// A field that the API server refuses to change once the object is stored.
    ImmutableField,
    /// An object that a quota has no room for.
    Quota,
    /// An object that an admission rule of the cluster refuses.
    Admission,
    /// An object that is being deleted.
    Ending,
    /// A field that another program owns, and that the rules do not take over.
    FieldOwner,
    /// An object that another service or a helm release has.
    Owner,
    /// A label with a value that no label may have.
    Label,
    /// A name, label or annotation that this program or helm has for its own records.
    Reserved,
    /// A list of what a service has in the cluster that cannot be read.
    Inventory,
    /// Volumes that would be deleted with an object that leaves.
    Volumes,
    /// A kustomization, which this target does not render, or is not told to.
    NeedsKustomize,
    /// A kustomization that cannot be rendered, or that names what is no file of its source.
    Kustomization,
    /// An object outside the environment's namespace.
    Namespace,
    /// A namespace of an object that is not there.
    NamespaceGone,
    /// A cluster-scoped object that is on no list.
    ClusterScoped,
    /// A pod or a binding that reaches beyond the namespace.
    Privileged,
    /// Two objects with the same identity.
    Duplicate,
    /// A service without objects, or without a container of its image.
    NothingToDeploy,
    /// An image of a locked repository that cannot be pinned.
    Image,
    /// The same in what a chart is rendered to, whose values decide.
    ChartImage,
    /// An object of a chart outside the environment's namespace: it cannot be moved.
    ChartNamespace,
    /// An image that is neither locked nor written with a digest, where the rule refuses those.
    UnpinnedImage,
    /// An image of a hook that only `helm test` starts, without a digest, where the rule refuses those.
    TestHook,
    /// What was rendered does not pass its own proof: a fault of this program.
    Proof,
}

impl DeployProblem {
    pub(crate) fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { service: None, file: None, document: None, line: None, column: None, kind, message: message.into() }
    }

    pub(crate) fn service(self, service: &ServiceName) -> Self {
        Self { service: Some(service.clone()), ..self }
    }

    pub(crate) fn file(self, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    pub(crate) fn at(self, document: Option<usize>, line: Option<u64>) -> Self {
        Self { document, line, ..self }
    }

    pub(crate) fn column(self, column: Option<u64>) -> Self {
        Self { column, ..self }
    }
}

impl DeployProblem {
    /// Place and message without the service: equal texts of several services are one problem to a reader.
    pub fn text(&self) -> String {
        let Some(file) = &self.file else { return self.message.clone() };
        let document = self.document.map(|document| format!(" document {document}")).unwrap_or_default();
        let column = self.column.map(|column| format!(", column {column}")).unwrap_or_default();
        let line = self.line.map(|line| format!(" (line {line}{column})")).unwrap_or_default();
        format!("`{}`{document}{line}: {}", escaped(file), self.message)
    }
}

impl fmt::Display for DeployProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "`{service}`: ")?;
        }
        f.write_str(&self.text())
    }
}

/// Every reason why a request cannot be deployed: at least one, sorted by service and place, each once.
///
/// Displayed with one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployProblems(Vec<DeployProblem>);

impl DeployProblems {
    /// None of an empty list.
    pub(crate) fn new(mut problems: Vec<DeployProblem>) -> Option<Self> {
        problems.sort();
        problems.dedup();
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems in order.
    pub fn as_slice(&self) -> &[DeployProblem] {
        &self.0
    }

    /// The same with paths from the top of a service's repository, or of the superproject, where its files lie in a folder.
    #[must_use]
    pub fn in_folders(mut self, folder_of: impl Fn(&ServiceName) -> Option<String>) -> Self {
        for problem in &mut self.0 {
            let folder = problem.service.as_ref().and_then(&folder_of);
            if let (Some(folder), Some(file)) = (folder, &mut problem.file) {
                *file = format!("{folder}/{file}");
            }
        }
        self
    }

    /// `Bug` where this program is at fault, else `Invalid`.
    pub fn class(&self) -> ErrorClass {
        let is_bug = self.0.iter().any(|problem| problem.kind == ProblemKind::Proof);
        if is_bug { ErrorClass::Bug } else { ErrorClass::Invalid }
    }
}

impl fmt::Display for DeployProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for DeployProblems {}

/// Foreign text as it may stand in a message: control and direction characters escaped, at most 200 characters.
pub(crate) fn escaped(text: &str) -> String {
    lock_model::escaping::escape_short(text, 200)
}
