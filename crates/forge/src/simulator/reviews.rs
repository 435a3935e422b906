use lock_model::{CommitId, CommitPrefix};

use super::Simulator;
use crate::error::ForgeError;
use crate::local::pull_files::require_open;
use crate::local::pulls::BODY_LIMIT;
use crate::local::refs::Refs;
use crate::local::reviews::folder;
use crate::local::wire::{DismissalEntry, ReviewFile};
use crate::local::{check_line, check_text};
use crate::model::{Review, ReviewState, Role, WriteOutcome};

const REASON_LIMIT: usize = 500;

impl Simulator<'_> {
    /// Reviews the head of an open pull request, which must be `expected_head`: the commit that the reviewer saw.
    ///
    /// The author can only comment. The same state and text for the same head again is one review.
    pub fn submit_review(
        &self,
        number: u64,
        expected_head: &CommitId,
        state: ReviewState,
        body: &str,
    ) -> Result<Review, ForgeError> {
        check_text("the review", body, BODY_LIMIT)?;
        let action = || format!("review pull request {number}");
        let forge = self.forge;
        let user = forge.require(Role::Read, action)?;
        let writer = forge.store.writer()?;
        let file = forge.settle(&writer, number, &Refs::read(&forge.git)?)?;
        require_open(&file, action)?;
        let mut reasons = Vec::new();
        if file.pull.head != *expected_head {
            reasons.push(format!("the head is `{}`, not the expected `{expected_head}`", file.pull.head));
        }
        if file.pull.author == user.name && state != ReviewState::Commented {
            reasons.push(format!("`{}` opened it and can only comment", user.name));
        }
        if state == ReviewState::Dismissed {
            reasons.push("a review is given first and dismissed later".to_owned());
        }
        if !reasons.is_empty() {
            return Err(ForgeError::refused(action(), reasons));
        }
        let users = forge.read_users()?;
        let before: Vec<ReviewFile> = forge.store.read_numbered(&folder(number))?;
        // After a dismissal an earlier verdict is not in force any more: the same one is said anew.
        let last = before.into_iter().rev().find(|review| review.user == user.name);
        if let Some(last) = last.filter(|last| last.dismissed.is_none())
            && (last.stance, last.body.as_str(), &last.commit) == (state, body, &file.pull.head)
        {
            return Ok(last.into_review(&users));
        }
        let commit = forge.commit_facts(&file.pull.head)?;
        let seq = forge.store.next_number(&folder(number))?;
        let file = ReviewFile {
            seq,
            user: user.name,
            stance: state,
            body: body.to_owned(),
            commit: commit.id,
            tree: commit.tree,
            at: forge.clock.now(),
            dismissed: None,
        };
        writer.write_json(&path(number, seq), &file)?;
        Ok(file.into_review(&users))
    }

    /// The objects of the repository whose ids begin with these digits, as git lists them.
    pub fn objects_named(&self, prefix: &CommitPrefix) -> Result<Vec<String>, ForgeError> {
        Ok(self.forge.git.objects_beginning_with(prefix.as_str())?)
    }

    /// Dismisses a review: its own author and users with write access may.
    pub fn dismiss_review(&self, number: u64, seq: u64, reason: &str) -> Result<WriteOutcome, ForgeError> {
        check_line("the reason", reason, REASON_LIMIT)?;
        let action = || format!("dismiss review {seq} of pull request {number}");
        let forge = self.forge;
        let user = forge.require(Role::Read, action)?;
        let writer = forge.store.writer()?;
        let file: Option<ReviewFile> = forge.store.read_json(&path(number, seq))?;
        let Some(mut file) = file else {
            return Err(ForgeError::not_found(format!("review {seq} of pull request {number}")));
        };
        if file.user != user.name {
            forge.require(Role::Write, action)?;
        }
        if file.dismissed.is_some() {
            return Ok(WriteOutcome::Unchanged);
        }
        file.dismissed = Some(DismissalEntry { by: user.name, reason: reason.to_owned(), at: forge.clock.now() });
        writer.write_json(&path(number, seq), &file)?;
        Ok(WriteOutcome::Updated)
    }
}

fn path(number: u64, seq: u64) -> String {
    format!("{}/{seq}.json", folder(number))
}
