//! Where the local forge of a repository lies.

use std::path::{Path, PathBuf};

use forge::local::{self, LocalForge};
use git::Git;
use lock_model::Timestamp;

use crate::context::{Local, Surroundings, git_error, git_options};
use crate::error::{Error, ErrorKind, Result};

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

/// Where a local forge lies.
pub(crate) struct FoundForge {
    /// The folder that holds repository and forge.
    pub(crate) root: PathBuf,
    /// The repository's name in it.
    pub(crate) repository: String,
    pub(crate) remote: Remote,
}

/// The error of a call that cannot do without a forge.
pub(crate) fn no_forge() -> Error {
    Error::new(ErrorKind::Usage, "there is no local forge for this repository")
        .hint("make one with `orchestrator forge init`, clone the superproject from beside it, or name it with `--forge DIR`")
        .hint("`lock generate`, `lock check`, `images explain` and `plan` work without a forge")
}

/// Where the local forge lies: named, or beside the repository, or where `origin` is.
pub(crate) fn locate_forge(forge: Option<&Path>, local: &Local) -> Option<FoundForge> {
    let bare = local.git.common_dir().to_path_buf();
    let beside = |repository: &Path| -> Option<(PathBuf, String)> {
        let root = repository.parent()?;
        let name = repository.file_name()?.to_str()?.to_owned();
        root.join("forge").is_dir().then(|| (root.to_path_buf(), name))
    };
    let origin_path = local.origin().map(|url| {
        let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
        if path.is_absolute() { path.to_path_buf() } else { local.top.join(path) }
    });
    let named = forge.map(|root| {
        let from_origin = origin_path.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        // Git starts in the repository's folder, where a relative path would lead elsewhere.
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        (root, from_origin.unwrap_or("shop.git").to_owned())
    });
    let (root, repository) = named
        .or_else(|| local.git.work_tree().is_none().then(|| beside(&bare)).flatten())
        .or_else(|| origin_path.as_deref().and_then(beside))?;
    let home = root.join(&repository);
    let same = home.canonicalize().ok().is_some_and(|home| bare.canonicalize().ok() == Some(home));
    let remote = if same { Remote::Itself } else { Remote::Url(home.to_string_lossy().into_owned()) };
    Some(FoundForge { root, repository, remote })
}

/// Refuses a folder that was named and is no forge's.
pub(crate) fn holds_forge(root: &Path) -> Result<()> {
    if root.join("forge").is_dir() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("`{}` has no folder `forge/`, so no local forge is there", root.display()),
    )
    .hint("name the folder that has it beside the repository: `--forge DIR`, or `ORCHESTRATOR_FORGE`"))
}

/// The local forge of a repository, for who only looks at it; `None` where none is named and none is found.
pub(crate) fn find_forge(
    repository: &Path,
    forge: Option<&Path>,
    surroundings: &Surroundings,
) -> Result<Option<LocalForge>> {
    let open = || -> Result<LocalForge> {
        let local = Local::open(repository, surroundings)?;
        let FoundForge { root, repository, remote: _ } = locate_forge(forge, &local).ok_or_else(no_forge)?;
        holds_forge(&root)?;
        let git = Git::open(&local.git_program, &root.join(repository), git_options(surroundings, None))
            .map_err(|error| git_error("the forge's repository cannot be opened", error))?;
        reader(&root, &git)
    };
    match open() {
        Ok(found) => Ok(Some(found)),
        Err(error) if forge.is_some() => Err(error),
        Err(_) => Ok(None),
    }
}

/// A local forge for nobody in particular, which only reads.
pub(crate) fn reader(root: &Path, git: &Git) -> Result<LocalForge> {
    // Nothing that carries a time is written.
    Ok(LocalForge::open(root, git.clone(), None, local::Clock::fixed(Timestamp::from_unix_seconds(0)))?)
}
