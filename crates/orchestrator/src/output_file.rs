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

/// What [`write_output`] does about folders that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingFolders {
    /// They are made.
    Make,
    /// They are an error.
    Refuse,
}

/// Writes a file: old or new, never a mix.
///
/// No part of the path below `work_tree` may be a symbolic link, nor any part of a relative path, nor the file itself;
/// the folders on the way to a work tree, or of another absolute path, are the caller's own.
///
/// # Errors
///
/// [`ErrorKind::Usage`] for a link, a folder or device in its place, and a missing folder; [`ErrorKind::Storage`] where the
/// disk is full, read-only or not to be written to.
pub fn write_output(work_tree: Option<&Path>, path: &Path, bytes: &[u8], missing: MissingFolders) -> Result<()> {
    let output = Output { path, missing };
    let name = path.file_name().ok_or_else(|| output.refused("names no file"))?;
    let folder = output.folder(work_tree)?;
    match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(output.refused("is a symbolic link, and no output follows one")),
            _ => return Err(output.refused("is there already and is no file")),
        },
        Err(Errno::NOENT) => {}
        Err(error) => return Err(output.failed(error)),
    }
    let beside = hidden(name);
    let written = replace(&folder, &beside, name, bytes);
    if written.is_err() {
        let _nothing_to_remove = rustix::fs::unlinkat(&folder, &beside, AtFlags::empty());
    }
    written.map_err(|error| output.failed(error))
}

/// The name of the file that is renamed once it is whole.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.tmp", std::process::id()));
    hidden
}

fn replace(folder: &OwnedFd, beside: &OsStr, name: &OsStr, bytes: &[u8]) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, beside, flags, Mode::from_raw_mode(0o666));
    let file = match open() {
        // Of an earlier process with this one's number.
        Err(Errno::EXIST) => {
            rustix::fs::unlinkat(folder, beside, AtFlags::empty())?;
            open()?
        }
        opened => opened?,
    };
    let mut file = File::from(file);
    file.write_all(bytes)?;
    file.sync_all()?;
    rustix::fs::renameat(folder, beside, folder, name)?;
    rustix::fs::fsync(folder)?;
    Ok(())
}

/// One file that is to be written.
struct Output<'a> {
    path: &'a Path,
    missing: MissingFolders,
}

impl Output<'_> {
    /// Opens the folder of the file, part by part.
    fn folder(&self, work_tree: Option<&Path>) -> Result<OwnedFd> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let below = work_tree.and_then(|top| Some((top, folder.strip_prefix(top).ok()?)));
        let (start, parts) = match below {
            Some((top, parts)) => (top, parts),
            None if folder.is_absolute() => {
                if self.missing == MissingFolders::Make {
                    std::fs::create_dir_all(folder).map_err(|error| self.failed(error))?;
                }
                (folder, Path::new(""))
            }
            None => (Path::new("."), folder),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut opened = rustix::fs::openat(CWD, start, flags, Mode::empty()).map_err(|error| self.failed(error))?;
        for part in parts.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => continue,
            };
            opened = self.next(&opened, name)?;
        }
        Ok(opened)
    }

    fn next(&self, folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(folder.as_fd(), name, flags, Mode::empty());
        match open() {
            Err(Errno::NOENT) if self.missing == MissingFolders::Make => {
                match rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(self.failed(error)),
                }
                open().map_err(|error| self.failed(error))
            }
            Err(Errno::LOOP | Errno::NOTDIR) => Err(self.refused(&format!(
                "leads over `{}`, which is a symbolic link or no folder, and no output follows a link",
                name.display()
            ))),
            opened => opened.map_err(|error| self.failed(error)),
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(ErrorKind::Usage, format!("`{}` {why}", self.path.display()))
            .hint("nothing was written: remove it, or name another file")
    }

    fn failed(&self, error: impl Into<std::io::Error>) -> Error {
        storage(ErrorKind::Usage, format!("`{}` cannot be written", self.path.display()), error.into())
    }
}
