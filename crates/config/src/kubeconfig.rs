//! `kubeconfig:`: how the cluster of an environment is reached.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use lock_model::{IdentifierError, identifier};

use super::decode::{optional, parsed, parsed_list};
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

identifier!(
    /// A program of the machine by which the user of a kubeconfig logs in.
    LoginProgram,
    "name of a login program",
    "a name on the search path, such as `aws`, or an absolute path without `.` and `..`",
    at most 1024 characters,
    pattern r"^([^/\s\x00-\x1f\x7f-][^/\s\x00-\x1f\x7f]*|(/(?!\.\.?(/|$))[^/\x00-\x1f\x7f]+)+)$",
    check |text| match text.strip_prefix('/') {
        Some(path) => path.split('/').all(|name| !matches!(name, "" | "." | "..") && !name.contains(char::is_control)),
        None => {
            !text.is_empty()
                && !text.starts_with('-')
                && !text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
        }
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
    /// What it may ask for besides a direct, encrypted connection.
    pub allow: KubeconfigAllow,
}

/// What of a kubeconfig is refused unless it is named here (`kubeconfig.allow:`); by default nothing is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubeconfigAllow {
    /// Key `exec`: the programs by which its user may log in.
    pub programs: BTreeSet<LoginProgram>,
    /// The variables that such a program is given, by the job or the kubeconfig.
    pub variables: BTreeSet<EnvironmentVariable>,
    /// Key `proxy-url`: the proxies that it may name.
    pub proxies: BTreeSet<String>,
    /// Key `insecure-skip-tls-verify`: whether it may leave the server's certificate unchecked.
    pub insecure: bool,
}

impl KubeconfigAllow {
    /// Allows what another one allows as well.
    pub fn extend(&mut self, other: &Self) {
        self.programs.extend(other.programs.iter().cloned());
        self.variables.extend(other.variables.iter().cloned());
        self.proxies.extend(other.proxies.iter().cloned());
        self.insecure |= other.insecure;
    }
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
    let allow = optional(node, "allow", |node| {
        let proxies = node.get("proxy-url")?.list()?.iter().map(|proxy| proxy.text().map(str::to_owned));
        Some(KubeconfigAllow {
            programs: parsed_list(node, "exec")?,
            variables: parsed_list(node, "variables")?,
            proxies: proxies.collect::<Option<_>>()?,
            insecure: node.get("insecure-skip-tls-verify")?.boolean()?,
        })
    })?;
    Some(Kubeconfig { source, encoding, context, allow: allow.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t23_a_login_program_is_a_whole_name_or_a_whole_path() {
        for good in ["aws", "gke-gcloud-auth-plugin", "/usr/local/bin/aws", "kubelogin.exe"] {
            LoginProgram::try_from(good).unwrap();
        }
        for bad in ["", "./aws", "bin/aws", "../aws", "/usr/../aws", "/", "-x", "aws eks", "aws\n", "/usr//aws"] {
            assert!(LoginProgram::try_from(bad).is_err(), "{bad}");
        }
    }

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
