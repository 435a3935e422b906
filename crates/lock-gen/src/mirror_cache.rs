//! A cache of bare repositories, one for each remote, with its commits and without files.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use git::{Git, GitError, GitErrorKind, GitOptions, InitOptions, ObjectFormat};
use lock_model::escaping::mask_address;
use lock_model::{CommitId, Digest, ErrorClass};
use process::Program;

use crate::HistoryError;
use crate::objects::Objects;
use crate::url::shown;

/// Below it lie the remote's branches and tags, as `heads/…` and `tags/…`: what is reachable from there is published.
const PUBLISHED: &str = "refs/orchestrator/on/";
/// How the repositories end that hold the commits of a remote's branches.
const COMMITS: &str = "-commits.git";
/// The time between two looks at a repository that another process uses.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The folder of the repositories, and the git that fills them.
#[derive(Clone, Debug)]
pub(crate) struct MirrorCache {
    pub(crate) program: Program,
    pub(crate) options: GitOptions,
    pub(crate) folder: PathBuf,
}

/// The commits of one remote. No other process uses the repository as long as this exists.
#[derive(Debug)]
pub(crate) struct Mirror {
    git: Git,
    init: InitOptions,
    url: String,
    fresh: bool,
    _lock: File,
}

pub(crate) fn object_format(commit: &CommitId) -> ObjectFormat {
    if commit.as_str().len() == 64 { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 }
}

/// The repository in a folder, if it belongs to the user of this process.
pub(crate) fn open_owned(folder: &Path) -> Option<Objects> {
    Objects::open(folder).ok().filter(Objects::is_ours)
}

impl MirrorCache {
    pub(crate) fn new(program: &Program, options: GitOptions, folder: &Path) -> Self {
        Self { program: program.clone(), options, folder: folder.to_owned() }
    }

    /// Where a repository of a remote lies: one for each hash function and purpose.
    pub(crate) fn folder_for(&self, url: &str, format: ObjectFormat, ending: &str) -> PathBuf {
        // A token in the address may be another one in each job.
        let web = url.starts_with("http").then(|| mask_address(url));
        let digest = Digest::of(web.as_deref().unwrap_or(url).as_bytes());
        let (short, _) = digest.hex().split_at(32);
        let format = if format == ObjectFormat::Sha256 { "-sha256" } else { "" };
        self.folder.join(format!("{short}{format}{ending}"))
    }

    /// The objects that earlier runs fetched, without asking the remote.
    pub(crate) fn at_hand(&self, url: &str, format: ObjectFormat) -> Option<Objects> {
        open_owned(&self.folder_for(url, format, COMMITS))
    }

    /// Opens the repository of a remote and locks it; makes it when there is none.
    pub(crate) fn open(&self, url: &str, format: ObjectFormat) -> Result<Mirror, HistoryError> {
        let folder = self.folder_for(url, format, COMMITS);
        // It is the same for all remotes, and said once of all.
        std::fs::create_dir_all(&self.folder).map_err(|error| HistoryError::cache(&self.folder, error))?;
        let lock = self.lock(&folder)?;
        let init = InitOptions { format, ..InitOptions::default() };
        let fresh = !folder.exists();
        let git = match Git::init(&self.program, &folder, &init, self.options.clone()) {
            Err(error) if !fresh && is_damage(&error) => {
                std::fs::remove_dir_all(&folder).map_err(|error| HistoryError::cache(&folder, error))?;
                Git::init(&self.program, &folder, &init, self.options.clone())
            }
            answer => answer,
        }
        .map_err(|error| HistoryError::cache(&folder, error))?;
        Ok(Mirror { git, init, url: url.to_owned(), fresh, _lock: lock })
    }

