//! Readers of what git prints.

use lock_model::{CommitId, TreeId};
use process::Output;

use crate::GitError;

pub(crate) fn unexpected(output: &Output, expected: &'static str) -> GitError {
    GitError::unexpected_output(output.command(), expected)
}

/// The error of a command that ended with a status other than zero.
pub(crate) fn failed(output: Output) -> GitError {
    match output.checked() {
        Err(error) => error.into(),
        Ok(output) => unexpected(&output, "a failure"),
    }
}

/// An output without a failure; tells "no such revision" from other failures.
pub(crate) fn checked(output: Output, revisions: &[&str]) -> Result<Output, GitError> {
    if output.success() { Ok(output) } else { Err(missing_or_failed(output, revisions)) }
}

/// Tells "no such revision" from other failures.
pub(crate) fn missing_or_failed(output: Output, revisions: &[&str]) -> GitError {
    const MISSING: [&str; 9] = [
        "malformed object name",
        "no such commit",
        "Not a valid",
        "not a tree object",
        "bad object",
        "unknown revision",
        "bad revision",
        "not a valid object",
        "not something we can merge",
    ];
    let stderr = output.stderr_text();
    if MISSING.iter().any(|words| stderr.contains(words)) {
        let named: Vec<&str> = revisions.iter().copied().filter(|revision| stderr.contains(revision)).collect();
        return GitError::not_found(if named.is_empty() { revisions.join(", ") } else { named.join(", ") });
    }
    failed(output)
}

pub(crate) fn commit_id(text: &str, output: &Output) -> Result<CommitId, GitError> {
    CommitId::try_from(text).map_err(|_| unexpected(output, "a commit id"))
}

pub(crate) fn tree_id(text: &str, output: &Output) -> Result<TreeId, GitError> {
    TreeId::try_from(text).map_err(|_| unexpected(output, "a tree id"))
}

/// Standard output without the line feed at its end.
pub(crate) fn line(output: &Output) -> Result<&str, GitError> {
    let text = std::str::from_utf8(&output.stdout).map_err(|_| unexpected(output, "text in UTF-8"))?;
    Ok(text.strip_suffix('\n').unwrap_or(text))
}

/// Takes the bytes up to `end`, and the end itself.
pub(crate) fn take_until<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = rest.iter().position(|&byte| byte == end)?;
    let (taken, after) = rest.split_at(at);
    *rest = after.get(1..).unwrap_or_default();
    Some(taken)
}

/// Takes that many bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// Reads text that must be UTF-8.
pub(crate) fn text<'a>(bytes: &'a [u8], output: &Output) -> Result<&'a str, GitError> {
    std::str::from_utf8(bytes).map_err(|_| unexpected(output, "names in UTF-8"))
}

/// An object of `cat-file --batch`.
pub(crate) enum BatchObject<'a> {
    Missing,
    Found { kind: &'a str, size: usize },
}

/// Reads one header of `cat-file --batch` for an object that was asked for as `name`.
pub(crate) fn batch_header<'a>(rest: &mut &'a [u8], name: &[u8], output: &Output) -> Result<BatchObject<'a>, GitError> {
    // A name is repeated only where there is no such object, and may itself hold a line feed.
    for reason in [&b" missing\n"[..], b" ambiguous\n"] {
        if let Some(after) = rest.strip_prefix(name).and_then(|after| after.strip_prefix(reason)) {
            *rest = after;
            return Ok(BatchObject::Missing);
        }
    }
    let expected = "`ID TYPE SIZE`";
    let header = take_until(rest, b'\n').ok_or_else(|| unexpected(output, expected))?;
    let header = text(header, output)?;
    let mut parts = header.split(' ');
    match (parts.next(), parts.next(), parts.next().and_then(|size| size.parse().ok()), parts.next()) {
        (Some(_id), Some(kind), Some(size), None) => Ok(BatchObject::Found { kind, size }),
        _ => Err(unexpected(output, expected)),
    }
}
