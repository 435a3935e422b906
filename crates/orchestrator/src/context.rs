//! What every call of this crate works with: repository, forge, clock, and what the caller lets it see of the process.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use forge::Forge;
use forge::local::{self, LocalForge};
use git::{Git, GitOptions, LocalProtocol};
use ledger::RunIdentity;
use lock_model::{BranchName, CommitId, ErrorClass, ReleaseTag, UserName};
use process::{EnvVars, Interrupt, Launcher, Program, Redactor};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::forge_location::{FoundForge, Remote, holds_forge, no_forge, reader};
use crate::hints;
use crate::identity::{Actor, Unknown, identify, mail_of_job};
use crate::registry_client::RegistryAccess;
use crate::site::Opened;
use crate::workspace::{Side, Workspace};

/// Longest time of one call of the `git` program.
const GIT_DEADLINE: Duration = Duration::from_secs(120);

/// Looks up an environment variable by name.
pub type VariableLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Gathers what a caller knows about registries.
pub type RegistryLookup = Arc<dyn Fn() -> Result<RegistryAccess> + Send + Sync>;

/// Gives the bytes of standard input.
pub type StandardInput = Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// What a caller lets this crate see of the process that it runs in.
#[derive(Clone)]
#[non_exhaustive]
pub struct Surroundings {
    /// Where programs are found: `git`, and those of suites and probes.
    pub search_path: OsString,
    /// What `git` and the programs of suites inherit; nothing that carries a token.
    pub children: EnvVars,
    /// What `git` sees besides when it fetches submodules: the variables by which the job says how its remotes are reached
    /// (see [`git::Transport`]), and what credential helpers need.
    pub job: EnvVars,
    /// The home folder, for a file of the machine that a configuration names as `~/…`; `None` where there is none.
    pub home: Option<PathBuf>,
    /// Looks up an environment variable that a configuration names (`{ env: NAME }`); `None` where it is unset or empty.
    pub variables: VariableLookup,
    /// Logins, proxies and authorities for registries; asked for once a registry is needed.
    pub registry: RegistryLookup,
    /// Reads standard input to its end, for a file that is called `-`.
    pub standard_input: StandardInput,
    /// Ends programs that were started when it is requested.
    pub interrupt: Interrupt,
    /// Starts helm, kustomize, and the programs of the configuration (probes, suites, settings), so that they end with this
    /// process also when that is killed; `None`: they go on alone then.
    pub launcher: Option<Launcher>,
    /// Masks the caller's own logins in what programs print.
    pub redactor: Redactor,
    /// The variable by which a push tells the local forge's hook whose it is; `None`: it does not tell.
    pub actor_variable: Option<String>,
}

impl Surroundings {
    /// Nothing but a search path and what programs inherit: no variables, no logins.
    pub fn new(search_path: impl Into<OsString>, children: EnvVars) -> Self {
        Self {
            search_path: search_path.into(),
            children,
            job: EnvVars::new(),
            home: None,
            variables: Arc::new(|_| None),
            registry: Arc::new(|| Ok(RegistryAccess::default())),
            standard_input: Arc::new(|| Err(io::Error::other("there is no standard input here"))),
            interrupt: Interrupt::new(),
            launcher: None,
            redactor: Redactor::new(),
            actor_variable: None,
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("search_path", &self.search_path).finish_non_exhaustive()
    }
}

/// Which repository and forge a [`Context`] is about, and on whose behalf it acts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Folder of the superproject: a clone or a bare repository.
    pub repository: PathBuf,
    /// Folder of the local forge; `None`: beside the bare repository, or where the clone's `origin` lies.
    pub forge: Option<PathBuf>,
    /// Who acts.
    pub actor: Actor,
    /// The words of the caller's command line, without who acts: for hints that repeat it.
    pub command: Option<String>,
    /// Folder for what was fetched; `None`: beside the git objects.
    pub cache: Option<PathBuf>,
    /// Identity of the CI run, for the ledger.
    pub run_id: String,
    /// Which attempt of the CI run this is, from 1.
    pub run_attempt: u32,
    /// Tells two processes apart that have the same run identity.
    pub nonce: Option<String>,
    /// When the whole call must be done.
    pub deadline: Instant,
}

