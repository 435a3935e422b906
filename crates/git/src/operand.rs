//! Values that go into a git command: refused where git could take them for something else.

use lock_model::BranchName;

use crate::GitError;

/// A revision that cannot pass for an option or for several lines.
pub(crate) fn revision(revision: &str) -> Result<(), GitError> {
    accept("a revision", revision, !has_option_or_control(revision))
}

/// A revision that a path can follow.
pub(crate) fn treeish(treeish: &str) -> Result<(), GitError> {
    revision(treeish)?;
    accept("a tree", treeish, !treeish.contains([':', '?', '*', '[']))
}

/// A path from the top of a tree.
pub(crate) fn tree_path(path: &str) -> Result<(), GitError> {
    let bad = |segment: &str| matches!(segment, "." | ".." | "");
    accept("a path in a tree", path, !path.contains('\0') && !path.trim_end_matches('/').split('/').any(bad))
}

/// A full ref name: `refs/`, a category such as `heads`, and what a branch can be called.
pub(crate) fn ref_name(name: &str) -> Result<(), GitError> {
    let short = name.strip_prefix("refs/").and_then(|rest| rest.split_once('/'));
    let valid = short
        .is_some_and(|(category, name)| BranchName::try_from(category).is_ok() && BranchName::try_from(name).is_ok());
    accept("a ref", name, valid)
}

/// A remote's name, URL or folder that cannot pass for an option or for several lines.
pub(crate) fn remote(remote: &str) -> Result<(), GitError> {
    let host_is_option = remote.split_once("://").is_some_and(|(_, rest)| rest.starts_with('-'));
    accept("a remote", remote, !has_option_or_control(remote) && !host_is_option)
}

fn has_option_or_control(text: &str) -> bool {
    text.is_empty() || text.starts_with('-') || text.contains(char::is_control)
}

fn accept(meant_as: &'static str, value: &str, valid: bool) -> Result<(), GitError> {
    if valid { Ok(()) } else { Err(GitError::operand(meant_as, value)) }
}
