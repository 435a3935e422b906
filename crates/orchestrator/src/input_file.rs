//! Files that an argument, a variable or the configuration names: nothing else opens them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind};

/// What to do about a file that this user may not read.
pub(crate) const UNREADABLE: &str =
    "let the user who runs this command read it, and go through the folders that lead there";

/// As much as is read of a file, in bytes: more than any lock or plan has.
const SIZE_LIMIT: u64 = 64 << 20;

/// Reads a file of at most 64 MiB. A pipe, a socket, a device or a folder is an error and not waited for:
/// nothing writes to it perhaps.
pub fn read_input(path: &Path) -> io::Result<Vec<u8>> {
    read_opened(open(path)?, SIZE_LIMIT)
}

/// Opens a file, and only that.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(Errno::NXIO) => return Err(no_file(FileType::Socket)),
        Err(error) => return Err(error.into()),
    };
    // What was opened is judged, so that it cannot be exchanged in between.
    match FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode) {
        FileType::RegularFile => Ok(opened),
        other => Err(no_file(other)),
    }
}

/// Reads what [`open`] gave.
pub(crate) fn read_opened(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is larger than {most} bytes")));
    }
    Ok(bytes)
}

fn no_file(found: FileType) -> io::Error {
    let (kind, what) = match found {
        FileType::Directory => (io::ErrorKind::IsADirectory, "a folder"),
        FileType::Fifo => (io::ErrorKind::InvalidInput, "a pipe"),
        FileType::Socket => (io::ErrorKind::InvalidInput, "a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => (io::ErrorKind::InvalidInput, "a device"),
        FileType::RegularFile | FileType::Symlink | FileType::Unknown => {
            (io::ErrorKind::InvalidInput, "something else")
        }
    };
    io::Error::new(kind, format!("it is {what} and no file"))
}

/// The error about a file that cannot be read: [`ErrorKind::Storage`] where a permission is the reason, else `otherwise`.
pub fn unreadable(otherwise: ErrorKind, context: impl Into<String>, error: io::Error) -> Error {
    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
    let kind = if is_denied { ErrorKind::Storage } else { otherwise };
    let error = Error::from_source(kind, context, error);
    if is_denied { error.hint(UNREADABLE) } else { error }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_no_file_is_told_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::from_raw_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(at("pipe"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("round"), at("round")).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(read_input(&at("file")).unwrap(), b"text");
        let cut = read_opened(open(&at("file")).unwrap(), 3).unwrap_err();
        assert_eq!(cut.to_string(), "it is larger than 3 bytes");
        for (path, expected) in [
            (at("pipe"), "it is a pipe and no file"),
            (at("link"), "it is a pipe and no file"),
            (at("socket"), "it is a socket and no file"),
            (folder.path().to_owned(), "it is a folder and no file"),
            ("/dev/zero".into(), "it is a device and no file"),
        ] {
            let error = read_input(&path).unwrap_err();
            assert_eq!(error.to_string(), expected, "{}", path.display());
            assert_eq!(unreadable(ErrorKind::Usage, "x", error).kind(), ErrorKind::Usage, "{}", path.display());
        }
        let denied = unreadable(ErrorKind::Usage, "x", io::ErrorKind::PermissionDenied.into());
        assert_eq!((denied.kind(), denied.hints()), (ErrorKind::Storage, [UNREADABLE.to_owned()].as_slice()));
        let circle = read_input(&at("round")).unwrap_err();
        assert_eq!(unreadable(ErrorKind::Usage, "x", circle).kind(), ErrorKind::Usage);
    }
}
