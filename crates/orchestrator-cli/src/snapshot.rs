//! What a commit says: configuration, gitlinks, lock, and the identities that follow from them. Read from git objects
//! only; no checkout, no local file.

use std::collections::BTreeMap;

use config::{Config, Environment, Role};
use lock_gen::{Mismatch, Scan};
use lock_model::{CommitId, ConfigDigest, Digest, EnvironmentName, Lock, ReleaseId, Timestamp, TreeId, TreePath};

use crate::context::{Context, git_error};
use crate::error::{CliError, CliResult, Problem};
use crate::exit_code::ExitCode;

/// The configuration's file.
pub(crate) const CONFIGURATION_FILE: &str = "orchestrator.yaml";
/// The lock's file.
pub(crate) const LOCK_FILE: &str = "locks/lock.yaml";
/// The folder that only `lock commit` writes.
pub(crate) const LOCK_FOLDER: &str = "locks";

/// A commit's tree as the train sees it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The commit; absent for a tree that no commit has yet.
    pub commit: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents.
    pub parents: Vec<CommitId>,
    /// When it was committed.
    pub time: Timestamp,
    /// The configuration in it.
    pub config: Config,
    /// Digest of the configuration and every file that it names.
    pub config_digest: ConfigDigest,
    /// Its submodules.
    pub scan: Scan,
}

/// A lock file as it lies in a tree.
#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// What it says.
    pub lock: Lock,
}

impl LockFile {
    /// Reads and judges a lock's bytes.
    pub(crate) fn parse(bytes: Vec<u8>, name: &str) -> CliResult<Self> {
        let lock = lock_model::Lock::parse(&bytes, name).map_err(|error| lock_error(&error))?;
        Ok(Self { digest: Digest::of(&bytes), bytes, lock })
    }
}

impl Snapshot {
    /// Reads a commit.
    pub(crate) fn load(context: &Context, commit: &CommitId) -> CliResult<Self> {
        let facts = context
            .git
            .commit(commit.as_str())
            .map_err(|error| git_error("the commit cannot be read", &error))?
            .ok_or_else(|| {
                CliError::new(ExitCode::Repository, format!("commit `{commit}` is not in this repository"))
            })?;
        let config = load_config(context, commit.as_str())?.ok_or_else(|| {
            CliError::new(ExitCode::Usage, format!("`{CONFIGURATION_FILE}` is not in commit {}", commit.short(12)))
                .hint("add it to the superproject's top folder; `orchestrator demo` shows a complete one")
        })?;
        let config_digest = config_digest(context, commit.as_str(), &config)?;
        let scan = context
            .superproject
            .scan(&facts.tree, &config.forge.repository)
            .map_err(|error| CliError::from_source(ExitCode::Repository, "the submodules cannot be read", &error))?;
        Ok(Self {
            commit: facts.id,
            tree: facts.tree,
            parents: facts.parents,
            time: facts.committer_time,
            config,
            config_digest,
            scan,
        })
    }

    /// The lock in this tree; absent where there is none.
    pub(crate) fn lock(&self, context: &Context) -> CliResult<Option<LockFile>> {
        let bytes = context
            .git
            .read_file(self.commit.as_str(), LOCK_FILE)
            .map_err(|error| git_error("the lock cannot be read", &error))?;
        bytes.map(|bytes| LockFile::parse(bytes, &format!("{}:{LOCK_FILE}", self.commit.short(12)))).transpose()
    }

    /// Where a lock disagrees with this tree.
    pub(crate) fn mismatches(&self, lock: &Lock) -> Vec<Mismatch> {
        lock_gen::compare(lock, &self.scan)
    }

