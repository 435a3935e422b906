//! The folder that holds a rendered tree: swapped as a whole, never changed file by file.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::detail::RenderPlan;
use super::tree::RenderedTree;
use crate::error::DeployError;
use crate::problem::escaped;
use crate::request::OccupiedPlace;

/// A folder below a trusted one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderFolder {
    /// The folder that is taken as it is: the top of a work tree.
    pub top: PathBuf,
    /// The way from there, `/`-separated. No part of it may be a symbolic link.
    pub path: String,
}

impl RenderFolder {
    /// The folder `path` below `top`; whether it can be used is judged when it is read or written.
    pub fn new(top: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        Self { top: top.into(), path: path.into() }
    }

    pub(super) fn subject(&self) -> String {
        subject(&self.top.join(&self.path))
    }

    /// Reads what the folder holds; nothing where there is none. Blocks.
    pub fn read(&self) -> Result<Option<RenderedTree>, DeployError> {
        let full = self.checked_path()?;
        let swap = Swap { folder: &full };
        match fs::symlink_metadata(&full) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(swap.io("look at", &full, error)),
            Ok(metadata) if !metadata.is_dir() => return Err(swap.unusable("it is not a folder")),
            Ok(_) => {}
        }
        let mut tree = RenderedTree::default();
        swap.read_into(&full, "", &mut tree)?;
        tree.irregular.sort();
        Ok(Some(tree))
    }

    /// Every part below the top is a real folder, or not there yet.
    fn checked_path(&self) -> Result<PathBuf, DeployError> {
        let refuse = |reason: String| DeployError::Unusable { subject: self.subject(), reason };
        let mut path = self.top.clone();
        for part in self.path.split('/') {
            if matches!(part, "" | "." | "..") || lock_model::is_git_folder(part) {
                return Err(refuse(format!("`{}` is no way below the top", escaped(&self.path))));
            }
            path.push(part);
            if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
                return Err(refuse(format!("`{}` is a symbolic link", path.display())));
            }
        }
        Ok(path)
    }

    /// Makes the folder hold the plan's files; says whether anything was done.
    pub(super) fn swap(&self, plan: &RenderPlan) -> Result<bool, DeployError> {
        let files = &plan.tree.files;
        let full = self.checked_path()?;
        let swap = Swap { folder: &full };
        let fresh = swap.beside("orchestrator-new")?;
        let gone = swap.beside("orchestrator-old")?;
        // What a killed run left behind.
        for stale in [&fresh, &gone] {
            swap.remove(stale)?;
        }
        let current = self.read()?;
        if let Some(current) = &current {
            if current.holds(files) {
                return Ok(false);
            }
            match (current.occupant(&plan.environment), plan.occupied) {
                (None, _) | (Some(_), OccupiedPlace::TakeOver) => {}
                (Some(occupant), OccupiedPlace::Refuse) => return Err(swap.unusable(&format!("it holds {occupant}"))),
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
}

fn subject(folder: &Path) -> String {
    format!("folder `{}`", folder.display())
}

struct Swap<'a> {
    folder: &'a Path,
}

impl Swap<'_> {
    fn io(&self, action: &str, path: &Path, source: std::io::Error) -> DeployError {
        DeployError::Failed {
            subject: subject(self.folder),
            action: format!("{action} `{}`", path.display()),
            class: ErrorClass::of_io(&source, ErrorClass::Invalid),
            source: Box::new(source),
        }
    }

    fn unusable(&self, reason: &str) -> DeployError {
        DeployError::Unusable { subject: subject(self.folder), reason: reason.to_owned() }
    }

    /// `.NAME.SUFFIX` in the same parent, so that a rename stays in one file system.
    fn beside(&self, suffix: &str) -> Result<PathBuf, DeployError> {
        let name = self.folder.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| self.unusable("its name is not UTF-8"))?;
        Ok(self.folder.with_file_name(format!(".{name}.{suffix}")))
    }

    fn remove(&self, path: &Path) -> Result<(), DeployError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.io("look at", path, error)),
            Ok(metadata) if metadata.is_dir() => {
                fs::remove_dir_all(path).map_err(|error| self.io("remove", path, error))
            }
            Ok(_) => fs::remove_file(path).map_err(|error| self.io("remove", path, error)),
        }
    }

    fn write(&self, fresh: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), DeployError> {
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

    fn sync(&self, folder: &Path) -> Result<(), DeployError> {
        File::open(folder).and_then(|open| open.sync_all()).map_err(|error| self.io("sync", folder, error))
    }

    /// Trades the folder for the fresh one in one step, where the file system can; else in two.
    fn exchange(&self, fresh: &Path, gone: &Path) -> Result<(), DeployError> {
        match rustix::fs::renameat_with(CWD, fresh, CWD, self.folder, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::rename(self.folder, gone).map_err(|error| self.io("rename", self.folder, error))?;
                fs::rename(fresh, self.folder).map_err(|error| self.io("rename", fresh, error))
            }
            Err(error) => Err(self.io("rename", fresh, error.into())),
        }
    }

    fn read_into(&self, folder: &Path, prefix: &str, tree: &mut RenderedTree) -> Result<(), DeployError> {
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
