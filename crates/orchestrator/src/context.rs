//! What every call of this crate works with: repository, forge, clock, and what the caller lets it see of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use forge::Forge;
use forge::local::{self, LocalForge};
use git::{CommitFacts, Git, GitOptions, LocalProtocol};
use ledger::RunIdentity;
use lock_gen::{Ownership, Superproject};
use lock_model::{BranchName, CommitId, Digest, ReleaseTag, Timestamp, UserName};
use process::{EnvVars, Interrupt, Program, Redactor};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events};
use crate::output_file::{MissingFolders, write_output};
use crate::registry_client::RegistryAccess;

/// Longest time of one call of the `git` program.
const GIT_DEADLINE: Duration = Duration::from_secs(120);

/// Looks up an environment variable by name.
pub type VariableLookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Gathers what a caller knows about registries.
pub type RegistryLookup = Arc<dyn Fn() -> Result<RegistryAccess> + Send + Sync>;

/// What a caller lets this crate see of the process that it runs in.
#[derive(Clone)]
#[non_exhaustive]
pub struct Surroundings {
    /// Where programs are found: `git`, and those of suites and probes.
    pub search_path: OsString,
    /// What `git` and the programs of suites inherit; nothing that carries a token.
    pub children: EnvVars,
    /// Looks up an environment variable that a configuration names (`{ env: NAME }`); `None` where it is unset or empty.
    pub variables: VariableLookup,
    /// Logins, proxies and authorities for registries; asked for once a registry is needed.
    pub registry: RegistryLookup,
    /// Ends programs that were started when it is requested.
    pub interrupt: Interrupt,
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
            variables: Arc::new(|_| None),
            registry: Arc::new(|| Ok(RegistryAccess::default())),
            interrupt: Interrupt::new(),
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
    /// Who acts; `None`: the forge's only bot.
    pub actor: Option<UserName>,
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
    /// A repository on behalf of the forge's bot, with five minutes to go.
    pub fn new(repository: impl Into<PathBuf>) -> Self {
        Self {
            repository: repository.into(),
            forge: None,
            actor: None,
            cache: None,
            run_id: "local".to_owned(),
            run_attempt: 1,
            nonce: None,
            deadline: Instant::now() + Duration::from_secs(5 * 60),
        }
    }
}

/// Everything that a call needs.
#[derive(Debug)]
pub struct Context {
    /// The superproject's repository: a clone, or the forge's own bare repository.
    pub(crate) git: Git,
    /// The same repository, read without the `git` program.
    pub(crate) superproject: Superproject,
    pub(crate) forge: Forge,
    /// Where `git` fetches from and pushes to.
    pub(crate) remote: Remote,
    pub(crate) clock: Arc<dyn Clock>,
    /// Who runs this, for the ledger.
    pub(crate) run: RunIdentity,
    events: Arc<dyn Events>,
    /// What [`note_once`](Self::note_once) has said.
    said: Mutex<BTreeSet<String>>,
    pub(crate) surroundings: Surroundings,
    pub(crate) git_program: Program,
    /// Folder for fetched submodule commits and manifests of images.
    pub(crate) cache: PathBuf,
    /// Folder that relative paths in the configuration start from.
    pub(crate) top: PathBuf,
    /// When the whole call must be done.
    pub(crate) deadline: Instant,
    /// What is known of blobs that were hashed, by their ids.
    pub(crate) digests: Mutex<BTreeMap<String, Digest>>,
}

/// The other side of the superproject's repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// The repository is the forge's own: nothing to fetch.
    Itself,
    /// A URL or path that `git` understands.
    Url(String),
}

impl Remote {
    /// What `git fetch` and `git push` are given.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Itself => ".",
            Self::Url(url) => url,
        }
    }
}

/// A repository without a forge: enough to read configuration and locks.
#[derive(Debug)]
pub struct Local {
    pub(crate) git: Git,
    git_program: Program,
    /// Folder that relative paths start from.
    pub(crate) top: PathBuf,
}

