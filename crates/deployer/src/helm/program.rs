//! The helm program: found once, its version known, its arguments by major version.

use std::fmt;
use std::time::Duration;

use cluster::Connection;
use process::{EnvVars, Interrupt, Invocation, Launcher, Output, Priority, ProcessError, Program, Redactor};

use super::chart_folder::{CHART_FOLDER, ChartFolder, KUBECONFIG_FILE, VALUES_FILE};
use crate::error::DeployError;
use crate::program_folder::ProgramFolder;
use crate::program_search::ProgramSearch;

/// The longest time of a command that does not wait for hooks.
const DEADLINE: Duration = Duration::from_secs(120);
/// The time that helm has to write down that it was told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long this process may be stopped while helm changes a cluster: less than a run waits that has broken the lease.
const STALL: Duration = Duration::from_secs(5);
/// By how many percent the memory of helm grows before it is cleared; without it, by 100.
const GARBAGE: &str = "400";
/// How many revisions of a release helm keeps.
const KEPT_REVISIONS: u32 = 10;
/// The oldest helm 3 that renders with the cluster without changing it.
const OLDEST_THREE: (u32, u32) = (3, 13);

/// A helm whose version is known.
#[derive(Clone, Debug)]
pub struct HelmProgram {
    program: Program,
    version: HelmVersion,
    interrupt: Interrupt,
    redactor: Redactor,
    launcher: Option<Launcher>,
    priority: Priority,
}

/// The version that a helm says it has.
///
/// Displayed as `v4.1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelmVersion {
    major: HelmMajor,
    text: String,
}

/// The major versions that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelmMajor {
    /// Helm 3.
    Three,
    /// Helm 4.
    Four,
}

impl HelmVersion {
    /// Parses what `helm version` prints; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = crate::problem::escaped(text);
        let no_version = || format!("it calls its version `{shown}`, which is none");
        let numbers = text.strip_prefix('v').ok_or_else(no_version)?.split(['-', '+']).next().unwrap_or_default();
        let numbers: Vec<u32> =
            numbers.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| no_version())?;
        let [major, minor, _] = numbers.as_slice() else { return Err(no_version()) };
        let major = match (*major, *minor) {
            (3, minor) if (3, minor) < OLDEST_THREE => {
                return Err(format!(
                    "it is {shown}, and {}.{} is the oldest that is used",
                    OLDEST_THREE.0, OLDEST_THREE.1
                ));
            }
            (3, _) => HelmMajor::Three,
            (4, _) => HelmMajor::Four,
            _ => return Err(format!("it is {shown}, and only helm 3 and 4 are known")),
        };
        Ok(Self { major, text: text.to_owned() })
    }

    /// Its major version.
    pub fn major(&self) -> HelmMajor {
        self.major
    }
}

impl fmt::Display for HelmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a chart may ask about the cluster while it is rendered without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// Version of Kubernetes; `None`: what helm was built for.
    pub(super) kube_version: Option<String>,
    /// What it serves: `apps/v1` and `apps/v1/Deployment`.
    pub(super) api_versions: Vec<String>,
}

impl Capabilities {
    /// What the cluster says of itself; its kinds are those that the connection knows.
    pub(super) async fn read(connection: &Connection) -> Result<Self, DeployError> {
        let (version, discovery) = tokio::try_join!(connection.server_version(), connection.discovery())?;
        Ok(Self { kube_version: Some(version.text), api_versions: discovery.api_versions() })
    }
}

/// A release: the name, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReleaseName<'a> {
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
}

impl HelmProgram {
    /// Finds helm on a search path and asks for its version.
    ///
    /// # Errors
    ///
    /// [`DeployError::Program`] without helm, and for a version that is not known.
    pub fn find(search: &ProgramSearch) -> Result<Self, DeployError> {
        let ProgramSearch { search_path, interrupt, redactor, launcher, versions, priority } = search;
        let missing = |reason: String| DeployError::Program { program: "helm".to_owned(), reason };
        let program = Program::find("helm", search_path).map_err(|error| missing(error.to_string()))?;
        ProgramFolder::remove_leftovers();
        let folder = ChartFolder::empty()?;
        let text = versions.of(program.path(), || {
            let invocation = Invocation::new(&program).args(["version", "--template", "{{.Version}}"]);
            let output = invocation
                .envs(&environment(&folder))
                .current_dir(folder.path())
                .deadline(DEADLINE)
                .interrupt(interrupt)
                .redact(redactor)
                .run()
                .and_then(Output::checked)
                .map_err(|error| missing(error.to_string()))?;
            Ok::<_, DeployError>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        })?;
        let version = HelmVersion::parse(&text).map_err(missing)?;
        Ok(Self {
            program,
            version,
            interrupt: interrupt.clone(),
            redactor: redactor.clone(),
            launcher: launcher.clone(),
            priority: *priority,
        })
    }

    /// Its version.
    pub fn version(&self) -> &HelmVersion {
        &self.version
    }