impl Settings {
    /// A repository on behalf of a user, with five minutes to go.
    pub fn new(repository: impl Into<PathBuf>, actor: Actor) -> Self {
        Self {
            repository: repository.into(),
            forge: None,
            actor,
            command: None,
            cache: None,
            run_id: "local".to_owned(),
            run_attempt: 1,
            nonce: None,
            deadline: Instant::now() + Duration::from_secs(5 * 60),
        }
    }
}

/// A workspace with its forge: everything that a call needs.
#[derive(Debug)]
pub struct Context {
    workspace: Workspace,
    pub(crate) forge: Forge,
    /// Where `git` fetches from and pushes to.
    pub(crate) remote: Remote,
    /// Who runs this, for the ledger; without a name where it is not known who acts.
    pub(crate) run: RunIdentity,
    unknown_actor: Option<Unknown>,
    /// The words of the caller's command line, without who acts.
    pub(crate) command: Option<String>,
}

/// What needs no forge is asked of the workspace.
impl Deref for Context {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

/// A repository without a forge: enough to read configuration and locks.
#[derive(Debug)]
pub struct Local {
    pub(crate) git: Git,
    pub(crate) git_program: Program,
    /// Folder that relative paths start from.
    pub(crate) top: PathBuf,
    /// What [`origin`](Self::origin) found.
    origin: OnceLock<Option<String>>,
}

impl Local {
    /// Opens the repository alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] without a `git` program, [`ErrorKind::Repository`] where there is no repository.
    pub fn open(repository: &Path, surroundings: &Surroundings) -> Result<Self> {
        let git_program = find_git(surroundings)?;
        let git = Git::open(&git_program, repository, git_options(surroundings, None))
            .map_err(|error| git_error("the superproject cannot be opened", error))?;
        let top = git.work_tree().unwrap_or_else(|| git.common_dir()).to_path_buf();
        Ok(Self { git, git_program, top, origin: OnceLock::new() })
    }

    /// Where the clone came from, or itself where it came from nowhere; a folder is absolute.
    pub(crate) fn location(&self) -> String {
        let itself = || self.top.to_string_lossy().into_owned();
        let Some(origin) = self.origin() else { return itself() };
        let is_folder = !origin.contains("://") && (origin.starts_with('.') || !origin.contains(':'));
        let folder = if is_folder { self.top.join(origin).canonicalize().ok() } else { None };
        folder.map_or_else(|| origin.to_owned(), |folder| folder.to_string_lossy().into_owned())
    }

    /// The address of the remote `origin`, or of the only remote.
    pub(crate) fn origin(&self) -> Option<&str> {
        let read = || {
            let remotes = self.git.remotes().ok()?;
            let origin = remotes.iter().find(|(name, _)| name == "origin");
            let only = || if let [only] = remotes.as_slice() { Some(only) } else { None };
            origin.or_else(only).map(|(_, url)| url.trim().to_owned()).filter(|url| !url.is_empty())
        };
        self.origin.get_or_init(read).as_deref()
    }
}

/// A setting of a repository or of the user; `None` where there is none. Every git knows the answer, so that its version is
/// not asked for.
#[expect(clippy::disallowed_methods, reason = "a setting, not a file of a commit")]
fn setting(git: &Git, name: &str) -> Option<String> {
    let output = git.invocation(["config", "--get", name]).run().ok()?.checked().ok()?;
    Some(output.stdout_text().trim().to_owned())
}

/// The name of who acts, among the users of the forge in a folder.
pub(crate) fn who_acts(
    actor: &Actor,
    git: &Git,
    root: &Path,
    surroundings: &Surroundings,
) -> Result<Result<UserName, Unknown>> {
    let mail = match actor {
        Actor::OfGit => mail_of_job(&surroundings.job).or_else(|| setting(git, "user.email")),
        Actor::Named(_) | Actor::Bot | Actor::NotAsked => None,
    };
    Ok(identify(actor, &reader(root, git)?.users()?, mail.as_deref()))
}

/// Finds the `git` program.
pub(crate) fn find_git(surroundings: &Surroundings) -> Result<Program> {
    Program::find("git", &surroundings.search_path).map_err(|error| {
        Error::from_source(ErrorKind::Usage, "`git` is not on the search path", error).hint("install git 2.38 or newer")
    })
}

/// How `git` is run: the local forge is a folder, so local transport is allowed. The forge's hook asks who pushes.
pub(crate) fn git_options(surroundings: &Surroundings, actor: Option<&UserName>) -> GitOptions {
    let mut environment = surroundings.children.clone();
    if let (Some(variable), Some(actor)) = (&surroundings.actor_variable, actor) {
        environment.insert(variable, actor.as_str());
    }
    GitOptions {
        environment,
        deadline: GIT_DEADLINE,
        local_protocol: LocalProtocol::Allowed,
        // A deployment that a signal ends is still recorded.
        interrupt: surroundings.interrupt.patient(),
        redactor: surroundings.redactor.clone(),
        ..GitOptions::default()
    }
}

impl Context {
    /// Opens repository and forge.
    ///
    /// # Errors
    ///
    /// As [`Opened::open`](crate::Opened::open), and [`ErrorKind::Usage`] where there is no forge.
    pub fn open(
        settings: Settings,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
        events: Arc<dyn Events>,
    ) -> Result<Self> {
        match Opened::open(settings, surroundings, clock, events)? {
            Opened::WithForge(context) => Ok(*context),
            Opened::Alone(_) => Err(no_forge()),
        }
    }

