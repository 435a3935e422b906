//! Small readers of what git prints.

use super::GitError;
use process::Output;

pub(super) fn not_understood(output: &Output, what: &'static str) -> GitError {
    GitError::Answer { command: output.command().to_owned(), what }
}

/// Standard output without the line feed at its end.
pub(super) fn line(output: &Output) -> Result<&str, GitError> {
    let text = std::str::from_utf8(&output.stdout).map_err(|_| not_understood(output, "text in UTF-8"))?;
    Ok(text.strip_suffix('\n').unwrap_or(text))
}

/// Takes the bytes up to `end`, and the end itself.
pub(super) fn take_until<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a [u8]> {
    let at = rest.iter().position(|&byte| byte == end)?;
    let (taken, after) = rest.split_at(at);
    *rest = after.get(1..).unwrap_or_default();
    Some(taken)
}

/// Takes that many bytes.
pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

/// Reads text that must be UTF-8.
pub(super) fn text<'a>(bytes: &'a [u8], output: &Output) -> Result<&'a str, GitError> {
    std::str::from_utf8(bytes).map_err(|_| not_understood(output, "names in UTF-8"))
}

/// An object of `cat-file --batch`.
pub(super) enum BatchObject<'a> {
    Missing,
    Found { id: &'a str, kind: &'a str, size: usize },
}

/// Reads one header of `cat-file --batch` for an object that was asked for as `name`.
pub(super) fn batch_header<'a>(rest: &mut &'a [u8], name: &[u8], output: &Output) -> Result<BatchObject<'a>, GitError> {
    // A name is repeated only where there is no such object, and may itself hold a line feed.
    for reason in [&b" missing\n"[..], b" ambiguous\n"] {
        if let Some(after) = rest.strip_prefix(name).and_then(|after| after.strip_prefix(reason)) {
            *rest = after;
            return Ok(BatchObject::Missing);
        }
    }
    let expected = "`ID TYPE SIZE`";
    let header = take_until(rest, b'\n').ok_or_else(|| not_understood(output, expected))?;
    let header = text(header, output)?;
    let mut parts = header.split(' ');
    match (parts.next(), parts.next(), parts.next().and_then(|size| size.parse().ok()), parts.next()) {
        (Some(id), Some(kind), Some(size), None) => Ok(BatchObject::Found { id, kind, size }),
        _ => Err(not_understood(output, expected)),
    }
}