    /// Renders a chart without a cluster, hooks and definitions of kinds included.
    pub(super) fn template(
        &self,
        folder: &ChartFolder,
        release: ReleaseName<'_>,
        capabilities: &Capabilities,
        is_upgrade: bool,
    ) -> Result<Output, ProcessError> {
        let mut invocation = self.command(folder, "template", release).arg("--include-crds").priority(self.priority);
        if let Some(version) = &capabilities.kube_version {
            invocation = invocation.args(["--kube-version", version]);
        }
        if !capabilities.api_versions.is_empty() {
            invocation = invocation.args(["--api-versions", &capabilities.api_versions.join(",")]);
        }
        if is_upgrade {
            invocation = invocation.arg("--is-upgrade");
        }
        invocation.deadline(DEADLINE).run()
    }

    /// Renders a chart as an upgrade would, with what the cluster says, and changes nothing.
    pub(super) fn dry_run(&self, folder: &ChartFolder, release: ReleaseName<'_>) -> Result<Output, ProcessError> {
        let invocation = self.upgrade_command(folder, release).args(["--dry-run=server", "--output", "json"]);
        invocation.deadline(DEADLINE).run()
    }

    /// Installs or upgrades a release. helm waits for its hooks, and for nothing else. The label is `KEY=VALUE`.
    pub(super) fn upgrade(
        &self,
        folder: &ChartFolder,
        release: ReleaseName<'_>,
        description: &str,
        label: &str,
        patience: Duration,
    ) -> Result<Output, ProcessError> {
        let timeout = format!("{}s", patience.as_secs().max(1));
        let kept = KEPT_REVISIONS.to_string();
        self.upgrade_command(folder, release)
            .args(["--timeout", &timeout, "--history-max", &kept, "--description", description])
            .args(["--labels", label])
            .ended_by_stall(STALL)
            .deadline(patience + GRACE)
            .grace(GRACE)
            .run()
    }

    /// Uninstalls a release; its revisions are kept.
    pub(super) fn uninstall(
        &self,
        folder: &ChartFolder,
        release: ReleaseName<'_>,
        description: &str,
        patience: Duration,
    ) -> Result<Output, ProcessError> {
        let timeout = format!("{}s", patience.as_secs().max(1));
        self.bare_command(folder)
            .args(["uninstall", release.name, "--namespace", release.namespace, "--kubeconfig", KUBECONFIG_FILE])
            // A workload is there until its pods are gone.
            .args(["--keep-history", "--cascade", "foreground", "--timeout", &timeout, "--description", description])
            .ended_by_stall(STALL)
            .deadline(patience + GRACE)
            .grace(GRACE)
            .run()
    }

    fn upgrade_command(&self, folder: &ChartFolder, release: ReleaseName<'_>) -> Invocation {
        let invocation = self.command(folder, "upgrade", release).args(["--install", "--kubeconfig", KUBECONFIG_FILE]);
        // The API server has judged each object of the plan by a dry run of our own, strictly; helm would fetch and read its
        // schemas once more for every chart. Hooks are judged by helm all the same.
        let invocation = invocation.arg("--disable-openapi-validation");
        match self.version.major {
            HelmMajor::Three => invocation,
            // As helm 3 writes: a patch of the release before, the chart and what is there.
            HelmMajor::Four => invocation.arg("--server-side=false"),
        }
    }

    fn command(&self, folder: &ChartFolder, command: &str, release: ReleaseName<'_>) -> Invocation {
        self.bare_command(folder)
            .args([command, release.name, &format!("./{CHART_FOLDER}"), "--namespace", release.namespace])
            .args(["--values", VALUES_FILE])
    }

    fn bare_command(&self, folder: &ChartFolder) -> Invocation {
        Invocation::new(&self.program)
            .envs(&environment(folder))
            .current_dir(folder.path())
            .interrupt(&self.interrupt)
            .redact(&self.redactor)
            .launched_by(self.launcher.as_ref())
    }
}

/// What helm sees: folders of its own, without plugins, repositories and logins.
fn environment(folder: &ChartFolder) -> EnvVars {
    let home = folder.home();
    let mut variables = EnvVars::new().set("HELM_DRIVER", "secret").set("NO_COLOR", "1");
    // helm asks the cluster what it serves each time that it is started, and is started once in a folder: it is told a place
    // where nothing can be kept. Its memory is cleared less often, since it lives for a moment.
    variables.insert("KUBECACHEDIR", folder.path().join(KUBECONFIG_FILE).join("none"));
    variables.insert("GOGC", GARBAGE);
    for name in ["HOME", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "TMPDIR"] {
        variables.insert(name, &home);
    }
    variables.insert("HELM_PLUGINS", home.join("plugins"));
    // Never the kubeconfig of the user who runs this.
    variables.insert("KUBECONFIG", folder.path().join(KUBECONFIG_FILE));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_only_known_versions_are_used() {
        for (text, major) in
            [("v3.13.0", HelmMajor::Three), ("v3.22.0", HelmMajor::Three), ("v4.0.0-rc.1+g1a2b3c4", HelmMajor::Four)]
        {
            assert_eq!(HelmVersion::parse(text).map(|version| version.major), Ok(major), "{text}");
        }
        for text in ["", "v3", "3.13.0", "v2.17.0", "v3.12.3", "v5.0.0", "v4.x.0", "version.BuildInfo{}", "v4.1.0.1"] {
            assert!(HelmVersion::parse(text).is_err(), "{text}");
        }
    }
}
