//! A kubeconfig in a file of the machine, which no other user may read or write: its token is a login, and who can write it
//! decides where the secrets of services go.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use config::MachineFile;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Uid, geteuid};

use crate::error::{Error, ErrorKind};

/// What to do where there is no such file.
pub(crate) const MISSING_FILE: &str = "put a kubeconfig there on the machine that runs this command; in a job of a forge, `kubeconfig: { env: NAME }` reads it \
     from a secret";

/// As much as is read; a kubeconfig is never that large.
const SIZE_LIMIT: u64 = 2 << 20;

/// Why a file is not read as a kubeconfig.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The path begins with `~/`, and no home folder is known.
    NoHome,
    /// There is no such file.
    Missing,
    /// A folder, a socket or another thing that is no file.
    NoFile,
    /// Other users have some of the bits `rwx`, in octal digits.
    Shared(String),
    /// It belongs to a user who is neither this one nor the superuser.
    Foreign,
    /// It cannot be read.
    Unreadable(io::Error),
}

/// Reads a file that belongs to this user, or to the superuser, and to which no other user has any right.
pub(crate) fn read(file: &MachineFile, home: Option<&Path>) -> Result<Vec<u8>, Refusal> {
    let path = path_of(file, home).ok_or(Refusal::NoHome)?;
    // Without waiting: a pipe has no writer perhaps. What was opened is judged, so that it cannot be exchanged in between.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let found = rustix::fs::fstat(&opened).map_err(|error| failed(error.into()))?;
    if !FileType::from_raw_mode(found.st_mode).is_file() {
        return Err(Refusal::NoFile);
    }
    let bits = found.st_mode & 0o777;
    if bits & 0o077 != 0 {
        return Err(Refusal::Shared(format!("{bits:04o}")));
    }
    if found.st_uid != geteuid().as_raw() && found.st_uid != Uid::ROOT.as_raw() {
        return Err(Refusal::Foreign);
    }
    let mut bytes = Vec::new();
    File::from(opened).take(SIZE_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Where the file is; none without a home folder that it would lie in.
pub(crate) fn path_of(file: &MachineFile, home: Option<&Path>) -> Option<PathBuf> {
    match file.below_home() {
        Some(rest) => home.filter(|home| home.is_absolute()).map(|home| home.join(rest)),
        None => Some(PathBuf::from(file.as_str())),
    }
}

fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Refusal::Missing,
        _ => Refusal::Unreadable(error),
    }
}

impl Refusal {
    /// The error, whose message begins with the kubeconfig that is meant.
    pub(crate) fn error(self, message: impl Fn(&str) -> String, file: &MachineFile) -> Error {
        let usage = |why: &str| Error::new(ErrorKind::Usage, message(why));
        match self {
            Self::NoHome => usage("cannot be found: this process has no home folder (`HOME`)")
                .hint("write the path from `/` on, or set `HOME` to the folder of the user"),
            Self::Missing => {
                Error::new(ErrorKind::Repository, message("is missing: there is no such file")).hint(MISSING_FILE)
            }
            Self::NoFile => usage("cannot be used: that is no file").hint("name the kubeconfig itself"),
            Self::Shared(bits) => usage(&format!("is not used: other users can read or write the file (mode {bits})"))
                .hint(format!("`chmod 600 {file}`, and make a new token where others could have read this one")),
            Self::Foreign => usage("is not used: the file belongs to another user").hint(format!(
                "`chown` it to the user who runs this command, or copy it and name the copy in place of `{file}`"
            )),
            Self::Unreadable(source) => {
                Error::from_source(ErrorKind::Storage, message("cannot be read"), source).hint(crate::hints::STORAGE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn code(file: &str, home: &Path) -> Result<Vec<u8>, (ErrorKind, String)> {
        let file = MachineFile::try_from(file).unwrap();
        read(&file, Some(home)).map_err(|refusal| {
            let error = refusal.error(|what| format!("the kubeconfig {what}"), &file);
            (error.kind(), error.message().to_owned())
        })
    }

    #[test]
    fn t23_only_a_file_that_no_other_user_can_read_or_write_is_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config");
        fs::write(&path, "text").unwrap();
        symlink(&path, home.path().join("link")).unwrap();
        for mode in [0o600, 0o400, 0o700] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for name in ["~/config", "~/link", path.to_str().unwrap()] {
                assert_eq!(code(name, home.path()), Ok(b"text".to_vec()), "{name} {mode:o}");
            }
        }
        for mode in [0o640, 0o604, 0o660, 0o602, 0o620, 0o610, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            for name in ["~/config", "~/link"] {
                let (kind, message) = code(name, home.path()).unwrap_err();
                assert_eq!(kind, ErrorKind::Usage);
                let expected =
                    format!("the kubeconfig is not used: other users can read or write the file (mode {mode:04o})");
                assert_eq!(message, expected);
            }
        }
    }

    #[test]
    fn what_is_no_file_and_what_is_not_there_are_told_apart() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        fs::create_dir(home.path().join("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, home.path().join("pipe"), Mode::from_raw_mode(0o600)).unwrap();
        for (name, kind) in [
            ("~/none", ErrorKind::Repository),
            ("~/none/config", ErrorKind::Repository),
            ("~/file/config", ErrorKind::Repository),
            ("~/folder", ErrorKind::Usage),
            ("~/pipe", ErrorKind::Usage),
        ] {
            assert_eq!(code(name, home.path()).unwrap_err().0, kind, "{name}");
        }
        let file = MachineFile::try_from("~/file").unwrap();
        assert!(matches!(read(&file, None), Err(Refusal::NoHome)));
        assert!(matches!(read(&file, Some(Path::new("relative"))), Err(Refusal::NoHome)));
    }
}