impl Local {
    /// Opens the repository alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] without a `git` program, [`ErrorKind::Repository`] where there is no repository.
    pub fn open(repository: &Path, surroundings: &Surroundings) -> Result<Self> {
        let git_program = find_git(surroundings)?;
        let git = Git::open(&git_program, repository, git_options(surroundings, None)).map_err(|error| {
            Error::from_source(ErrorKind::Repository, "the superproject cannot be opened", error)
                .hint("run inside the superproject, or name it with `--repository DIR`")
        })?;
        let top = git.work_tree().unwrap_or_else(|| git.common_dir()).to_path_buf();
        Ok(Self { git, git_program, top })
    }

    /// Where the clone came from, as it says itself.
    #[expect(clippy::disallowed_methods, reason = "a setting of the clone, not a file of a commit")]
    fn origin(&self) -> Option<String> {
        self.git.text(["config", "--get", "remote.origin.url"]).ok().map(|url| url.trim().to_owned())
    }
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
        interrupt: surroundings.interrupt.clone(),
        redactor: surroundings.redactor.clone(),
        ..GitOptions::default()
    }
}

impl Context {
    /// Opens repository and forge.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Repository`] where one of them cannot be opened, [`ErrorKind::Usage`] where no forge is found, or no
    /// acting user is named and the forge does not have exactly one bot.
    pub fn open(
        settings: Settings,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
        events: Arc<dyn Events>,
    ) -> Result<Self> {
        let local = Local::open(&settings.repository, &surroundings)?;
        // The `git` program has judged the owner, by the user's own `safe.directory`.
        let superproject = Superproject::open_as(&settings.repository, Ownership::Vouched)
            .map_err(|error| Error::from_source(ErrorKind::Repository, "the superproject cannot be opened", error))?;
        let origin = local.origin();
        let (root, repository, remote) = locate_forge(settings.forge.as_deref(), &local, origin.as_deref())?;
        let home = root.join(&repository);
        let options = git_options(&surroundings, settings.actor.as_ref());
        let forge_git = Git::open(&local.git_program, &home, options)
            .map_err(|error| git_error("the forge's repository cannot be opened", error))?;
        let actor = match settings.actor {
            Some(actor) => actor,
            None => the_bot(&root, &forge_git, &clock)?,
        };
        let forge = LocalForge::open(&root, forge_git, Some(actor.clone()), forge_clock(&clock))?;
        let git = Git::open(&local.git_program, &settings.repository, git_options(&surroundings, Some(&actor)))
            .map_err(|error| git_error("the superproject cannot be opened", error))?;
        let cache = settings.cache.unwrap_or_else(|| git.common_dir().join("orchestrator/cache"));
        let run = RunIdentity {
            id: settings.run_id,
            attempt: settings.run_attempt,
            actor: actor.to_string(),
            nonce: settings.nonce,
        };
        Ok(Self {
            git,
            superproject,
            forge: Forge::Local(forge),
            remote,
            clock,
            run,
            events,
            said: Mutex::default(),
            surroundings,
            git_program: local.git_program,
            cache,
            top: local.top,
            deadline: settings.deadline,
            digests: Mutex::default(),
        })
    }

    /// How `git` is run on behalf of this context's user.
    pub(crate) fn git_options(&self) -> GitOptions {
        git_options(&self.surroundings, UserName::try_from(self.run.actor.as_str()).ok().as_ref())
    }

