//! What a commit of the superproject says: configuration, gitlinks, lock, and the identities that follow from them. It is
//! read from git objects; no checkout, no file of the work tree.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use config::{Config, ConfigErrors, Environment, Forge, ServiceAssignment};
use ledger::{RecordDraft, Step, StepResult};
use lock_gen::{LockDrift, Scan};
use lock_model::{
    CONFIG_FILE, CommitId, ConfigDigest, Digest, EnvironmentName, GITMODULES_FILE, LOCK_FILE, Lock, ReleaseId,
    RepositoryUrl, Source, Timestamp, TreeId, TreePath,
};

use crate::context::{Context, git_error};
use crate::environment_policy::environment_of;
use crate::error::{Error, ErrorKind, Place, Problem, Result};
use crate::inputs::{Inputs, declared};
use crate::starter::no_configuration;
use crate::workspace::Workspace;

/// A commit of the superproject with its configuration and submodules.
#[derive(Debug)]
pub(crate) struct Revision {
    /// The commit; absent for a tree that no commit has yet.
    pub commit: CommitId,
    pub tree: TreeId,
    pub parents: Vec<CommitId>,
    pub time: Timestamp,
    pub config: Config,
    /// The superproject's address, as locks write it.
    pub address: RepositoryUrl,
    /// What is read of it, and what of it is hashed.
    pub inputs: Inputs,
    /// Digest of the inputs.
    pub config_digest: ConfigDigest,
    pub scan: Scan,
    /// The lock, once it was asked for.
    lock: OnceLock<Option<LockFile>>,
}

/// A lock file as it lies in a tree.
#[derive(Clone, Debug)]
pub(crate) struct LockFile {
    pub bytes: Vec<u8>,
    pub digest: Digest,
    pub lock: Lock,
}

const OF_ANOTHER_TOOL: &str = "another tool's file takes the place of the lock: move it in a pull request, as with `git mv \
                               locks/lock.yaml locks/old.yaml`; `orchestrator lock migrate` reads those of older pipelines";

/// Whether a file that cannot be read as a lock never was one: those of every version begin with `version`, a number, and `id`.
pub(crate) fn is_of_another_tool(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let has = |key: &str| text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(": ")));
    !(has("version") && has("id"))
}

impl LockFile {
    /// Parses a lock file; `name` is what errors call it.
    pub(crate) fn parse(bytes: Vec<u8>, name: &str) -> Result<Self> {
        let lock = lock_model::Lock::parse(&bytes, name).map_err(|error| {
            let shown = lock_error(&error);
            // Where it lies in a tree, another tool's file keeps every command from working.
            let is_in_the_way = name.ends_with(LOCK_FILE) && is_of_another_tool(&bytes);
            if is_in_the_way { shown.hint(OF_ANOTHER_TOOL) } else { shown }
        })?;
        Ok(Self { digest: Digest::of(&bytes), bytes, lock })
    }
}

impl Revision {
    /// The services of the tree, as the rules of the configuration name them; none where the rules do not fit the tree, which
    /// making a lock refuses.
    pub(crate) fn services(&self) -> Vec<ServiceAssignment> {
        let paths: Vec<TreePath> = self.scan.submodules.iter().map(|submodule| submodule.path.clone()).collect();
        self.config.assign_services(&paths).unwrap_or_default()
    }

    pub(crate) fn load(context: &Workspace, commit: &CommitId) -> Result<Self> {
        let facts = context
            .commit(commit.as_str())?
            .ok_or_else(|| Error::new(ErrorKind::Repository, format!("commit `{commit}` is not in this repository")))?;
        let config = load_config(context, commit.as_str())?.ok_or_else(|| no_configuration(context, &facts))?;
        let address = context.address(&config);
        let scan = Inputs::submodules(context, &facts.tree, &address)
            .map_err(|error| Error::from_source(ErrorKind::Repository, "the submodules cannot be read", error))?;
        let inputs = Inputs::open(context, &facts.id, &facts.tree, declared(&config, Some(&scan))?)?;
        let config_digest = inputs.digest(context)?;
        Ok(Self {
            commit: facts.id,
            tree: facts.tree,
            parents: facts.parents,
            time: facts.committer_time,
            config,
            address,
            inputs,
            config_digest,
            scan,
            lock: OnceLock::new(),
        })
    }

    /// What a lock of this commit is made from, without a pull request.
    pub(crate) fn source(&self) -> Source {
        let base = self.parents.first().unwrap_or(&self.commit);
        Source::new(self.address.clone(), self.commit.clone(), base.clone(), self.tree.clone())
    }

