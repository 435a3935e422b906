use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use process::{EnvVars, Interrupt, Invocation, Program, Redactor};

use crate::{GitError, Transport, output};

/// The oldest git that has `merge-tree --write-tree` and `cat-file -z`.
pub const MINIMUM_VERSION: (u32, u32) = (2, 38);

/// Whether repositories in folders can be fetched from and pushed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocalProtocol {
    /// Only over the network.
    #[default]
    Refused,
    /// Folders too.
    Allowed,
}

/// Whether remotes can be reached without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only `https://` and ssh.
    #[default]
    Refused,
    /// `http://` too.
    Allowed,
}

/// What every git child gets.
///
/// [`new`](Self::new) takes the environment; the other fields have defaults.
#[derive(Clone, Debug)]
pub struct GitOptions {
    /// The variables that git sees, without those that start with `GIT_`. With `HOME` git finds credential helpers and ssh
    /// its keys.
    pub environment: EnvVars,
    /// The time for one child: 60 seconds by default.
    pub deadline: Duration,
    /// Whether folders can be remotes: refused by default.
    pub local_protocol: LocalProtocol,
    /// Whether remotes can be `http://…`: refused by default.
    pub plain_http: PlainHttp,
    /// The ssh command: `ssh` in batch mode by default, and never the one of a repository's configuration.
    pub ssh_command: OsString,
    /// What the job has to reach remotes with, for fetches and listings of URLs. Without it, or for a folder, git sees
    /// what the repository and its user have configured.
    pub transport: Option<Arc<Transport>>,
    /// Masks secrets in errors.
    pub redactor: Redactor,
    /// Ends running children.
    pub interrupt: Interrupt,
}

impl GitOptions {
    /// Defaults, and these variables for git.
    pub fn new(environment: EnvVars) -> Self {
        Self { environment, ..Self::default() }
    }
}

impl Default for GitOptions {
    fn default() -> Self {
        Self {
            environment: EnvVars::new(),
            deadline: Duration::from_secs(60),
            local_protocol: LocalProtocol::default(),
            plain_http: PlainHttp::default(),
            ssh_command: OsString::from("ssh -oBatchMode=yes"),
            transport: None,
            redactor: Redactor::new(),
            interrupt: Interrupt::new(),
        }
    }
}

/// The hash function of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ObjectFormat {
    /// SHA-1: ids of 40 hexadecimal digits.
    #[default]
    Sha1,
    /// SHA-256: ids of 64 hexadecimal digits.
    Sha256,
}

/// How a new repository is made: by default bare, with the branch `main` and SHA-1.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Whether the repository has no work tree.
    pub bare: bool,
    /// The branch that `HEAD` names.
    pub branch: String,
    /// Its hash function.
    pub format: ObjectFormat,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self { bare: true, branch: "main".to_owned(), format: ObjectFormat::Sha1 }
    }
}

/// Git without a repository: the settings that every start has.
pub(crate) fn base_invocation(program: &Program, options: &GitOptions) -> Invocation {
    let mut environment = options.environment.clone();
    environment.retain(|name| !name.as_encoded_bytes().starts_with(b"GIT_"));
    environment.extend([
        ("GIT_ALLOW_PROTOCOL", protocols(options).as_str()),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_ADVICE", "0"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        // What is traced to standard error would stand among git's own messages.
        ("GIT_TRACE2", "0"),
        ("GIT_TRACE2_PERF", "0"),
        ("LC_ALL", "C"),
    ]);
    environment.insert("GIT_SSH_COMMAND", &options.ssh_command);
    Invocation::new(program)
        .envs(&environment)
        .envs(&configuration(own_settings()))
        .deadline(options.deadline)
        .redact(&options.redactor)
        .interrupt(&options.interrupt)
        .arg("--no-pager")
}

/// An allow list in the environment overrides every `protocol.*` of a configuration.
pub(crate) fn protocols(options: &GitOptions) -> String {
    let mut protocols = String::from("https:ssh");
    if options.plain_http == PlainHttp::Allowed {
        protocols.push_str(":http");
    }
    if options.local_protocol == LocalProtocol::Allowed {
        protocols.push_str(":file");
    }
    protocols
}

/// The variables that hand settings to git: they win over every file, and stand in no command line.
pub(crate) fn configuration(settings: impl IntoIterator<Item = (String, OsString)>) -> EnvVars {
    let mut variables = EnvVars::new();
    let mut count = 0;
    for (key, value) in settings {
        variables.insert(format!("GIT_CONFIG_KEY_{count}"), key);
        variables.insert(format!("GIT_CONFIG_VALUE_{count}"), value);
        count += 1;
    }
    variables.set("GIT_CONFIG_COUNT", count.to_string())
}

/// [`SETTINGS`], to be handed to git.
pub(crate) fn own_settings() -> impl Iterator<Item = (String, OsString)> {
    SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), OsString::from(value)))
}

/// Overrides what the configuration of a repository, a user or a machine could use to run a program or to change an
/// answer.
const SETTINGS: &[(&str, &str)] = &[
    // Nothing of a bare repository's configuration runs, so it need not be named by `--git-dir`.
    ("safe.bareRepository", "all"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.alternateRefsCommand", ""),
    ("core.askPass", ""),
    ("core.quotePath", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.bigFileThreshold", "512m"),
    ("core.splitIndex", "false"),
    ("attr.tree", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.prune", "false"),
    ("fetch.pruneTags", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.followTags", "false"),
    ("push.gpgSign", "false"),
    ("push.negotiate", "false"),
    ("push.useForceIfIncludes", "false"),
    // The empty value forgets those of the files.
    ("push.pushOption", ""),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("i18n.commitEncoding", "UTF-8"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("merge.renames", "true"),
    ("merge.renameLimit", "7000"),
    ("merge.directoryRenames", "conflict"),
    ("merge.conflictStyle", "merge"),
    ("merge.renormalize", "false"),
];

/// The programs that were found to be new enough: asked once a process.
static CHECKED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

pub(crate) fn check_version(program: &Program, options: &GitOptions) -> Result<(), GitError> {
    let mut checked = CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if checked.contains(program.path()) {
        return Ok(());
    }
    let output = base_invocation(program, options).arg("version").run()?.checked()?;
    let text = output::line(&output)?;
    let found = text.strip_prefix("git version ").unwrap_or(text);
    let mut numbers = found.split(['.', ' ', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < MINIMUM_VERSION {
        return Err(GitError::too_old(found));
    }
    checked.insert(program.path().to_owned());
    Ok(())
}
