//! What commands work with: the repository, the forge, the clock, the children's environment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use forge::Forge;
use forge::local::LocalForge;
use git::{Git, GitOptions, LocalProtocol};
use ledger::RunIdentity;
use lock_gen::{Ownership, Superproject};
use lock_model::{BranchName, CommitId, Timestamp, UserName};
use process::{Environment, Program};

use crate::arguments::GlobalArgs;
use crate::clock::Clock;
use crate::environment;
use crate::error::{CliError, CliResult};
use crate::exit_code::ExitCode;
use crate::interruption;
use crate::output::Progress;

/// Longest time of one call of the `git` program.
const GIT_DEADLINE: Duration = Duration::from_secs(120);

/// Everything that a command needs.
#[derive(Debug)]
pub(crate) struct Context {
    /// The superproject's repository: a clone, or the forge's own bare repository.
    pub git: Git,
    /// The same repository, read without the `git` program.
    pub superproject: Superproject,
    /// The forge.
    pub forge: Forge,
    /// Where `git` fetches from and pushes to.
    pub remote: Remote,
    /// The clock.
    pub clock: Clock,
    /// Who runs this, for the ledger.
    pub run: RunIdentity,
    /// Progress for people.
    pub progress: Progress,
    /// What children inherit.
    pub children: Environment,
    /// The `git` program.
    pub git_program: Program,
    /// Folder for fetched submodule commits.
    pub cache: PathBuf,
    /// Folder that relative paths in the configuration start from.
    pub top: PathBuf,
    /// When the whole command must be done.
    pub deadline: Instant,
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

/// The parts of a context that need no forge: enough to read configuration and locks.
#[derive(Debug)]
pub(crate) struct Local {
    /// The repository.
    pub git: Git,
    /// The `git` program.
    pub git_program: Program,
    /// What children inherit.
    pub children: Environment,
    /// Folder that relative paths start from.
    pub top: PathBuf,
}

impl Local {
    /// Opens the repository alone.
    pub(crate) fn open(global: &GlobalArgs) -> CliResult<Self> {
        let git_program = find_git()?;
        let children = children(global.actor.as_deref());
        let options = git_options(&children);
        let git = Git::open(&git_program, &global.repository, options).map_err(|error| {
            CliError::from_source(ExitCode::Repository, "the superproject cannot be opened", &error)
                .hint("run inside the superproject, or name it with `--repository DIR`")
        })?;
        let top = git.work_tree().unwrap_or_else(|| git.common_dir()).to_path_buf();
        Ok(Self { git, git_program, children, top })
    }
}

/// Finds the `git` program.
pub(crate) fn find_git() -> CliResult<Program> {
    Program::find("git", &environment::search_path()).map_err(|error| {
        CliError::from_source(ExitCode::Usage, "`git` is not on the search path", &error)
            .hint("install git 2.38 or newer")
    })
}

/// The named list that children get; the acting user travels to the update hook.
pub(crate) fn children(actor: Option<&str>) -> Environment {
    let mut list = Environment::new();
    for (name, value) in environment::for_children() {
        list.insert(name, value);
    }
    if let Some(actor) = actor {
        list.insert(environment::ACTOR.name, actor);
    }
    list
}

/// How `git` is run here: the local forge is a folder, so local transport is allowed.
pub(crate) fn git_options(children: &Environment) -> GitOptions {
    GitOptions {
        environment: children.clone(),
        deadline: GIT_DEADLINE,
        local_protocol: LocalProtocol::Allowed,
        interrupt: interruption::interrupt(),
        ..GitOptions::default()
    }
}

impl Context {
    /// Opens repository and forge.
    pub(crate) fn open(global: &GlobalArgs) -> CliResult<Self> {
        let local = Local::open(global)?;
        // The `git` program has judged the owner, by the user's own `safe.directory`.
        let superproject = Superproject::open_as(&global.repository, Ownership::Vouched).map_err(|error| {
            CliError::from_source(ExitCode::Repository, "the superproject cannot be opened", &error)
        })?;
        let origin = local.git.text(["config", "--get", "remote.origin.url"]).ok().map(|url| url.trim().to_owned());
        let (root, repository, remote) = locate_forge(global, &local, origin.as_deref())?;
        let home = root.join(&repository);
        let forge_git = Git::open(&local.git_program, &home, git_options(&local.children)).map_err(|error| {
            CliError::from_source(ExitCode::Repository, "the forge's repository cannot be opened", &error)
        })?;
        let clock = fixed_clock()?;
        let actor = match global.actor.as_deref() {
            Some(actor) => UserName::try_from(actor)
                .map_err(|error| CliError::from_source(ExitCode::Usage, "`--as` names no user", &error))?,
            None => the_bot(&root, &forge_git, &clock)?,
        };
        let forge =
            LocalForge::open(&root, forge_git, Some(actor.clone()), clock.of_the_forge()).map_err(forge_error)?;
        let actor = actor.to_string();
        let children = children(Some(&actor));
        let run_id = environment::read(environment::RUN_ID).unwrap_or_else(|| "local".to_owned());
        let attempt = environment::read(environment::RUN_ATTEMPT).and_then(|text| text.parse().ok()).unwrap_or(1);
        // Pushes name who acts: the forge's hook asks.
        let git = Git::open(&local.git_program, &global.repository, git_options(&children))
            .map_err(|error| git_error("the superproject cannot be opened", &error))?;
        let cache = global.cache.clone().unwrap_or_else(|| git.common_dir().join("orchestrator/cache"));
        Ok(Self {
            git,
            superproject,
            forge: Forge::Local(forge),
            remote,
            clock,
            run: RunIdentity { id: run_id, attempt, actor, nonce: Some(nonce()) },
            progress: Progress::new(global.format),
            children,
            git_program: local.git_program,
            cache,
            top: local.top,
            deadline: Instant::now() + global.deadline.unwrap_or(crate::arguments::DEADLINE),
        })
    }