    pub(crate) fn with(
        local: Local,
        found: FoundForge,
        settings: Settings,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
        events: Arc<dyn Events>,
    ) -> Result<Self> {
        let FoundForge { root, repository, remote } = found;
        holds_forge(&root)?;
        let home = root.join(&repository);
        let (actor, unknown_actor) = match who_acts(&settings.actor, &local.git, &root, &surroundings)? {
            Ok(actor) => (Some(actor), None),
            Err(unknown) => (None, Some(unknown)),
        };
        let forge_git = Git::open(&local.git_program, &home, git_options(&surroundings, actor.as_ref()))
            .map_err(|error| git_error("the forge's repository cannot be opened", error))?;
        let forge = LocalForge::open(&root, forge_git, actor.clone(), forge_clock(&clock))?;
        let (refs, location) = match &remote {
            Remote::Itself => ("refs", local.git.common_dir().to_string_lossy().into_owned()),
            Remote::Url(url) => ("refs/orchestrator", url.clone()),
        };
        let side = Side { refs, location, actor: actor.clone() };
        let workspace = Workspace::open(local, &settings, surroundings, clock, events, Some(side))?;
        let run = RunIdentity {
            id: settings.run_id,
            attempt: settings.run_attempt,
            actor: actor.map(|actor| actor.to_string()).unwrap_or_default(),
            nonce: settings.nonce,
        };
        Ok(Self { workspace, forge: Forge::Local(forge), remote, run, unknown_actor, command: settings.command })
    }

    /// Fetches the forge's branches, tags and pull requests into refs of our own; the user's own refs stay as they are.
    pub(crate) fn sync(&self) -> Result<()> {
        let Remote::Url(url) = &self.remote else { return Ok(()) };
        let _turn = self.turn();
        let specs = [
            "+refs/heads/*:refs/orchestrator/heads/*",
            "+refs/pull/*:refs/orchestrator/pull/*",
            "+refs/tags/*:refs/orchestrator/tags/*",
        ];
        // Another command in this clone may be writing the same refs: then they are there the second time.
        self.git.fetch_mirror(url, &specs).or_else(|_| self.git.fetch_mirror(url, &specs)).map_err(|error| {
            // Git says that it cannot write, and not where.
            let what = match error.class() {
                ErrorClass::Storage => {
                    format!("the forge's branches cannot be fetched into `{}`", self.git.common_dir().display())
                }
                ErrorClass::NotFound
                | ErrorClass::Denied
                | ErrorClass::Temporary
                | ErrorClass::Invalid
                | ErrorClass::Bug => "the forge's branches cannot be fetched".to_owned(),
            };
            git_error(&what, error)
        })
    }

    /// Commands in one clone fetch one after the other: git gives up where two move the same ref. A clone that cannot
    /// be written to says so when it fetches.
    fn turn(&self) -> Option<File> {
        let folder = self.git.common_dir().join("orchestrator");
        std::fs::create_dir_all(&folder).ok()?;
        let file = File::options().create(true).truncate(false).write(true).open(folder.join("fetch.lock")).ok()?;
        file.lock().ok()?;
        Some(file)
    }

