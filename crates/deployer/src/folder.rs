//! The folder that holds a rendered tree: swapped as a whole, never changed file by file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::apply::RenderFolder;
use crate::record::{RELEASE_FILE, ReleaseRecord};
use crate::tree::RenderedTree;

/// Why a folder could not be swapped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Reading or writing failed.
    #[error("folder `{}`: cannot {action} `{}`", folder.display(), path.display())]
    Io {
        /// The folder that was to be swapped.
        folder: PathBuf,
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The way to the folder leads through a symbolic link, or out of its top.
    #[error("folder `{}` is not used: {why}", folder.display())]
    Path {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What is there was not rendered by us, and would be lost.
    #[error("folder `{}` holds files that were not rendered: it has no readable `release.yaml`", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
}

impl FolderError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Io { .. } | Self::Path { .. } | Self::NotOurs { .. } => ErrorClass::Invalid,
        }
    }
}

impl RenderFolder {
    /// The whole path.
    pub fn full_path(&self) -> PathBuf {
        self.top.join(&self.path)
    }

    /// Reads what the folder holds; nothing where there is none.
    pub fn read(&self) -> Result<Option<RenderedTree>, FolderError> {
        let full = self.checked_path()?;
        let swap = Swap { folder: &full };
        match fs::symlink_metadata(&full) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(swap.io("look at", &full, error)),
            Ok(metadata) if !metadata.is_dir() => {
                return Err(FolderError::Path { folder: full, why: "it is not a folder".to_owned() });
            }
            Ok(_) => {}
        }
        let mut tree = RenderedTree::default();
        swap.read_into(&full, "", &mut tree)?;
        tree.irregular.sort();
        Ok(Some(tree))
    }

    /// Every part below the top is a real folder, or not there yet.
    fn checked_path(&self) -> Result<PathBuf, FolderError> {
        let refuse = |why: String| FolderError::Path { folder: self.full_path(), why };
        let mut path = self.top.clone();
        for part in self.path.split('/') {
            if matches!(part, "" | "." | "..") || part.eq_ignore_ascii_case(".git") {
                return Err(refuse(format!("`{}` is no way below the top", crate::problem::shown(&self.path))));
            }
            path.push(part);
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
                return Err(refuse(format!("`{}` is a symbolic link", path.display())));
            }
        }
        Ok(path)
    }
}

/// Makes the folder hold these files; says whether anything was done.
pub(crate) fn swap(folder: &RenderFolder, files: &BTreeMap<String, Vec<u8>>) -> Result<bool, FolderError> {
    let full = folder.checked_path()?;
    let swap = Swap { folder: &full };
    let fresh = swap.beside("orchestrator-new")?;
    let gone = swap.beside("orchestrator-old")?;
    // What a killed run left behind.
    for stale in [&fresh, &gone] {
        swap.remove(stale)?;
    }
    let current = folder.read()?;
    if let Some(current) = &current {
        if current.files == *files && current.irregular.is_empty() {
            return Ok(false);
        }
        let is_ours = current.files.get(RELEASE_FILE).is_some_and(|bytes| ReleaseRecord::read(bytes).is_some());
        let is_empty = current.files.is_empty() && current.irregular.is_empty();
        if !is_ours && !is_empty {
            return Err(FolderError::NotOurs { folder: full });
        }
    }
    let parent = full.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(|error| swap.io("create", parent, error))?;
    swap.write(&fresh, files)?;
    if current.is_some() {
        swap.exchange(&fresh, &gone)?;
    } else {
        fs::rename(&fresh, &full).map_err(|error| swap.io("rename", &fresh, error))?;
    }
    swap.sync(parent)?;
    swap.remove(&fresh)?;
    swap.remove(&gone)?;
    Ok(true)
}

struct Swap<'a> {
    folder: &'a Path,
}

impl Swap<'_> {
    fn io(&self, action: &'static str, path: &Path, source: std::io::Error) -> FolderError {
        FolderError::Io { folder: self.folder.to_owned(), action, path: path.to_owned(), source }
    }

    /// `.NAME.SUFFIX` in the same parent, so that a rename stays in one file system.
    fn beside(&self, suffix: &str) -> Result<PathBuf, FolderError> {
        let name = self.folder.file_name().and_then(|name| name.to_str()).ok_or_else(|| FolderError::Path {
            folder: self.folder.to_owned(),
            why: "its name is not UTF-8".to_owned(),
        })?;
        Ok(self.folder.with_file_name(format!(".{name}.{suffix}")))
    }

    fn remove(&self, path: &Path) -> Result<(), FolderError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io("look at", path, error)),
            Ok(metadata) if metadata.is_dir() => {
                fs::remove_dir_all(path).map_err(|error| self.io("remove", path, error))
            }
            Ok(_) => fs::remove_file(path).map_err(|error| self.io("remove", path, error)),
        }
    }

    fn write(&self, fresh: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), FolderError> {
        fs::create_dir(fresh).map_err(|error| self.io("create", fresh, error))?;
        let mut folders = vec![fresh.to_owned()];
        for (path, bytes) in files {
            let file = fresh.join(path);
            let parent = file.parent().unwrap_or(fresh);
            fs::create_dir_all(parent).map_err(|error| self.io("create", parent, error))?;
            folders.extend(parent.ancestors().take_while(|folder| *folder != fresh).map(Path::to_owned));
            let mut open = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&file)
                .map_err(|error| self.io("create", &file, error))?;
            open.write_all(bytes).map_err(|error| self.io("write", &file, error))?;
            open.sync_all().map_err(|error| self.io("write", &file, error))?;
        }
        folders.sort();
        folders.dedup();
        folders.iter().rev().try_for_each(|folder| self.sync(folder))
    }

    fn sync(&self, folder: &Path) -> Result<(), FolderError> {
        File::open(folder).and_then(|open| open.sync_all()).map_err(|error| self.io("sync", folder, error))
    }

    /// Trades the folder for the fresh one in one step, where the file system can; else in two.
    fn exchange(&self, fresh: &Path, gone: &Path) -> Result<(), FolderError> {
        match rustix::fs::renameat_with(CWD, fresh, CWD, self.folder, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::rename(self.folder, gone).map_err(|error| self.io("rename", self.folder, error))?;
                fs::rename(fresh, self.folder).map_err(|error| self.io("rename", fresh, error))
            }
            Err(error) => Err(self.io("rename", fresh, error.into())),
        }
    }

    fn read_into(&self, folder: &Path, prefix: &str, tree: &mut RenderedTree) -> Result<(), FolderError> {
        let entries = fs::read_dir(folder).map_err(|error| self.io("read", folder, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| self.io("read", folder, error))?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                tree.irregular.push(format!("{prefix}{}", name.to_string_lossy()));
                continue;
            };
            let kind = entry.file_type().map_err(|error| self.io("look at", &path, error))?;
            let shown = format!("{prefix}{name}");
            if kind.is_dir() {
                self.read_into(&path, &format!("{shown}/"), tree)?;
            } else if kind.is_file() {
                let bytes = fs::read(&path).map_err(|error| self.io("read", &path, error))?;
                tree.files.insert(shown, bytes);
            } else {
                tree.irregular.push(shown);
            }
        }
        Ok(())
    }
}