    /// An environment variable that the configuration names; `None` where it is unset or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.surroundings.variables)(name)
    }

    /// Says that something happened.
    pub(crate) fn emit(&self, event: Event<'_>) {
        self.events.event(event);
    }

    /// Says something in one line.
    pub(crate) fn note(&self, text: impl AsRef<str>) {
        self.emit(Event::Note(text.as_ref()));
    }

    /// The same, unless this context has said it before.
    pub(crate) fn note_once(&self, text: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.contains(&text) {
            self.note(&text);
            said.insert(text);
        }
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
        self.git
            .fetch_mirror(url, &specs)
            .or_else(|_| self.git.fetch_mirror(url, &specs))
            .map_err(|error| git_error("the forge's branches cannot be fetched", error))
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

    /// Refuses a clone without its whole history, before anything is written: gates ask who is whose ancestor, and the
    /// answer "unknown" would be recorded for everybody.
    pub(crate) fn needs_history(&self) -> Result<()> {
        if !self.superproject.is_shallow() {
            return Ok(());
        }
        let commits = self.rev_list(&["--first-parent", "HEAD"]).map_or(0, |commits| commits.len());
        let depth = crate::labels::count(commits, "commit");
        Err(Error::new(
            ErrorKind::Repository,
            format!("this clone is shallow: of its branch it has the newest {depth}"),
        )
        .hint("fetch the rest: `git fetch --unshallow`; in GitHub Actions `fetch-depth: 0` at `actions/checkout`")
        .hint("nothing was written"))
    }

    /// Writes a file that the caller asks for, as [`write_output`](crate::write_output) does.
    pub fn write_output(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        write_output(self.git.work_tree(), path, bytes, MissingFolders::Refuse)
    }

    /// The commit that a revision names: a branch of the forge first, then its tags, then whatever git knows by that
    /// name. A full commit id is that commit, whatever branch is called like it.
    pub(crate) fn resolve(&self, revision: &str) -> Result<CommitId> {
        let own = match self.remote {
            Remote::Itself => "refs",
            Remote::Url(_) => "refs/orchestrator",
        };
        let mut candidates = vec![revision.to_owned()];
        if CommitId::try_from(revision).is_err() {
            candidates.splice(0..0, [format!("{own}/heads/{revision}"), format!("{own}/tags/{revision}")]);
        }
        for candidate in candidates {
            if let Some(facts) =
                self.git.commit(&candidate).map_err(|error| git_error("the revision cannot be read", error))?
            {
                return Ok(facts.id);
            }
        }
        Err(Error::new(ErrorKind::Repository, format!("`{revision}` names no commit"))
            .hint("give a branch of the forge, a tag or a full commit id"))
    }

    /// The programs among the forge's users: only their records are evidence.
    pub(crate) async fn bots(&self) -> Result<BTreeSet<String>> {
        let users = self.forge.users().await?;
        Ok(users.into_iter().filter(|user| user.bot).map(|user| user.name.to_string()).collect())
    }

    /// The newest commit of a branch of the forge; its objects are here.
    pub(crate) async fn branch_head(&self, branch: &str) -> Result<CommitId> {
        self.find_branch_head(branch)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Repository, format!("the forge has no branch `{branch}`")))
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

    /// What git knows about a commit; `None` where it is not in this repository.
    pub(crate) fn commit(&self, revision: &str) -> Result<Option<CommitFacts>> {
        self.git.commit(revision).map_err(|error| git_error("history cannot be read", error))
    }

    /// The commit that a tag of the forge names; `None` where there is no such tag.
    pub(crate) fn tag_commit(&self, tag: &ReleaseTag) -> Result<Option<CommitId>> {
        let own = match self.remote {
            Remote::Itself => "refs",
            Remote::Url(_) => "refs/orchestrator",
        };
        Ok(self.commit(&format!("{own}/tags/{tag}"))?.map(|facts| facts.id))
    }

    /// The paths that differ between two commits.
    pub(crate) fn changed_paths(&self, before: &CommitId, after: &CommitId) -> Result<Vec<String>> {
        let changes = self.git.diff_names(before.as_str(), after.as_str());
        let changes = changes.map_err(|error| git_error("history cannot be read", error))?;
        Ok(changes.into_iter().map(|change| change.path).collect())
    }

    /// Whether one commit is in the history of another, or is that commit.
    pub(crate) fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool> {
        self.git.is_ancestor(ancestor, descendant).map_err(|error| git_error("history cannot be read", error))
    }

    /// The commits that `git rev-list` names, newest first.
    pub(crate) fn rev_list(&self, arguments: &[&str]) -> Result<Vec<CommitId>> {
        self.git.rev_list(arguments).map_err(|error| git_error("history cannot be read", error))
    }

    /// Where the superproject's remote lies, for relative submodule URLs.
    pub(crate) fn remote_location(&self) -> String {
        match &self.remote {
            Remote::Itself => self.git.common_dir().to_string_lossy().into_owned(),
            Remote::Url(url) => url.clone(),
        }
    }

    /// The local forge: the only kind so far.
    pub(crate) fn local_forge(&self) -> &LocalForge {
        match &self.forge {
            Forge::Local(local) => local,
        }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The local forge of a repository, for who only looks at it; `None` where none is named and none is found.
pub(crate) fn find_forge(
    repository: &Path,
    forge: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Option<LocalForge>> {
    let open = || -> Result<LocalForge> {
        let local = Local::open(repository, surroundings)?;
        let origin = local.origin();
        let (root, name, _) = locate_forge(forge, &local, origin.as_deref())?;
        let git = Git::open(&local.git_program, &root.join(name), git_options(surroundings, None))
            .map_err(|error| git_error("the forge's repository cannot be opened", error))?;
        // Nothing that carries a time is written.
        Ok(LocalForge::open(&root, git, None, local::Clock::fixed(Timestamp::from_unix_seconds(0)))?)
    };
    match open() {
        Ok(found) => Ok(Some(found)),
        Err(error) if forge.is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// The forge's only bot, which acts where no user is named.
fn the_bot(root: &Path, git: &Git, clock: &Arc<dyn Clock>) -> Result<UserName> {
    let forge = LocalForge::open(root, git.clone(), None, forge_clock(clock))?;
    let mut bots = forge.users()?.into_iter().filter(|user| user.bot);
    match (bots.next(), bots.next()) {
        (Some(bot), None) => Ok(bot.name),
        (None, _) | (Some(_), Some(_)) => {
            Err(Error::new(ErrorKind::Usage, "the forge has not exactly one bot").hint("say who acts with `--as USER`"))
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

/// Where the local forge lies: named, or beside the repository, or where `origin` is.
fn locate_forge(forge: Option<&Path>, local: &Local, origin: Option<&str>) -> Result<(PathBuf, String, Remote)> {
    let bare = local.git.common_dir().to_path_buf();
    let beside = |repository: &Path| -> Option<(PathBuf, String)> {
        let root = repository.parent()?;
        let name = repository.file_name()?.to_str()?.to_owned();
        root.join("forge").is_dir().then(|| (root.to_path_buf(), name))
    };
    let origin_path = origin.map(|url| {
        let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
        if path.is_absolute() { path.to_path_buf() } else { local.top.join(path) }
    });
    let named = forge.map(|root| {
        let from_origin = origin_path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        // Git starts in the repository's folder, where a relative path would lead elsewhere.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        (root, from_origin.unwrap_or("shop.git").to_owned())
    });
    let found = named
        .or_else(|| local.git.work_tree().is_none().then(|| beside(&bare)).flatten())
        .or_else(|| origin_path.as_deref().and_then(beside));
    let Some((root, repository)) = found else {
        return Err(Error::new(ErrorKind::Usage, "there is no local forge for this repository").hint(
            "make one with `orchestrator forge init`, clone the superproject from beside it, or name it with `--forge DIR`",
        ));
    };
    let home = root.join(&repository);
    let same = home.canonicalize().ok().is_some_and(|home| bare.canonicalize().ok() == Some(home));
    let remote = if same { Remote::Itself } else { Remote::Url(home.to_string_lossy().into_owned()) };
    Ok((root, repository, remote))
}

/// An error of the `git` program with its code.
pub(crate) fn git_error(context: &str, error: git::GitError) -> Error {
    let kind = ErrorKind::of(error.class(), ErrorKind::Repository, ErrorKind::Repository);
    Error::from_source(kind, context, error)
}

impl From<forge::ForgeError> for Error {
    fn from(error: forge::ForgeError) -> Self {
        let kind = ErrorKind::of(error.class(), ErrorKind::Repository, ErrorKind::Usage);
        Self::from_source(kind, "the forge did not do what it was asked", error)
    }
}
