//! Where locks are read from and written to.

use std::path::{Path, PathBuf};

use lock_model::{LOCK_FILE, Lock, TreePath};

use crate::context::{Local, Surroundings, git_error};
use crate::error::{Error, ErrorKind, Result};
use crate::input_file::{read_input, unreadable};
use crate::inputs::Inputs;
use crate::lock_folder::{lock_files, may_be_lock, schema_place_beside};
use crate::output_file::{check_output, write_output};
use crate::revision::LockFile;
use crate::workspace::Workspace;

/// What a caller calls standard input.
pub(super) const STANDARD_INPUT: &str = "-";

/// Reads a lock by the name of a file (`-` is standard input), or of a revision that holds one; the repository is opened
/// only for the latter.
///
/// # Errors
///
/// [`ErrorKind::Lock`] for a lock that cannot be read, [`ErrorKind::Repository`] for a revision without one,
/// [`ErrorKind::Storage`] for a file without the permission, [`ErrorKind::Usage`] where neither is called so.
pub fn read_lock(name: &str, surroundings: &Surroundings, repository: impl FnOnce() -> Result<Local>) -> Result<Lock> {
    Ok(read_lock_file(name, surroundings, repository)?.lock)
}

pub(super) fn read_lock_file(
    name: &str,
    surroundings: &Surroundings,
    repository: impl FnOnce() -> Result<Local>,
) -> Result<LockFile> {
    if is_file(name) {
        return read_file(Path::new(name), surroundings);
    }
    let local = repository()?;
    for candidate in &candidates(name) {
        if local.git.commit(candidate).map_err(|error| git_error("the revision cannot be read", error))?.is_none() {
            continue;
        }
        let bytes = Inputs::lock(&local.git, candidate).map_err(|error| git_error("the lock cannot be read", error))?;
        let bytes = bytes.ok_or_else(|| {
            Error::new(ErrorKind::Repository, format!("`{LOCK_FILE}` is not in `{name}`")).hint(WHERE_LOCKS_ARE)
        })?;
        return LockFile::parse(bytes, &format!("{name}:{LOCK_FILE}"));
    }
    Err(Error::new(ErrorKind::Usage, format!("`{name}` is neither a file nor a revision of this repository"))
        .hint("name a lock file, `-` for standard input, or a branch, tag or commit that has a lock"))
}

/// Whether a name is that of a file, or of one in a folder that this user may not go through, which is no revision either.
pub(super) fn is_file(name: &str) -> bool {
    let is_denied = |error: std::io::Error| error.kind() == std::io::ErrorKind::PermissionDenied;
    name == STANDARD_INPUT || Path::new(name).metadata().map_or_else(is_denied, |found| found.is_file())
}

const WHERE_LOCKS_ARE: &str = "a run commits it to the branch of its environment, such as `staging`; `lock generate --output DIR` makes one of this \
     tree, and its file can be named";

/// What a revision may be called here: a branch of the forge first, as it was fetched last.
pub(super) fn candidates(text: &str) -> [String; 4] {
    [
        format!("refs/orchestrator/heads/{text}"),
        format!("refs/heads/{text}"),
        format!("refs/orchestrator/tags/{text}"),
        text.to_owned(),
    ]
}

/// The lock that a revision holds; none where it has no such file.
pub(crate) fn lock_file_at(context: &Workspace, revision: &str) -> Result<Option<LockFile>> {
    let bytes = Inputs::lock(&context.git, revision).map_err(|error| git_error("the lock cannot be read", error))?;
    bytes.map(|bytes| LockFile::parse(bytes, LOCK_FILE)).transpose()
}

pub(super) fn read_file(path: &Path, surroundings: &Surroundings) -> Result<LockFile> {
    LockFile::parse(read_bytes(path, surroundings)?, &path.display().to_string())
}

/// The bytes of a file that the caller names; `-` is standard input.
pub(super) fn read_bytes(path: &Path, surroundings: &Surroundings) -> Result<Vec<u8>> {
    let (read, what) = if path == Path::new(STANDARD_INPUT) {
        ((surroundings.standard_input)(), "standard input".to_owned())
    } else {
        (read_input(path), format!("`{}`", path.display()))
    };
    read.map_err(|error| {
        let is_no_file = error.kind() == std::io::ErrorKind::InvalidInput;
        let error = unreadable(ErrorKind::Usage, format!("{what} cannot be read"), error);
        if is_no_file { error.hint("`-` in place of a file stands for standard input") } else { error }
    })
}

/// Refuses a folder that [`write_lock_folder`] could not write to.
pub(super) fn check_lock_folder(context: &Workspace, folder: Option<&PathBuf>) -> Result<()> {
    let Some(folder) = folder else { return Ok(()) };
    let file = folder.join(Path::new(LOCK_FILE).file_name().unwrap_or_default());
    if read_input(&file).is_ok_and(|bytes| !may_be_lock(&bytes)) {
        let message = format!("`{}` is no lock, and would be written over", file.display());
        return Err(
            Error::new(ErrorKind::Usage, message).hint("name another folder with `--output`, or move the file away")
        );
    }
    check_output(context.git.work_tree(), &file)
}

/// Writes `lock.yaml`, its schema and `.gitattributes`, each old or new and never a mix, and never over the file of another
/// tool.
pub(super) fn write_lock_folder(context: &Workspace, folder: &Path, bytes: &[u8]) -> Result<()> {
    let mut lock = LockFile::parse(bytes.to_vec(), LOCK_FILE)?;
    let present = |path: &TreePath| match read_input(&folder.join(path.file_name())) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // No file that orchestrator wrote: a link or folder is refused when it is written to.
        Err(_) => Some(Vec::new()),
    };
    // The folder may be another one than that of the tree.
    let place = schema_place_beside(present)?;
    if lock.lock.schema() != place {
        lock = LockFile::parse(lock.lock.with_schema(place).to_yaml().into_bytes(), LOCK_FILE)?;
    }
    for change in lock_files(&lock, present)? {
        let forge::FileChange::Write { path, bytes } = change else { continue };
        write_output(context.git.work_tree(), &folder.join(path.file_name()), &bytes)?;
    }
    Ok(())
}
