use gix::objs::Kind;
use lock_model::CommitId;

use crate::output::{self, commit_id, failed};
use crate::{Git, GitError, operand};

/// The expected old value of a ref that must not exist yet, and the new value of one that is to be removed.
pub const ABSENT: &str = "0000000000000000000000000000000000000000";

/// Whether an object id stands for no object, in either hash function.
pub(crate) fn is_absent(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}

/// A ref and what it points to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Reference {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// The object; for an annotated tag the tag object.
    pub id: String,
    /// For an annotated tag, the object that it leads to; otherwise absent.
    pub peeled: Option<String>,
}

/// The outcome of a change of refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefUpdate {
    /// Every ref points to its new object.
    Done,
    /// A ref did not have the expected value; no ref was changed.
    Moved {
        /// What the ref points to; absent when it does not exist.
        actual: Option<CommitId>,
    },
}

/// A change of one ref: see [`Git::update_refs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefChange {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// The new object; [`ABSENT`] removes the ref.
    pub new: String,
    /// The expected object; [`ABSENT`]: the ref must not exist; none: any value will do.
    pub old: Option<String>,
}

impl Reference {
    /// The commit that the ref leads to; an annotated tag is followed. An error where the id is not one.
    pub fn commit(&self) -> Result<CommitId, GitError> {
        let id = self.peeled.as_deref().unwrap_or(&self.id);
        CommitId::try_from(id).map_err(|_| GitError::operand("a commit", id))
    }
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
            operand::ref_name(name)?;
            operand::revision(new)?;
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
        let output = self.start(["update-ref", "-z", "--stdin"])?.stdin(input).run()?;
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
        operand::revision(prefix)?;
        self.objects().references(prefix)
    }

    /// The refs below a prefix from which a commit can be reached, sorted by name. The commit must be in the repository.
    pub fn refs_containing(&self, commit: &CommitId, prefix: &str) -> Result<Vec<String>, GitError> {
        operand::revision(prefix)?;
        let contains = format!("--contains={commit}");
        let output = output::checked(
            self.run(["for-each-ref", &contains, "--format=%(refname)", "--", prefix])?,
            &[commit.as_str()],
        )?;
        Ok(output::line(&output)?.lines().map(str::to_owned).collect())
    }

    /// The message of an annotated tag, given its ref or object id; nothing for a lightweight tag or a missing one.
    pub fn tag_message(&self, tag: &str) -> Result<Option<String>, GitError> {
        operand::revision(tag)?;
        let objects = self.objects();
        let Some(id) = objects.named(tag)? else { return Ok(None) };
        let Some(object) = objects.find(id)?.filter(|object| object.kind == Kind::Tag) else { return Ok(None) };
        let text = String::from_utf8_lossy(&object.data);
        Ok(Some(text.split_once("\n\n").map_or("", |(_, message)| message).to_owned()))
    }
}
