//! Files that a caller asks for: written whole or not at all, and never through a symbolic link.
//!
//! A work tree holds what a pull request brought, so that a link in it may lead anywhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::path::{Component, Path};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result, storage};

/// Writes a file: old or new, never a mix. Folders that are missing on the way are made.
///
/// No part of the path below `work_tree` may be a symbolic link, nor any part of a relative path, nor the file itself;
/// the folders on the way to a work tree, or of another absolute path, are the caller's own.
///
/// # Errors
///
/// [`ErrorKind::Usage`] for a link, and for a folder or device in its place; [`ErrorKind::Storage`] where the disk is full,
/// read-only or not to be written to.
pub fn write_output(work_tree: Option<&Path>, path: &Path, bytes: &[u8]) -> Result<()> {
    let output = Output(path);
    let name = output.name()?;
    let Folder { opened: folder, is_whole: _ } = output.folder(work_tree, Walk::Make)?;
    output.may_stand(&folder, name)?;
    let beside = hidden(name);
    let written = replace(&folder, &beside, name, bytes);
    if written.is_err() {
        let _nothing_to_remove = rustix::fs::unlinkat(&folder, &beside, AtFlags::empty());
    }
    written.map_err(|error| output.failed(error))
}

/// Refuses what [`write_output`] would refuse later, before there is anything to write: makes no folder, and leaves no
/// file.
///
/// # Errors
///
/// As [`write_output`].
pub fn check_output(work_tree: Option<&Path>, path: &Path) -> Result<()> {
    let output = Output(path);
    let name = output.name()?;
    let Folder { opened: folder, is_whole } = output.folder(work_tree, Walk::Look)?;
    if is_whole {
        output.may_stand(&folder, name)?;
    }
    // Not even the permissions say what a file system takes.
    let beside = hidden(name);
    create(&folder, &beside).map_err(|error| output.failed(error))?;
    rustix::fs::unlinkat(&folder, &beside, AtFlags::empty()).map_err(|error| output.failed(error))
}

/// The name of the file that is renamed once it is whole.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    hidden
}

fn replace(folder: &OwnedFd, beside: &OsStr, name: &OsStr, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::from(create(folder, beside)?);
    file.write_all(bytes)?;
    file.sync_all()?;
    rustix::fs::renameat(folder, beside, folder, name)?;
    rustix::fs::fsync(folder)?;
    Ok(())
}

fn open(folder: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn create(folder: &OwnedFd, beside: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, beside, flags, Mode::from_raw_mode(0o666));
    match open() {
        // Of an earlier process with this one's number.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, beside, AtFlags::empty())?;
            open()
        }
        opened => opened,
    }
}

/// What happens on the way to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Walk {
    /// Folders that are missing are made.
    Make,
    /// The way ends at a folder that would be made.
    Look,
}

/// The folder that a way leads to.
struct Folder {
    opened: OwnedFd,
    /// Whether it is the file's own; otherwise the rest of the way is still to be made.
    is_whole: bool,
}

/// One file that is to be written.
struct Output<'a>(&'a Path);

impl Output<'_> {
    fn name(&self) -> Result<&OsStr> {
        self.0.file_name().ok_or_else(|| self.refused("names no file"))
    }

    /// Opens the folder of the file, part by part.
    fn folder(&self, work_tree: Option<&Path>, walk: Walk) -> Result<Folder> {
        let folder = self.0.parent().unwrap_or(Path::new(""));
        let below = work_tree.and_then(|top| Some((top, folder.strip_prefix(top).ok()?)));
        let (start, parts) = match below {
            Some((top, parts)) => (top, parts),
            None if folder.is_absolute() => return self.own_folder(folder, walk),
            None => (Path::new("."), folder),
        };
        let mut opened = open(start).map_err(|error| self.failed(error))?;
        for part in parts.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
            };
            match self.next(&opened, name, walk)? {
                Some(next) => opened = next,
                None => return Ok(Folder { opened, is_whole: false }),
            }
        }
        Ok(Folder { opened, is_whole: true })
    }

    /// A folder outside of a work tree, in which links are the caller's own.
    fn own_folder(&self, folder: &Path, walk: Walk) -> Result<Folder> {
        let there = match walk {
            Walk::Make => {
                std::fs::create_dir_all(folder).map_err(|error| self.failed(error))?;
                folder
            }
            Walk::Look => folder.ancestors().find(|part| part.exists()).unwrap_or(folder),
        };
        let opened = open(there).map_err(|error| self.failed(error))?;
        Ok(Folder { opened, is_whole: there == folder })
    }

    /// The next folder on the way; `None` where it would have to be made.
    fn next(&self, folder: &OwnedFd, name: &OsStr, walk: Walk) -> Result<Option<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty());
        let opened = match (open(), walk) {
            (Err(Errno::NOENT), Walk::Look) => return Ok(None),
            (Err(Errno::NOENT), Walk::Make) => match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            },
            (Err(Errno::LOOP | Errno::NOTDIR), _) => {
                return Err(self.refused(&format!(
                    "leads over `{}`, which is a symbolic link or no folder, and no output follows a link",
                    name.display()
                )));
            }
            (opened, _) => opened,
        };
        opened.map(Some).map_err(|error| self.failed(error))
    }

    /// Refuses what is there already and is no file.
    fn may_stand(&self, folder: &OwnedFd, name: &OsStr) -> Result<()> {
        match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => Ok(()),
                FileType::Symlink => Err(self.refused("is a symbolic link, and no output follows one")),
                _ => Err(self.refused("is there already and is no file")),
            },
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("`{}` {why}", self.0.display()))
            .hint("nothing was written: remove it, or name another file")
    }

    fn failed(&self, error: impl Into<std::io::Error>) -> Error {
        storage(ErrorKind::Usage, format!("`{}` cannot be written", self.0.display()), error.into())
    }
}