    /// The branch that the clone is on; `hint` says how another is named.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] in the forge's own repository, and where a commit is checked out instead of a branch.
    #[expect(clippy::disallowed_methods, reason = "a setting of the clone, not a file of a commit")]
    pub fn present_branch(&self, hint: &str) -> Result<BranchName> {
        let name =
            self.git.work_tree().and_then(|_| self.git.text(["symbolic-ref", "--quiet", "--short", "HEAD"]).ok());
        match name {
            Some(name) => branch_name(name.trim()),
            None => Err(Error::new(ErrorKind::Usage, "this repository is on no branch").hint(hint)),
        }
    }

    /// Refuses to write where it is not known who acts.
    pub(crate) fn needs_actor(&self) -> Result<()> {
        self.unknown_actor.as_ref().map_or(Ok(()), |unknown| Err(unknown.error()))
    }

    /// Whether a bot acts, whose statuses and records count.
    pub(crate) async fn acts_as_bot(&self) -> Result<bool> {
        Ok(self.bots().await?.contains(&self.run.actor))
    }

    /// The programs among the forge's users: only their records are evidence.
    pub(crate) async fn bots(&self) -> Result<BTreeSet<String>> {
        let users = self.forge.users().await?;
        Ok(users.into_iter().filter(|user| user.bot).map(|user| user.name.to_string()).collect())
    }

    /// The newest commit of a branch of the forge; its objects are here.
    pub(crate) async fn branch_head(&self, branch: &str) -> Result<CommitId> {
        if let Some(head) = self.find_branch_head(branch).await? {
            return Ok(head);
        }
        let branches = self.forge.branches().await.unwrap_or_default();
        Err(Error::new(ErrorKind::Repository, format!("the forge has no branch `{branch}`"))
            .hint(crate::labels::other_names(branch, "the forge", branches.keys().map(lock_model::BranchName::as_str))))
    }

    /// The same for a branch that need not be there.
    pub(crate) async fn find_branch_head(&self, branch: &str) -> Result<Option<CommitId>> {
        let name = branch_name(branch)?;
        let Some(head) = self.forge.branch_head(&name).await? else { return Ok(None) };
        let known = self.git.commit(head.as_str()).map_err(|error| git_error("history cannot be read", error))?;
        if known.is_none() {
            // Pushed since the last look.
            self.sync()?;
        }
        Ok(Some(head))
    }

    /// The commit that a tag of the forge names; `None` where there is no such tag.
    pub(crate) fn tag_commit(&self, tag: &ReleaseTag) -> Result<Option<CommitId>> {
        Ok(self.commit(&format!("{}{tag}", self.tag_prefix()))?.map(|facts| facts.id))
    }

    /// Where the forge's tags are in this repository.
    pub(crate) fn tag_prefix(&self) -> String {
        format!("{}/tags/", self.forge_refs.unwrap_or("refs"))
    }

    /// The local forge: the only kind so far.
    pub(crate) fn local_forge(&self) -> &LocalForge {
        match &self.forge {
            Forge::Local(local) => local,
        }
    }
}

/// The same clock for the local forge.
fn forge_clock(clock: &Arc<dyn Clock>) -> local::Clock {
    let clock = Arc::clone(clock);
    local::Clock::new(move || clock.now())
}

/// A branch name as the forge takes it.
pub(crate) fn branch_name(text: &str) -> Result<BranchName> {
    BranchName::try_from(text).map_err(|error| Error::from_source(ErrorKind::Usage, "not a branch", error))
}

/// An error of the `git` program with its code.
pub(crate) fn git_error(context: &str, error: git::GitError) -> Error {
    let hint = hints::of_git(&error);
    let kind = match error.kind() {
        // No remote refuses anything: this clone belongs to another user.
        git::GitErrorKind::ForeignOwner => ErrorKind::Repository,
        _ => ErrorKind::of(error.class(), ErrorKind::Repository, ErrorKind::Repository),
    };
    hint.into_iter().fold(Error::from_source(kind, context, error), Error::hint)
}

impl From<forge::ForgeError> for Error {
    fn from(error: forge::ForgeError) -> Self {
        let kind = match error.kind() {
            forge::ForgeErrorKind::State => ErrorKind::Refused,
            _ => ErrorKind::of(error.class(), ErrorKind::Repository, ErrorKind::Usage),
        };
        let hint = hints::of_forge(error.kind(), error.class());
        // Without a cause below it the error says itself what is wrong.
        let shown = if std::error::Error::source(&error).is_some() {
            Self::from_source(kind, "the forge did not do what it was asked", error)
        } else {
            Self::new(kind, error.to_string())
        };
        hint.into_iter().fold(shown, Self::hint)
    }
}