    /// Fetches the forge's branches, tags and pull requests into refs of our own; the user's own refs stay as they are.
    pub(crate) fn sync(&self) -> CliResult<()> {
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
            .map_err(|error| git_error("the forge's branches cannot be fetched", &error))
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

    /// The commit that a revision names: a branch of the forge first, then its tags, then whatever git knows by that
    /// name. A full commit id is that commit, whatever branch is called like it.
    pub(crate) fn resolve(&self, revision: &str) -> CliResult<CommitId> {
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
                self.git.commit(&candidate).map_err(|error| git_error("the revision cannot be read", &error))?
            {
                return Ok(facts.id);
            }
        }
        Err(CliError::new(ExitCode::Repository, format!("`{revision}` names no commit"))
            .hint("give a branch of the forge, a tag or a full commit id"))
    }

    /// The newest commit of a branch of the forge; its objects are here.
    pub(crate) async fn branch_head(&self, branch: &str) -> CliResult<CommitId> {
        self.find_branch_head(branch)
            .await?
            .ok_or_else(|| CliError::new(ExitCode::Repository, format!("the forge has no branch `{branch}`")))
    }

    /// The same for a branch that need not be there.
    pub(crate) async fn find_branch_head(&self, branch: &str) -> CliResult<Option<CommitId>> {
        let name = branch_name(branch)?;
        let Some(head) = self.forge.branch_head(&name).await.map_err(forge_error)? else { return Ok(None) };
        let known = self.git.commit(head.as_str()).map_err(|error| git_error("history cannot be read", &error))?;
        if known.is_none() {
            // Pushed since the last look.
            self.sync()?;
        }
        Ok(Some(head))
    }

    /// Where the superproject's remote lies, for relative submodule URLs.
    pub(crate) fn remote_location(&self) -> String {
        match &self.remote {
            Remote::Itself => self.git.common_dir().to_string_lossy().into_owned(),
            Remote::Url(url) => url.clone(),
        }
    }

    /// The local forge, for the commands that act on it as people do.
    pub(crate) fn local_forge(&self) -> &LocalForge {
        match &self.forge {
            Forge::Local(local) => local,
        }
    }

    /// The time now, given the ledger's length.
    pub(crate) fn now(&self, records: u64) -> Timestamp {
        self.clock.now(records)
    }
}

/// Tells two processes apart whatever their ids: in containers every process is number one.
fn nonce() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    format!("{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

/// Who acts where nobody is named: the forge's only bot.
fn the_bot(root: &Path, git: &Git, clock: &Clock) -> CliResult<UserName> {
    let forge = LocalForge::open(root, git.clone(), None, clock.of_the_forge()).map_err(forge_error)?;
    let mut bots = forge.users().map_err(forge_error)?.into_iter().filter(|user| user.bot);
    match (bots.next(), bots.next()) {
        (Some(bot), None) => Ok(bot.name),
        (None, _) | (Some(_), Some(_)) => {
            Err(CliError::new(ExitCode::Usage, "the forge has not exactly one bot")
                .hint("say who acts with `--as USER`"))
        }
    }
}

/// A branch name as the forge takes it.
pub(crate) fn branch_name(text: &str) -> CliResult<BranchName> {
    BranchName::try_from(text).map_err(|error| CliError::from_source(ExitCode::Usage, "not a branch", &error))
}

/// The fixed clock of tests, or the machine's.
pub(crate) fn fixed_clock() -> CliResult<Clock> {
    let Some(text) = environment::read(environment::CLOCK) else { return Ok(Clock::new(None)) };
    let start = text.parse().map_err(|error| {
        CliError::from_source(ExitCode::Usage, format!("`{}` is no time", environment::CLOCK.name), &error)
    })?;
    Ok(Clock::new(Some(start)))
}

/// Where the local forge lies: named, or beside the repository, or where `origin` is.
fn locate_forge(global: &GlobalArgs, local: &Local, origin: Option<&str>) -> CliResult<(PathBuf, String, Remote)> {
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
    let named = global.forge.as_ref().map(|root| {
        let from_origin = origin_path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        // Git starts in the repository's folder, where a relative path would lead elsewhere.
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        (root, from_origin.unwrap_or("shop.git").to_owned())
    });
    let found = named
        .or_else(|| local.git.work_tree().is_none().then(|| beside(&bare)).flatten())
        .or_else(|| origin_path.as_deref().and_then(beside));
    let Some((root, repository)) = found else {
        return Err(CliError::new(ExitCode::Usage, "there is no local forge for this repository").hint(
            "make one with `orchestrator forge init`, clone the superproject from beside it, or name it with `--forge DIR`",
        ));
    };
    let home = root.join(&repository);
    let same = home.canonicalize().ok().is_some_and(|home| bare.canonicalize().ok() == Some(home));
    let remote = if same { Remote::Itself } else { Remote::Url(home.to_string_lossy().into_owned()) };
    Ok((root, repository, remote))
}

/// An error of the `git` program with its code.
pub(crate) fn git_error(context: &str, error: &git::GitError) -> CliError {
    let code = crate::error::code_of(error.class(), ExitCode::Repository, ExitCode::Repository);
    CliError::from_source(code, context, error)
}

/// An error of the forge with its code.
#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
pub(crate) fn forge_error(error: forge::ForgeError) -> CliError {
    let code = crate::error::code_of(error.class(), ExitCode::Repository, ExitCode::Usage);
    CliError::from_source(code, "the forge did not do what it was asked", &error)
}
