use lock_model::CommitId;

use super::answer::{self, not_understood};
use super::read::{commit_id, failed, missing_or_failed, operand, revision_operand};
use super::{ABSENT, Git, GitError, is_absent};

/// A ref and what it points to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// The object; for an annotated tag the tag object.
    pub id: String,
    /// What the tag object points to in the end.
    pub peeled: Option<String>,
}

/// What became of a ref that was to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefUpdate {
    /// It points to the new object.
    Done,
    /// It did not have the expected value; nothing was changed.
    Moved {
        /// What it points to instead.
        actual: Option<CommitId>,
    },
}

/// One ref of a change of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefChange {
    /// The full name.
    pub name: String,
    /// The new object; zeros remove the ref.
    pub new: String,
    /// The expected object; zeros: the ref must not exist; none: whatever it is.
    pub old: Option<String>,
}

impl Git {
    /// Points a ref to an object, if it has the expected old value ([`ABSENT`]: it must not exist).
    pub fn update_ref(&self, name: &str, new: &str, old: Option<&str>) -> Result<RefUpdate, GitError> {
        let change = RefChange { name: name.to_owned(), new: new.to_owned(), old: old.map(str::to_owned) };
        self.update_refs(std::slice::from_ref(&change))
    }

    /// Changes several refs, all or none. On [`RefUpdate::Moved`], `actual` is that of the first unexpected one.
    pub fn update_refs(&self, changes: &[RefChange]) -> Result<RefUpdate, GitError> {
        let mut input = String::new();
        for RefChange { name, new, old } in changes {
            full_name(name)?;
            revision_operand(new)?;
            let new = if is_absent(new) { "" } else { new };
            let old = old.as_deref().map(|old| if is_absent(old) { ABSENT } else { old });
            // `-z` form: `update SP <ref> NUL <new> NUL [<old>] NUL`
            let command = match (new.is_empty(), old) {
                (true, None) => format!("delete {name}\0\0"),
                (true, Some(old)) => format!("delete {name}\0{old}\0"),
                (false, None) => format!("update {name}\0{new}\0\0"),
                (false, Some(old)) if is_absent(old) => format!("create {name}\0{new}\0"),
                (false, Some(old)) => format!("update {name}\0{new}\0{old}\0"),
            };
            input.push_str("option no-deref\0");
            input.push_str(&command);
        }
        let output = self.invocation(["update-ref", "-z", "--stdin"]).stdin(input).run()?;
        if output.success() {
            return Ok(RefUpdate::Done);
        }
        // Git's message says which ref it was, in words that change: ask for the facts instead.
        for RefChange { name, old, .. } in changes {
            let Some(expected) = old else { continue };
            let actual = self.rev_parse(name)?;
            let as_expected = match &actual {
                None => is_absent(expected),
                Some(actual) => actual == expected,
            };
            if !as_expected {
                let actual = actual.map(|id| commit_id(&id, &output)).transpose()?;
                return Ok(RefUpdate::Moved { actual });
            }
        }
        Err(failed(output))
    }

    /// The refs below a prefix such as `refs/heads/`, or the one of that name, sorted by name.
    pub fn refs(&self, prefix: &str) -> Result<Vec<Reference>, GitError> {
        revision_operand(prefix)?;
        let format = "--format=%(refname) %(objectname) %(*objectname)";
        let output = self.checked(["for-each-ref", format, "--", prefix])?;
        answer::line(&output)?
            .lines()
            .map(|line| {
                let mut parts = line.split(' ');
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(name), Some(id), peeled) => Ok(Reference {
                        name: name.to_owned(),
                        id: id.to_owned(),
                        peeled: peeled.filter(|id| !id.is_empty()).map(str::to_owned),
                    }),
                    _ => Err(not_understood(&output, "`REF ID [ID]`")),
                }
            })
            .collect()
    }

    /// The refs below a prefix from which a commit can be reached, sorted by name. The commit must be here.
    pub fn refs_containing(&self, commit: &CommitId, prefix: &str) -> Result<Vec<String>, GitError> {
        revision_operand(prefix)?;
        let contains = format!("--contains={commit}");
        let output = self.run(["for-each-ref", &contains, "--format=%(refname)", "--", prefix])?;
        if !output.success() {
            return Err(missing_or_failed(output, &[commit.as_str()]));
        }
        Ok(answer::line(&output)?.lines().map(str::to_owned).collect())
    }

    /// The message of an annotated tag, given its ref or object id; nothing where there is no such tag object.
    pub fn tag_message(&self, tag: &str) -> Result<Option<String>, GitError> {
        revision_operand(tag)?;
        let output = self.run(["cat-file", "tag", tag])?;
        if !output.success() {
            return Ok(None);
        }
        let text = output.stdout_text();
        Ok(Some(text.split_once("\n\n").map_or("", |(_, message)| message).to_owned()))
    }
}

/// A full ref name: below `refs/`, and nothing that git's commands could take for something else.
pub(super) fn full_name(name: &str) -> Result<(), GitError> {
    let bad = |segment: &str| {
        segment.is_empty()
            || segment.starts_with('.')
            || segment.ends_with('.')
            || std::path::Path::new(segment).extension().is_some_and(|extension| extension == "lock")
    };
    let character = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if !name.starts_with("refs/")
        || name.contains(character)
        || name.contains("..")
        || name.contains("@{")
        || name.split('/').any(bad)
    {
        return Err(operand("a ref", name));
    }
    Ok(())
}
