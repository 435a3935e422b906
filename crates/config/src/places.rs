//! What targets write to: each place belongs to one environment.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use lock_model::{BranchName, EnvironmentName, TreePath};
use unicode_normalization::UnicodeNormalization as _;

use super::branches::{Branches, Role};
use super::environment::{Environment, Target};
use super::kubeconfig::{Kubeconfig, KubeconfigSource};
use super::problem::Problems;
use super::values::Namespace;

/// One thing that a target replaces as a whole, so that two environments cannot share it.
///
/// Its text, such as `branch deploy/staging`, is what records of the ledger call it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetPlace {
    /// A branch of the forge that holds a rendered tree.
    Branch(BranchName),
    /// A folder below the superproject's top folder.
    Folder(TreePath),
    /// A namespace of a cluster.
    Namespace(ClusterNamespace),
}

/// A namespace, and the kubeconfig that leads to its cluster: the configuration knows no other name for that.
///
/// Displayed as `shop-staging of KUBECONFIG`, `shop-staging of ~/.kube/config`, or `shop-staging of KUBECONFIG, context west`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ClusterNamespace {
    /// The namespace.
    pub namespace: Namespace,
    /// Where the kubeconfig is.
    pub kubeconfig: KubeconfigSource,
    /// The context in it; `None`: the current one.
    pub context: Option<String>,
}

impl fmt::Display for ClusterNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.namespace, self.kubeconfig)?;
        self.context.iter().try_for_each(|context| write!(f, ", context {context}"))
    }
}

impl FromStr for ClusterNamespace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (namespace, rest) = text.split_once(" of ").ok_or(NoPlace)?;
        let (kubeconfig, context) =
            rest.split_once(", context ").map_or((rest, None), |(source, context)| (source, Some(context)));
        Ok(Self {
            namespace: namespace.parse().map_err(|_| NoPlace)?,
            kubeconfig: kubeconfig.parse().map_err(|_| NoPlace)?,
            context: context.map(str::to_owned),
        })
    }
}

impl TargetPlace {
    /// Whether writing one of them may change the other: they are the same, or one lies inside the other.
    ///
    /// git keeps no branch inside another, and a folder is swapped with everything in it. Names that differ only in case, or
    /// in how letters are composed, are the same: on some systems they are one file.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Branch(one), Self::Branch(other)) => overlap(one.as_str(), other.as_str()),
            (Self::Folder(one), Self::Folder(other)) => overlap(one.as_str(), other.as_str()),
            (Self::Namespace(one), Self::Namespace(other)) => one == other,
            (Self::Branch(_), Self::Folder(_) | Self::Namespace(_))
            | (Self::Folder(_), Self::Branch(_) | Self::Namespace(_))
            | (Self::Namespace(_), Self::Branch(_) | Self::Folder(_)) => false,
        }
    }

    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Branch(name) => ("branch", name.to_string()),
            Self::Folder(path) => ("folder", path.to_string()),
            Self::Namespace(namespace) => ("namespace", namespace.to_string()),
        }
    }

    /// What messages call it: ``branch `deploy/staging` ``.
    pub fn quoted(&self) -> String {
        match self {
            Self::Namespace(ClusterNamespace { namespace, kubeconfig, context }) => {
                let context = context.as_ref().map(|context| format!(", context `{context}`")).unwrap_or_default();
                format!("namespace `{namespace}` of `{kubeconfig}`{context}")
            }
            Self::Branch(_) | Self::Folder(_) => {
                let (kind, name) = self.words();
                format!("{kind} `{name}`")
            }
        }
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let folded = |name: &str| name.to_lowercase().nfc().collect::<String>();
    let (one, other) = (folded(one), folded(other));
    one.split('/').zip(other.split('/')).all(|(one, other)| one == other)
}

impl fmt::Display for TargetPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.words();
        write!(f, "{kind} {name}")
    }
}

/// A text that is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place is `branch NAME`, `folder PATH` or `namespace NAME of VARIABLE-OR-FILE`")
    }
}

impl std::error::Error for NoPlace {}

impl FromStr for TargetPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        match text.split_once(' ') {
            Some(("branch", name)) => BranchName::try_from(name).map(Self::Branch).map_err(|_| NoPlace),
            Some(("folder", path)) => TreePath::try_from(path).map(Self::Folder).map_err(|_| NoPlace),
            Some(("namespace", text)) => text.parse().map(Self::Namespace),
            Some(_) | None => Err(NoPlace),
        }
    }
}

