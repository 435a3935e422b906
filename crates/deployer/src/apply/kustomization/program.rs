//! The program that renders kustomizations: `kustomize`, or the one within `kubectl`.

use std::path::Path;
use std::time::Duration;

use process::{EnvVars, Invocation, Output, ProcessError, Program};

use crate::error::DeployError;
use crate::problem::escaped;
use crate::program_folder::ProgramFolder;
use crate::program_search::ProgramSearch;

/// The longest time of a rendering.
const DEADLINE: Duration = Duration::from_secs(60);

/// The major version that is known.
const MAJOR: &str = "5";

/// A kustomize whose version is known.
#[derive(Clone, Debug)]
pub(super) struct KustomizeProgram {
    program: Program,
    form: Form,
    search: ProgramSearch,
}

/// How it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Kustomize,
    Kubectl,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Kustomize => "kustomize",
            Self::Kubectl => "kubectl kustomize",
        }
    }

    fn version_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kustomize => &["version"],
            Self::Kubectl => &["version", "--client", "--output", "json"],
        }
    }

    fn build_command(self) -> &'static str {
        match self {
            Self::Kustomize => "build",
            Self::Kubectl => "kustomize",
        }
    }

    /// The version in what the program prints.
    fn parse_version(self, text: &str) -> Result<(), String> {
        let version = match self {
            // Older ones print a Go structure or JSON around it.
            Self::Kustomize => text.trim().to_owned(),
            Self::Kubectl => {
                let document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
                document.get("kustomizeVersion").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
            }
        };
        let major = version.strip_prefix('v').and_then(|numbers| numbers.split('.').next());
        match major {
            Some(MAJOR) => Ok(()),
            Some(_) => Err(format!("it is {}, and only kustomize {MAJOR} is known", escaped(&version))),
            None => Err(format!("it does not say its version: {}", escaped(text.trim()))),
        }
    }
}

impl KustomizeProgram {
    /// Finds `kustomize`, or else `kubectl`, and asks for the version.
    ///
    /// # Errors
    ///
    /// [`DeployError::Program`] without either, and for a version that is not known.
    pub(super) fn find(search: &ProgramSearch) -> Result<Self, DeployError> {
        let missing = |reason: String| DeployError::Program { program: "kustomize".to_owned(), reason };
        let found = Program::find("kustomize", &search.search_path).map(|program| (program, Form::Kustomize));
        let found = found
            .or_else(|_| Program::find("kubectl", &search.search_path).map(|program| (program, Form::Kubectl)))
            .map_err(|_| missing("neither `kustomize` nor `kubectl` is on the search path".to_owned()))?;
        let (program, form) = found;
        let this = Self { program, form, search: search.clone() };
        let folder = ProgramFolder::empty()?;
        let output = this.command(&folder).args(form.version_arguments()).run().and_then(Output::checked);
        let output = output.map_err(|error| missing(error.to_string()))?;
        form.parse_version(&output.stdout_text()).map_err(missing)?;
        ProgramFolder::remove_leftovers();
        Ok(this)
    }

    pub(super) fn name(&self) -> &'static str {
        self.form.name()
    }

    /// Renders a kustomization below a folder.
    pub(super) fn build(&self, folder: &ProgramFolder, place: &Path) -> Result<Output, ProcessError> {
        self.command(folder).arg(self.form.build_command()).arg(place.to_string_lossy().as_ref()).run()
    }

    fn command(&self, folder: &ProgramFolder) -> Invocation {
        Invocation::new(&self.program)
            .envs(&environment(folder))
            .current_dir(folder.path())
            .deadline(DEADLINE)
            .interrupt(&self.search.interrupt)
            .redact(&self.search.redactor)
            .launched_by(self.search.launcher.as_ref())
    }
}

/// What it sees: a home of its own, no program that it could start, and no way to the network. What is remote is refused
/// [before](super::sources::source_problems).
fn environment(folder: &ProgramFolder) -> EnvVars {
    let mut variables = EnvVars::new();
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR", "KUSTOMIZE_PLUGIN_HOME"] {
        variables.insert(name, folder.home());
    }
    // Never the kubeconfig of the user who runs this.
    variables.insert("KUBECONFIG", folder.home().join("kubeconfig"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
        variables.insert(name, "http://127.0.0.1:1");
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kustomize_5_is_used() {
        for text in ["v5.0.0", "v5.8.1\n"] {
            assert_eq!(Form::Kustomize.parse_version(text), Ok(()), "{text}");
        }
        for text in ["", "(devel)", "v4.5.7", "v6.0.0", "{Version:kustomize/v3.8.1}"] {
            assert!(Form::Kustomize.parse_version(text).is_err(), "{text}");
        }
        assert_eq!(Form::Kubectl.parse_version(r#"{"clientVersion":{},"kustomizeVersion":"v5.7.1"}"#), Ok(()));
        for text in ["", "{}", r#"{"kustomizeVersion":"v4.5.7"}"#] {
            assert!(Form::Kubectl.parse_version(text).is_err(), "{text}");
        }
    }
}