    /// The system releases the lock when this process ends. It is a file of its own, because the folder may be made anew.
    fn lock(&self, folder: &Path) -> Result<File, HistoryError> {
        let unusable = |error: std::io::Error| HistoryError::cache(&self.folder, error);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.with_extension("lock"))
            .map_err(unusable)?;
        let end = Instant::now() + self.options.deadline;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
                Err(TryLockError::WouldBlock) => {
                    if Instant::now() >= end || self.options.interrupt.is_requested() {
                        return Err(HistoryError::Busy { folder: folder.to_owned() });
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }
}

/// Whether the repository is to blame and not the remote: an earlier run was killed while it wrote, or the disk lost data.
fn is_damage(error: &GitError) -> bool {
    match error.kind() {
        GitErrorKind::NotARepository => true,
        GitErrorKind::Remote | GitErrorKind::Process => error.class() == ErrorClass::Invalid,
        _ => false,
    }
}

impl Mirror {
    pub(crate) fn objects(&self) -> Result<Objects, HistoryError> {
        Objects::open(self.git.git_dir()).map_err(|error| HistoryError::cache(self.git.git_dir(), error))
    }

    pub(crate) fn remote_error(&self, error: GitError) -> HistoryError {
        HistoryError::Remote { url: shown(&self.url), source: Arc::new(error) }
    }

    /// The branches and tags that the remote has now: full names, and the commits that they point to.
    pub(crate) fn list(&self) -> Result<Vec<(String, String)>, HistoryError> {
        let listed = self.git.remote_branches_and_tags(&self.url).map_err(|error| self.remote_error(error))?;
        Ok(listed.into_iter().map(|one| (one.name, one.peeled.unwrap_or(one.id))).collect())
    }

    /// Brings the commits of these refs (full names, or patterns with one `*`), and forgets those that are gone.
    /// `listed` is what the remote has: names, and what they point to.
    pub(crate) fn bring(&mut self, refs: &[String], listed: &[(String, String)]) -> Result<(), HistoryError> {
        let refspecs = refs.iter().filter_map(|name| {
            let published = name.strip_prefix("refs/")?;
            Some(format!("+{name}:{PUBLISHED}{published}"))
        });
        let mut refspecs: Vec<String> = refspecs.collect();
        loop {
            let all: Vec<&str> = refspecs.iter().map(String::as_str).collect();
            let error = match self.git.fetch_commits(&self.url, &all) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // A tag of a tree or file: git asks for it, is not given it, and gives up. No commit is reachable from it.
            let odd = error.unsent_object().map_or_else(Vec::new, |id| {
                let odd = listed.iter().filter(|(_, target)| *target == id).map(|(name, _)| format!("^{name}"));
                odd.filter(|exclusion| !refspecs.contains(exclusion)).collect()
            });
            if !odd.is_empty() {
                refspecs.extend(odd);
            } else if !self.fresh && is_damage(&error) {
                self.start_anew()?;
            } else {
                return Err(self.remote_error(error));
            }
        }
    }

    fn start_anew(&mut self) -> Result<(), HistoryError> {
        let folder = self.git.git_dir().to_owned();
        std::fs::remove_dir_all(&folder).map_err(|error| HistoryError::cache(&folder, error))?;
        let (program, options) = (self.git.program().clone(), self.git.options().clone());
        self.git =
            Git::init(&program, &folder, &self.init, options).map_err(|error| HistoryError::cache(&folder, error))?;
        self.fresh = true;
        Ok(())
    }

    /// Brings one commit by its id, and says whether the remote gave it out. That proves nothing about branches.
    pub(crate) fn bring_commit(&self, commit: &CommitId) -> Result<bool, HistoryError> {
        match self.git.fetch_commits(&self.url, &[commit.as_str()]) {
            Ok(()) => Ok(true),
            Err(error) if error.is_unknown_object() => Ok(false),
            Err(error) => Err(self.remote_error(error)),
        }
    }

    /// Full names of the remote's refs, as they were last brought, from which the commit can be reached.
    pub(crate) fn containing(&self, commit: &CommitId) -> Result<Vec<String>, HistoryError> {
        let names = self.git.refs_containing(commit, PUBLISHED).map_err(|error| self.remote_error(error))?;
        Ok(names.iter().filter_map(|name| Some(format!("refs/{}", name.strip_prefix(PUBLISHED)?))).collect())
    }
}
