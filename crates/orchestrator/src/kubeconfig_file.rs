//! A kubeconfig in a file of the machine, which no other user may read or write: its token is a login, and who can write it
//! decides where the secrets of services go.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use config::MachineFile;
use lock_model::escaping::escape_short;
use rustix::fs::FileType;
use rustix::process::{Uid, geteuid};

use crate::error::{Error, ErrorKind};
use crate::input_file::{open, read_opened, unreadable};

/// What to do where there is no such file.
pub(crate) const MISSING_FILE: &str = "put a kubeconfig there on the machine that runs this command; in a job of a forge, `kubeconfig: { env: NAME }` reads it \
     from a secret";

/// As much as is read; a kubeconfig is never that large.
const SIZE_LIMIT: u64 = 2 << 20;

/// How many folders and links are followed.
const MOST_STEPS: usize = 400;

/// Why a file is not read as a kubeconfig.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The path begins with `~/`, and no home folder is known.
    NoHome,
    /// There is no such file.
    Missing,
    /// It lies in a folder of the superproject, or a link there leads to it.
    InSuperproject(PathBuf),
    /// Other users have some of the bits `rwx`, in octal digits.
    Shared(String),
    /// It belongs to a user who is neither this one nor the superuser.
    Foreign,
    /// A folder on the way to it, in which others can put another file in its place, and why they can.
    Folder(PathBuf, FolderFault),
    /// Its bytes cannot be read: no right to, not a regular file, or too large for a kubeconfig.
    Unreadable(io::Error),
}

/// Why others can exchange what lies in a folder.
#[derive(Debug)]
pub(crate) enum FolderFault {
    /// They have the right to write there: the bits `rwx`, in octal digits.
    Writable(String),
    /// It, or a link in it, belongs to a user who is neither this one nor the superuser.
    Foreign,
}

/// Reads a file that belongs to this user, or to the superuser, and to which no other user has any right; no other user can put
/// another one in its place either. It lies in no folder of `superproject`: it would be a secret in git, or what a commit brings
/// would be one.
pub(crate) fn read(file: &MachineFile, home: Option<&Path>, superproject: &[PathBuf]) -> Result<Vec<u8>, Refusal> {
    let path = path_of(file, home).ok_or(Refusal::NoHome)?;
    judge_way(&path, superproject)?;
    let opened = open(&path).map_err(failed)?;
    let found = opened.metadata().map_err(failed)?;
    let bits = found.mode() & 0o777;
    if bits & 0o077 != 0 {
        return Err(Refusal::Shared(format!("{bits:04o}")));
    }
    if found.uid() != geteuid().as_raw() && found.uid() != Uid::ROOT.as_raw() {
        return Err(Refusal::Foreign);
    }
    read_opened(opened, SIZE_LIMIT).map_err(failed)
}

/// The folders of a repository: its work tree, and where git keeps it.
pub(crate) fn folders_of(git: &git::Git) -> Vec<PathBuf> {
    let common = git.common_dir();
    let main = (common != git.git_dir() && common.ends_with(".git")).then(|| common.parent()).flatten();
    let folders = [git.work_tree(), main, Some(git.git_dir()), Some(common)].into_iter().flatten();
    folders.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.to_owned())).collect()
}

/// Looks at every folder and link that leads to a file. What no other user can write stays as it was seen.
fn judge_way(path: &Path, superproject: &[PathBuf]) -> Result<(), Refusal> {
    let is_trusted = |user: u32| user == geteuid().as_raw() || user == Uid::ROOT.as_raw();
    let foreign = |folder: &Path| Err(Refusal::Folder(folder.to_owned(), FolderFault::Foreign));
    let mut ahead: Vec<OsString> = steps(path).collect();
    ahead.reverse();
    let mut folder = PathBuf::from("/");
    for _ in 0..MOST_STEPS {
        let Some(step) = ahead.pop() else { return Ok(()) };
        // All links to it have been followed.
        if let Some(inside) = superproject.iter().find(|inside| folder.starts_with(inside)) {
            return Err(Refusal::InSuperproject(inside.clone()));
        }
        let found = rustix::fs::lstat(&folder).map_err(|error| failed(error.into()))?;
        if !is_trusted(found.st_uid) {
            return foreign(&folder);
        }
        // In a folder such as `/tmp`, only the owner of an entry can exchange it.
        let bits = found.st_mode & 0o7777;
        let is_sticky = bits & 0o1000 != 0;
        if bits & 0o022 != 0 && !is_sticky {
            return Err(Refusal::Folder(folder, FolderFault::Writable(format!("{:04o}", bits & 0o777))));
        }
        if step == ".." {
            folder.pop();
            continue;
        }
        let next = folder.join(&step);
        let entry = rustix::fs::lstat(&next).map_err(|error| failed(error.into()))?;
        match FileType::from_raw_mode(entry.st_mode) {
            FileType::Symlink => {
                if !is_trusted(entry.st_uid) {
                    return foreign(&folder);
                }
                let target = std::fs::read_link(&next).map_err(failed)?;
                if target.is_absolute() {
                    folder = PathBuf::from("/");
                }
                let first = ahead.len();
                ahead.extend(steps(&target));
                ahead.get_mut(first..).unwrap_or_default().reverse();
            }
            FileType::Directory if !ahead.is_empty() => folder = next,
            // The file itself, or nothing that leads further: what opens it says so.
            _ => return Ok(()),
        }
    }
    Err(failed(rustix::io::Errno::LOOP.into()))
}