impl Environment {
    /// The namespace of the cluster that it is deployed to.
    pub fn cluster_namespace(&self) -> Option<ClusterNamespace> {
        let Kubeconfig { source, context, .. } = self.kubeconfig.as_ref()?;
        let namespace = self.namespace.clone()?;
        Some(ClusterNamespace { namespace, kubeconfig: source.clone(), context: context.clone() })
    }

    /// The places that its target writes.
    pub fn places(&self) -> Vec<TargetPlace> {
        match &self.target {
            None => Vec::new(),
            Some(Target::Render(target)) => {
                let folder = target.folder.clone().map(TargetPlace::Folder);
                [TargetPlace::Branch(target.branch.clone())].into_iter().chain(folder).collect()
            }
            Some(Target::Helm(_) | Target::Apply(_)) => {
                self.cluster_namespace().map(TargetPlace::Namespace).into_iter().collect()
            }
        }
    }
}

/// A target replaces what a place holds: nothing else lives there, and no two environments write it.
pub(super) fn check(
    environments: &BTreeMap<EnvironmentName, Environment>,
    branches: &Branches,
    problems: &mut Problems,
) {
    let mut seen: Vec<(TargetPlace, &Environment)> = Vec::new();
    for environment in environments.values() {
        for place in environment.places() {
            if let TargetPlace::Branch(name) = &place
                && let Some(reason) = not_for_trees(name, branches)
            {
                problems
                    .add(&environment.origin, format!("`{}` would be rendered to `{name}`{reason}", environment.name));
            }
            if let Some((theirs, other)) = seen.iter().find(|(theirs, _)| theirs.overlaps(&place)) {
                let (name, theirs) = (&environment.name, theirs.quoted());
                let other = format!("`{}` ({})", other.name, other.origin);
                let message = if theirs == place.quoted() {
                    format!("`{name}` and {other} would both write {theirs}")
                } else {
                    format!("`{name}` would write {}, and {other} {theirs}: one overlaps the other", place.quoted())
                };
                problems
                    .add(&environment.origin, message)
                    .with_hint("a place belongs to one environment; `{mode}` in its name keeps them apart");
            }
            seen.push((place, environment));
        }
    }
}

/// Why no rendered tree may lie on a branch.
fn not_for_trees(name: &BranchName, branches: &Branches) -> Option<String> {
    let place = TargetPlace::Branch(name.clone());
    let role = Role::ALL.iter().copied().find(|role| place.overlaps(&TargetPlace::Branch(branches.of(*role).clone())));
    if let Some(role) = role {
        return Some(format!(", and `{}` is the branch of role `{role}`", branches.of(role)));
    }
    match name.as_str().to_lowercase().split('/').next() {
        Some("orchestrator") => Some("; branches under `orchestrator/` hold records".to_owned()),
        Some("refs") => Some("; a branch is written without `refs/heads/`".to_owned()),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(text: &str) -> TargetPlace {
        TargetPlace::Namespace(text.parse().unwrap())
    }

    fn branch(name: &str) -> TargetPlace {
        TargetPlace::Branch(name.try_into().unwrap())
    }

    fn folder(path: &str) -> TargetPlace {
        TargetPlace::Folder(path.try_into().unwrap())
    }

    #[test]
    fn t60_places_overlap_where_one_write_may_change_the_other() {
        for (one, other) in
            [("a", "a"), ("a", "a/b"), ("a/b", "A/B"), ("out/Été", "out/été/x"), ("out/\u{e9}", "out/E\u{301}")]
        {
            for make in [branch, folder] {
                assert!(make(one).overlaps(&make(other)) && make(other).overlaps(&make(one)), "{one} {other}");
            }
            assert!(!branch(one).overlaps(&folder(other)), "a branch is no folder");
        }
        for (one, other) in [("a", "ab"), ("a/b", "a/c"), ("a/b", "b/a"), ("a-b", "a/b")] {
            assert!(!folder(one).overlaps(&folder(other)), "{one} {other}");
        }
    }

    #[test]
    fn a_place_is_read_back_from_its_text() {
        let (current, west) = (namespace("shop of KUBECONFIG"), namespace("shop of KUBECONFIG, context west"));
        assert!(current.overlaps(&current) && !current.overlaps(&west) && !current.overlaps(&branch("shop")));
        for place in [branch("deploy/staging"), folder("rendered/a b"), current, west] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in [
            "",
            "branch",
            "branch ",
            "tag v1",
            "folder ../x",
            "folder a/",
            "deploy/staging",
            "branch a b",
            "namespace a",
            "namespace A of B",
        ] {
            assert_eq!(text.parse::<TargetPlace>(), Err(NoPlace), "{text}");
        }
    }
}
