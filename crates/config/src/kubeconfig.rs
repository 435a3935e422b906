//! `kubeconfig:`: how the cluster of an environment is reached.

use std::fmt;
use std::str::FromStr;

use lock_model::{IdentifierError, identifier};

use super::decode::{optional, parsed};
use super::problem::Problems;
use super::tree::Node;
use super::values::EnvironmentVariable;

identifier!(
    /// A file of the machine that runs orchestrator, never one of the superproject. It has no comma, which separates it from
    /// the context in a place's name.
    MachineFile,
    "path of a file of the machine",
    "an absolute path, or one below the home folder, `~/…`, without `.`, `..`, `,` and braces",
    at most 1024 characters,
    pattern r"^~?(/(?!\.\.?(/|$))[^/,{}\x00-\x1f\x7f]+)+$",
    check |text| {
        let path = text.strip_prefix('~').unwrap_or(text);
        let is_name = |name: &str| {
            !matches!(name, "" | "." | "..") && !name.contains(|c: char| c.is_control() || matches!(c, ',' | '{' | '}'))
        };
        path.strip_prefix('/').is_some_and(|names| names.split('/').all(is_name))
    }
);

impl MachineFile {
    /// The rest of the path, where it lies below the home folder.
    pub fn below_home(&self) -> Option<&str> {
        self.as_str().strip_prefix("~/")
    }
}

/// How a command reaches the cluster of an environment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Kubeconfig {
    /// Key `env` or `file`: exactly one of them is given.
    pub source: KubeconfigSource,
    /// What the variable holds; a file is always text.
    pub encoding: KubeconfigEncoding,
    /// The context; `None`: the one that the kubeconfig calls current.
    pub context: Option<String>,
}

/// Where a kubeconfig is. Displayed as the variable's name or the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubeconfigSource {
    /// `env`: an environment variable of the job.
    Variable(EnvironmentVariable),
    /// `file`: a file of the machine that the command runs on.
    File(MachineFile),
}

lock_model::words! {
    /// What the variable of `kubeconfig.env` holds.
    KubeconfigEncoding, "encoding of a kubeconfig" {
        /// YAML or JSON, as `kubectl config view --raw` prints it; the default.
        Text = "text",
        /// The same in base64 (RFC 4648), with padding; white space is ignored.
        Base64 = "base64",
    }
}

impl Kubeconfig {
    /// The variable that holds it; `None`: a file does.
    pub fn variable(&self) -> Option<&EnvironmentVariable> {
        match &self.source {
            KubeconfigSource::Variable(name) => Some(name),
            KubeconfigSource::File(_) => None,
        }
    }

    /// The file that holds it; `None`: a variable does.
    pub fn file(&self) -> Option<&MachineFile> {
        match &self.source {
            KubeconfigSource::Variable(_) => None,
            KubeconfigSource::File(path) => Some(path),
        }
    }
}

impl fmt::Display for KubeconfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => name.fmt(f),
            Self::File(path) => path.fmt(f),
        }
    }
}

impl FromStr for KubeconfigSource {
    type Err = IdentifierError;

    /// No variable has a `/` in its name.
    fn from_str(text: &str) -> Result<Self, IdentifierError> {
        if text.contains('/') { text.parse().map(Self::File) } else { text.parse().map(Self::Variable) }
    }
}

pub(super) fn kubeconfig(node: &Node, problems: &mut Problems) -> Option<Kubeconfig> {
    let source = match (node.get("env"), node.get("file")) {
        (Some(_), None) => KubeconfigSource::Variable(parsed(node, "env")?),
        (None, Some(_)) => KubeconfigSource::File(parsed(node, "file")?),
        (None, None) => {
            problems
                .add(&node.origin, "does not say where the kubeconfig is")
                .with_hint("`env` names the variable that holds it, `file` a file of the machine");
            return None;
        }
        (Some(_), Some(file)) => {
            problems
                .add(&file.origin, "`env` and `file` are both given")
                .with_hint("leave one out; in a layer, `env: null` takes away what `base` says");
            return None;
        }
    };
    let encoding = parsed(node, "encoding")?;
    if let (KubeconfigSource::File(_), KubeconfigEncoding::Base64, Some(found)) =
        (&source, encoding, node.get("encoding"))
    {
        problems
            .add(&found.origin, "a file holds the kubeconfig itself, never base64")
            .with_hint("leave `encoding` out; in a layer, `encoding: text` goes before what `base` says");
        return None;
    }
    let context = optional(node, "context", |node| node.text().map(str::to_owned))?;
    Some(Kubeconfig { source, encoding, context })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_machine_is_absolute_or_below_the_home_folder() {
        for good in ["/etc/kube/config", "~/.kube/config", "/k", "~/a b/.c..d"] {
            let file = MachineFile::try_from(good).unwrap();
            assert_eq!(good.parse(), Ok(KubeconfigSource::File(file)), "{good}");
        }
        for bad in [
            "",
            "/",
            "~",
            "~/",
            "kubeconfig",
            "./k",
            "../k",
            "a/b",
            "~root/k",
            "/a//b",
            "/a/../b",
            "/a/.",
            "/a/",
            "/a,b",
            "/{mode}",
            "/a\n",
            "$HOME/k",
        ] {
            assert!(MachineFile::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(MachineFile::try_from("~/.kube/config").unwrap().below_home(), Some(".kube/config"));
        assert_eq!(MachineFile::try_from("/.kube/config").unwrap().below_home(), None);
    }
}