/// The names of a path from its root on, and `..`.
fn steps(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
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
            Self::InSuperproject(folder) => usage(&format!(
                "is not used: it, or a link on the way to it, lies in the superproject (`{}`)",
                escape_short(&*folder.to_string_lossy(), 200)
            ))
            .hint(
                "move it to a folder of the user, such as `~/.kube/`; where it was in a commit, its token is known to all who \
                 read the superproject: make a new one",
            ),
            Self::Shared(bits) => usage(&format!("is not used: other users can read or write the file (mode {bits})"))
                .hint(format!("`chmod 600 {file}`, and make a new token where others could have read this one")),
            Self::Foreign => usage("is not used: the file belongs to another user").hint(format!(
                "`chown` it to the user who runs this command, or copy it and name the copy in place of `{file}`"
            )),
            Self::Folder(folder, fault) => {
                let shown = escape_short(&*folder.to_string_lossy(), 200);
                let (why, first) = match fault {
                    FolderFault::Writable(bits) => (
                        format!("other users can write the folder `{shown}` (mode {bits}) on the way to the file"),
                        format!("`chmod go-w {shown}`, or "),
                    ),
                    FolderFault::Foreign => (
                        format!("the folder `{shown}` on the way to the file, or a link in it, belongs to another user"),
                        String::new(),
                    ),
                };
                usage(&format!("is not used: {why}, so that they can put another one in its place"))
                    .hint(format!("{first}name a file in a folder that only the user can write who runs this command"))
            }
            Self::Unreadable(source) => {
                let hint = match source.kind() {
                    io::ErrorKind::PermissionDenied => None,
                    _ => Some(
                        "name a file that has one kubeconfig of at most 2 MiB: `kubectl config view --minify --flatten --raw` \
                         prints one with the context alone that is meant",
                    ),
                };
                let error = unreadable(ErrorKind::Usage, message("cannot be read"), source);
                hint.into_iter().fold(error, Error::hint)
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
        read(&file, Some(home), &[]).map_err(|refusal| {
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
    fn t23_only_a_way_on_which_no_other_user_can_exchange_anything_is_gone() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("own/.kube")).unwrap();
        fs::create_dir(at("open")).unwrap();
        fs::write(at("own/.kube/config"), "text").unwrap();
        fs::set_permissions(at("own/.kube/config"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("../own/.kube", at("open/folder")).unwrap();
        symlink(at("open/folder/config"), at("through")).unwrap();
        symlink("own/.kube/../.kube/config", at("straight")).unwrap();
        symlink("round", at("round")).unwrap();
        let ways = ["~/own/.kube/config", "~/straight", "~/open/folder/config", "~/through"];
        // 1777 is what `/tmp` has: there only the owner of a link can exchange it.
        for (mode, is_open) in [(0o755, false), (0o700, false), (0o1777, false), (0o775, true), (0o757, true)] {
            fs::set_permissions(at("open"), fs::Permissions::from_mode(mode)).unwrap();
            for (place, way) in ways.iter().enumerate() {
                let answer = code(way, home.path());
                if place < 2 || !is_open {
                    assert_eq!(answer, Ok(b"text".to_vec()), "{way} {mode:o}");
                    continue;
                }
                let (kind, message) = answer.unwrap_err();
                let folder = at("open");
                let expected = format!(
                    "the kubeconfig is not used: other users can write the folder `{}` (mode {mode:04o}) on the way to the \
                     file, so that they can put another one in its place",
                    folder.canonicalize().unwrap().display()
                );
                assert_eq!((kind, message), (ErrorKind::Usage, expected), "{way}");
            }
        }
        fs::set_permissions(at("own/.kube"), fs::Permissions::from_mode(0o770)).unwrap();
        assert!(code(ways[0], home.path()).unwrap_err().1.contains("/own/.kube` (mode 0770)"));
        assert_eq!(code("~/round", home.path()).unwrap_err().0, ErrorKind::Usage, "a link to itself");
    }

    #[test]
    fn t23_a_folder_or_link_of_another_user_leads_to_no_kubeconfig() {
        // Only the superuser can give something away.
        if !geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let give = |name: &str| std::os::unix::fs::lchown(at(name), Some(4711), None).unwrap();
        fs::create_dir(at("folder")).unwrap();
        fs::set_permissions(at("folder"), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["folder/config", "config"] {
            fs::write(at(name), "text").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        symlink("config", at("link")).unwrap();
        for (given, way) in [("folder", "~/folder/config"), ("link", "~/link")] {
            assert_eq!(code(way, home.path()), Ok(b"text".to_vec()), "{way}");
            give(given);
            let (kind, message) = code(way, home.path()).unwrap_err();
            assert_eq!(kind, ErrorKind::Usage);
            assert!(message.contains("or a link in it, belongs to another user"), "{message}");
        }
    }

    #[test]
    fn t23_a_file_of_the_superproject_is_refused_however_it_is_reached() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().canonicalize().unwrap().join(name);
        for folder in ["shop/.git", "shop-of-others", "other"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for name in ["shop/config", "shop/.git/config", "shop-of-others/config", "other/config"] {
            fs::write(at(name), "text").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        symlink(at("shop"), at("link")).unwrap();
        symlink("shop/config", at("leads-in")).unwrap();
        symlink("../other/config", at("shop/leads-out")).unwrap();
        symlink("shop/leads-out", at("leads-through")).unwrap();
        let judged = |name: &str, superproject: &[PathBuf]| {
            let file = MachineFile::try_from(name).unwrap();
            let refused = read(&file, Some(home.path()), superproject).err();
            refused.map(|refusal| refusal.error(|what| format!("the kubeconfig {what}"), &file))
        };
        for name in ["shop/config", "shop/.git/config", "link/config", "leads-in", "shop/leads-out", "leads-through"] {
            let name = format!("~/{name}");
            assert!(judged(&name, &[]).is_none(), "{name}");
            let error = judged(&name, &[at("shop")]).unwrap_or_else(|| panic!("{name} is read"));
            let told = format!("lies in the superproject (`{}`)", at("shop").display());
            assert!(error.kind() == ErrorKind::Usage && error.message().ends_with(&told), "{name}: {error}");
        }
        for name in ["~/shop-of-others/config", "~/other/config"] {
            assert!(judged(name, &[at("shop")]).is_none(), "{name}");
        }
    }

    #[test]
    fn t23_a_file_that_is_too_large_is_refused_and_not_cut() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config");
        let size = usize::try_from(SIZE_LIMIT).unwrap();
        for (size, is_read) in [(size, true), (size + 1, false)] {
            fs::write(&path, vec![b'#'; size]).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let answer = code("~/config", home.path());
            assert_eq!(answer.as_ref().map(Vec::len).ok(), is_read.then_some(size));
            if let Err((kind, message)) = answer {
                assert_eq!(kind, ErrorKind::Usage);
                assert_eq!(message, "the kubeconfig cannot be read");
            }
        }
    }

    #[test]
    fn what_is_no_file_and_what_is_not_there_are_told_apart() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), "").unwrap();
        fs::create_dir(home.path().join("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, home.path().join("pipe"), rustix::fs::Mode::from_raw_mode(0o600))
            .unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(home.path().join("socket")).unwrap();
        for (name, kind) in [
            ("~/none", ErrorKind::Repository),
            ("~/none/config", ErrorKind::Repository),
            ("~/file/config", ErrorKind::Repository),
            ("~/folder", ErrorKind::Usage),
            ("~/pipe", ErrorKind::Usage),
            ("~/socket", ErrorKind::Usage),
        ] {
            assert_eq!(code(name, home.path()).unwrap_err().0, kind, "{name}");
        }
        let file = MachineFile::try_from("~/file").unwrap();
        assert!(matches!(read(&file, None, &[]), Err(Refusal::NoHome)));
        assert!(matches!(read(&file, Some(Path::new("relative")), &[]), Err(Refusal::NoHome)));
    }
}