    /// What is wrong with the submodules themselves.
    pub(crate) fn check_submodules(&self) -> CliResult<()> {
        if self.scan.problems.is_empty() {
            return Ok(());
        }
        let problems = self.scan.problems.iter().map(|finding| Problem {
            subject: finding.subject.clone(),
            message: finding.message.clone(),
            details: Vec::new(),
        });
        Err(CliError::new(
            ExitCode::Repository,
            format!("{} of the submodules in {} cannot be used", self.scan.problems.len(), self.commit.short(12)),
        )
        .problems(problems))
    }

    /// Lock and configuration together.
    pub(crate) fn release(&self, lock: &Lock) -> ReleaseId {
        lock_model::release_id(&self.config_digest, lock.id())
    }

    /// An environment of the configuration.
    pub(crate) fn environment(&self, name: &EnvironmentName) -> CliResult<&Environment> {
        environment_of(&self.config, name)
    }
}

/// An environment by name.
pub(crate) fn environment_of<'a>(config: &'a Config, name: &EnvironmentName) -> CliResult<&'a Environment> {
    config.environments.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.environments.keys().map(EnvironmentName::as_str).collect();
        CliError::new(ExitCode::Usage, format!("there is no environment `{name}`"))
            .hint(format!("the configuration has: {}", known.join(", ")))
    })
}

/// The branch of the forge that an environment runs.
pub(crate) fn branch_of(environment: &Environment) -> CliResult<String> {
    environment.branch.as_ref().map(ToString::to_string).ok_or_else(|| {
        CliError::new(ExitCode::Usage, format!("environment `{}` is no stop of the train", environment.name))
            .hint("give it `branch:` with a role of `branches:` if it should be deployed")
    })
}

/// Whether this environment's branch is where locks are committed.
pub(crate) fn commits_locks(environment: &Environment) -> bool {
    environment.role == Some(Role::Staging)
}

/// The environment's name, parsed.
pub(crate) fn environment_name(text: &str) -> CliResult<EnvironmentName> {
    EnvironmentName::try_from(text)
        .map_err(|error| CliError::from_source(ExitCode::Usage, "`--env` names no environment", &error))
}

/// The configuration of a revision; absent where the revision has none.
pub(crate) fn load_config(context: &Context, revision: &str) -> CliResult<Option<Config>> {
    let bytes = context
        .git
        .read_file(revision, CONFIGURATION_FILE)
        .map_err(|error| git_error("the configuration cannot be read", &error))?;
    bytes.map(|bytes| parse_config(CONFIGURATION_FILE, &bytes)).transpose()
}

/// Reads a configuration, or says everything that is wrong with it.
pub(crate) fn parse_config(name: &str, bytes: &[u8]) -> CliResult<Config> {
    Config::load(name, bytes).map_err(|error| CliError::new(ExitCode::Usage, error.to_string().trim_end()))
}

fn config_digest(context: &Context, revision: &str, config: &Config) -> CliResult<ConfigDigest> {
    let mut paths = config.files_named();
    paths
        .insert(TreePath::try_from(CONFIGURATION_FILE).map_err(|error| {
            CliError::from_source(ExitCode::Bug, "the configuration's own name is no path", &error)
        })?);
    let mut digests = BTreeMap::new();
    let mut missing = Vec::new();
    for path in paths {
        let bytes = context
            .git
            .read_file(revision, path.as_str())
            .map_err(|error| git_error("a file that the configuration names cannot be read", &error))?;
        match bytes {
            Some(bytes) => {
                digests.insert(path, Digest::of(&bytes));
            }
            None => missing.push(Problem {
                subject: path.to_string(),
                message: "is named in the configuration, but not in the tree".to_owned(),
                details: Vec::new(),
            }),
        }
    }
    if missing.is_empty() {
        Ok(lock_model::config_digest(&digests))
    } else {
        Err(CliError::new(ExitCode::Usage, "the configuration names files that do not exist").problems(missing))
    }
}

/// An error of the lock's reader.
pub(crate) fn lock_error(error: &lock_model::ParseError) -> CliError {
    let shown = CliError::new(ExitCode::Lock, error.to_string().trim_end());
    match error.hint() {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}
