//! The files of `locks/`: those of orchestrator, and beside them those of other tools, such as an older pipeline.

use forge::FileChange;
use git::{MODE_EXECUTABLE, MODE_FILE};
use lock_model::{
    GIT_ATTRIBUTES, GIT_ATTRIBUTES_FILE, LOCK_FILE, LOCK_FOLDER, LOCK_SCHEMA_BESIDE_FILE, LOCK_SCHEMA_FILE,
    SchemaPlace, TreeId, TreePath,
};
use serde_json::Value;

use crate::context::git_error;
use crate::error::{Error, ErrorKind, Result};
use crate::inputs::Inputs;
use crate::revision::LockFile;
use crate::workspace::Workspace;

/// The files of a lock, as they are written into a folder; `present` gives what lies at a path there. A file of another
/// tool is left as it is.
pub(crate) fn lock_files(lock: &LockFile, present: impl Fn(&TreePath) -> Option<Vec<u8>>) -> Result<Vec<FileChange>> {
    let schema = lock_model::schema_text(&lock_model::lock_schema()).into_bytes();
    let attributes = GIT_ATTRIBUTES.as_bytes().to_vec();
    let mut files = vec![FileChange::Write { path: path(LOCK_FILE)?, bytes: lock.bytes.clone() }];
    for (name, bytes) in [(lock.lock.schema().path(), schema), (GIT_ATTRIBUTES_FILE, attributes)] {
        let path = path(name)?;
        if present(&path).is_none_or(|present| is_ours(name, &present)) {
            files.push(FileChange::Write { path, bytes });
        }
    }
    Ok(files)
}

/// The same for a tree of the superproject.
pub(crate) fn lock_files_on(context: &Workspace, tree: &TreeId, lock: &LockFile) -> Result<Vec<FileChange>> {
    check_place(context, tree)?;
    lock_files(lock, |path| Inputs::lock_companion(context, tree, path))
}

/// Where a lock of this tree has its schema: beside the file of another tool, where there is one.
pub(crate) fn schema_place(context: &Workspace, tree: &TreeId) -> Result<SchemaPlace> {
    check_place(context, tree)?;
    schema_place_beside(|path| Inputs::lock_companion(context, tree, path))
}

/// Refuses a tree that has something else where the folder of locks or the lock itself would be: writing the lock there would
/// take it away.
fn check_place(context: &Workspace, tree: &TreeId) -> Result<()> {
    let found = Inputs::lock_folder(&context.git, tree.as_str());
    let found = found.map_err(|error| git_error("the folder of the lock cannot be read", error))?;
    let in_the_way = found.iter().find_map(|(path, (mode, _))| {
        let is_within = path.strip_prefix(LOCK_FILE).is_some_and(|rest| rest.starts_with('/'));
        let is_file = [MODE_FILE, MODE_EXECUTABLE].contains(mode);
        match path.as_str() {
            LOCK_FOLDER => Some(format!("`{LOCK_FOLDER}` is no folder")),
            _ if is_within => Some(format!("`{LOCK_FILE}` is a folder")),
            LOCK_FILE if !is_file => Some(format!("`{LOCK_FILE}` is no plain file")),
            _ => None,
        }
    });
    match in_the_way {
        None => Ok(()),
        Some(what) => Err(Error::new(
            ErrorKind::Refused,
            format!(
                "{what} in this tree, and the lock is kept in `{LOCK_FILE}`: writing it would take away what lies there"
            ),
        )
        .hint("move it elsewhere in a change of its own: `git mv`")),
    }
}

/// Whether a file of `locks/` is another tool's in each of these trees, as far as it is there. The lock itself never is:
/// what lies there is read as a lock.
pub(crate) fn is_foreign(context: &Workspace, trees: &[TreeId], name: &str) -> Result<bool> {
    if lock_model::is_foreign_lock_file(name) {
        return Ok(true);
    }
    if name == LOCK_FILE || !lock_model::is_lock_file(name) {
        return Ok(false);
    }
    let path = path(name)?;
    for tree in trees {
        if Inputs::lock_companion(context, tree, &path).is_some_and(|there| is_ours(name, &there)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file may be a lock that is written anew: one that a merge or a hand has damaged keeps its first line.
pub(crate) fn may_be_lock(bytes: &[u8]) -> bool {
    bytes.trim_ascii().is_empty()
        || bytes.starts_with(b"# yaml-language-server: $schema=./")
        || lock_model::Lock::parse(bytes, LOCK_FILE).is_ok()
}

/// The place of the schema of a lock among files of which `present` gives the bytes.
pub(crate) fn schema_place_beside(present: impl Fn(&TreePath) -> Option<Vec<u8>>) -> Result<SchemaPlace> {
    let is_free = present(&path(LOCK_SCHEMA_FILE)?).is_none_or(|there| is_ours(LOCK_SCHEMA_FILE, &there));
    Ok(if is_free { SchemaPlace::Usual } else { SchemaPlace::Beside })
}

/// Whether some version of this program wrote a companion of the lock.
fn is_ours(name: &str, bytes: &[u8]) -> bool {
    match name {
        LOCK_SCHEMA_FILE | LOCK_SCHEMA_BESIDE_FILE => {
            let schema: Option<Value> = serde_json::from_slice(bytes).ok();
            schema.is_some_and(|schema| schema["title"] == "Lock" && schema["properties"]["third_party"].is_object())
        }
        GIT_ATTRIBUTES_FILE => bytes == GIT_ATTRIBUTES.as_bytes(),
        _ => false,
    }
}

fn path(text: &str) -> Result<TreePath> {
    TreePath::try_from(text).map_err(|error| Error::from_source(ErrorKind::Bug, "a lock path is no path", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_program_wrote_is_told_from_the_files_of_others() {
        let schema = lock_model::schema_text(&lock_model::lock_schema());
        let theirs = r#"{ "title": "Lock", "properties": { "services": {} } }"#;
        for (bytes, may_be) in [
            ("", true),
            ("# yaml-language-server: $schema=./schema.json\n<<<<<<< HEAD\n", true),
            ("version: 3\n", false),
            ("{}", false),
        ] {
            assert_eq!(may_be_lock(bytes.as_bytes()), may_be, "{bytes}");
        }
        for (name, bytes, ours) in [
            (LOCK_SCHEMA_FILE, schema.as_str(), true),
            (LOCK_SCHEMA_BESIDE_FILE, schema.as_str(), true),
            (LOCK_SCHEMA_FILE, theirs, false),
            (LOCK_SCHEMA_FILE, "", false),
            (LOCK_SCHEMA_FILE, "no JSON", false),
            (GIT_ATTRIBUTES_FILE, GIT_ATTRIBUTES, true),
            (GIT_ATTRIBUTES_FILE, "*.yml text\n", false),
        ] {
            assert_eq!(is_ours(name, bytes.as_bytes()), ours, "{name}: {bytes:.40}");
        }
    }
}