    /// The lock in this tree; absent where there is none.
    pub(crate) fn lock(&self, context: &Workspace) -> Result<Option<LockFile>> {
        if let Some(known) = self.lock.get() {
            return Ok(known.clone());
        }
        let bytes = Inputs::lock(&context.git, self.commit.as_str())
            .map_err(|error| git_error("the lock cannot be read", error))?;
        let parse = |bytes| LockFile::parse(bytes, &format!("{}:{LOCK_FILE}", self.commit.short(12)));
        let lock = bytes.map(parse).transpose()?;
        Ok(self.lock.get_or_init(|| lock).clone())
    }

    /// How the lock differs from this tree's submodules.
    pub(crate) fn mismatches(&self, lock: &Lock) -> Vec<LockDrift> {
        lock_gen::lock_drift(lock, &self.scan)
    }

    /// Refuses submodules that cannot be used, all at once.
    pub(crate) fn check_submodules(&self) -> Result<()> {
        if self.scan.problems.is_empty() {
            return Ok(());
        }
        let problems = self.scan.problems.iter();
        let message = format!("{} of the submodules in {} cannot be used", problems.len(), self.commit.short(12));
        let hints: BTreeSet<&String> = problems.clone().map(|finding| &finding.hint).collect();
        let places = problems.clone().map(|finding| Place {
            // A fault of the tree is at the path that has it.
            file: finding.line.map_or_else(|| finding.subject.clone(), |_| GITMODULES_FILE.to_owned()),
            line: finding.line,
            column: None,
            message: format!("`{}` {}", finding.subject, finding.message),
            hint: Some(finding.hint.clone()),
        });
        let error = Error::new(ErrorKind::Repository, message)
            .problems(problems.clone().map(|finding| Problem::new(finding.subject.clone(), finding.sentence())))
            .at(places);
        Err(hints.into_iter().fold(error, Error::hint))
    }

    pub(crate) fn release(&self, lock: &Lock) -> ReleaseId {
        lock_model::release_id(&self.config_digest, lock.id())
    }

    /// The draft of a record about a lock in this tree.
    pub(crate) fn record(
        &self,
        context: &Context,
        environment: &EnvironmentName,
        step: Step,
        result: StepResult,
        lock: &LockFile,
    ) -> RecordDraft {
        let mut draft = RecordDraft::new(step, result, context.run.clone(), context.now()).environment(environment);
        draft.release = Some(self.release(&lock.lock));
        draft.lock = Some(lock.lock.id().clone());
        draft.lock_file = Some(lock.digest.clone());
        draft.config = Some(self.config_digest.clone());
        draft.commit = Some(self.commit.clone());
        draft.tree = Some(self.tree.clone());
        draft
    }

    /// What the configuration says about the forge, for what only a forge makes possible.
    pub(crate) fn forge(&self) -> Result<&Forge> {
        self.config.forge.as_ref().ok_or_else(|| {
            let commit = self.commit.short(12);
            Error::new(ErrorKind::Usage, format!("`{CONFIG_FILE}` in commit {commit} has no key `forge`"))
                .hint("locks are published and committed where a forge is: `forge: { kind: local, repository: \"https://…\" }`")
        })
    }

    /// An environment of the configuration.
    pub(crate) fn environment(&self, name: &EnvironmentName) -> Result<&Environment> {
        environment_of(&self.config, name)
    }
}

/// The configuration of a revision; absent where the revision has none.
pub(crate) fn load_config(context: &Workspace, revision: &str) -> Result<Option<Config>> {
    let bytes =
        Inputs::config(&context.git, revision).map_err(|error| git_error("the configuration cannot be read", error))?;
    bytes.map(|bytes| parse_config(CONFIG_FILE, &bytes)).transpose()
}

/// Every problem of a configuration, with its place.
pub(crate) fn config_error(errors: &ConfigErrors) -> Error {
    Error::new(ErrorKind::Usage, errors.to_string().trim_end()).at(errors.problems().iter().map(place_of))
}

/// The place of a problem of a configuration, with what is wrong there.
pub(crate) fn place_of(problem: &config::Problem) -> Place {
    Place {
        file: problem.file().to_owned(),
        line: problem.line(),
        column: problem.column(),
        message: match problem.path() {
            "" => problem.message().to_owned(),
            path => format!("{path}: {}", problem.message()),
        },
        hint: problem.hint().map(str::to_owned),
    }
}

/// Parses a configuration; the error lists every problem with its place.
pub(crate) fn parse_config(name: &str, bytes: &[u8]) -> Result<Config> {
    Config::parse(name, bytes).map_err(|error| config_error(&error))
}

/// An error of the lock's reader.
pub(crate) fn lock_error(error: &lock_model::ParseError) -> Error {
    let places = error.problems().iter().map(|problem| Place {
        file: error.file().to_owned(),
        line: problem.line(),
        column: problem.column(),
        message: match problem.path().as_str() {
            "" => problem.message().to_owned(),
            path => format!("{path}: {}", problem.message()),
        },
        hint: error.hint().map(str::to_owned),
    });
    let shown = Error::new(ErrorKind::Lock, error.to_string().trim_end()).at(places);
    match error.hint() {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}
