//! Reviews: what somebody said about one commit and its tree.

use lock_model::{CommitId, Timestamp};

use super::access::{Users, check_line};
use super::open::LocalForge;
use super::pulls::require_open;
use super::refs::Refs;
use super::wire::{DismissalEntry, FORMAT_VERSION, ReviewFile};
use crate::error::ForgeError;
use crate::model::{Review, Role, Stance, Written};

const REASON_LIMIT: usize = 500;

impl LocalForge {
    /// All reviews of a pull request, in order of arrival, with what each reviewer may do *now*.
    pub fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.read_pull(number)?;
        let users = self.read_users()?;
        Ok(self.review_files(number)?.into_iter().map(|file| review(file, &users)).collect())
    }

    /// Reviews the head of an open pull request, which must be `expected_head`: nobody approves what they did not
    /// see. Saying the same of the same head again is one review.
    ///
    /// The author may only comment.
    pub fn submit_review(
        &self,
        number: u64,
        expected_head: &CommitId,
        stance: Stance,
        now: Timestamp,
    ) -> Result<Review, ForgeError> {
        let action = || format!("review pull request {number}");
        let user = self.require(Role::Read, action)?;
        let writer = self.store.writer()?;
        let file = self.settle(&writer, number, &Refs::read(&self.git)?)?;
        require_open(&file, action)?;
        let mut reasons = Vec::new();
        if file.head != *expected_head {
            reasons.push(format!("the head is `{}`, not the expected `{expected_head}`", file.head));
        }
        if file.author == user.name && stance != Stance::Commented {
            reasons.push(format!("`{}` opened it and can only comment", user.name));
        }
        if stance == Stance::Dismissed {
            reasons.push("a review is given first and dismissed later".to_owned());
        }
        if !reasons.is_empty() {
            return Err(ForgeError::refused(action(), reasons));
        }
        let users = self.read_users()?;
        let before = self.review_files(number)?;
        let last = before.into_iter().rev().find(|review| review.user == user.name && review.dismissed.is_none());
        if let Some(last) = last
            && (last.stance, &last.commit) == (stance, &file.head)
        {
            return Ok(review(last, &users));
        }
        let commit = self.git.commit(file.head.as_str())?;
        let commit = commit.ok_or_else(|| ForgeError::not_found(format!("commit `{}`", file.head)))?;
        let seq = self.store.numbers(&folder(number))?.last().map_or(1, |last| last + 1);
        let file = ReviewFile {
            version: FORMAT_VERSION,
            seq,
            user: user.name,
            stance,
            commit: commit.id,
            tree: commit.tree,
            at: now,
            dismissed: None,
        };
        writer.write_json(&path(number, seq), &file)?;
        Ok(review(file, &users))
    }

    /// Takes a review back: its own author may, and whoever has write access.
    pub fn dismiss_review(&self, number: u64, seq: u64, reason: &str, now: Timestamp) -> Result<Written, ForgeError> {
        check_line("the reason", reason, REASON_LIMIT)?;
        let action = || format!("dismiss review {seq} of pull request {number}");
        let user = self.require(Role::Read, action)?;
        let writer = self.store.writer()?;
        let file: Option<ReviewFile> = self.store.read_json(&path(number, seq))?;
        let Some(mut file) = file else {
            return Err(ForgeError::not_found(format!("review {seq} of pull request {number}")));
        };
        if file.user != user.name {
            self.require(Role::Write, action)?;
        }
        if file.dismissed.is_some() {
            return Ok(Written::Unchanged);
        }
        file.dismissed = Some(DismissalEntry { by: user.name, reason: reason.to_owned(), at: now });
        writer.write_json(&path(number, seq), &file)?;
        Ok(Written::Updated)
    }

    fn review_files(&self, number: u64) -> Result<Vec<ReviewFile>, ForgeError> {
        let mut files = Vec::new();
        for seq in self.store.numbers(&folder(number))? {
            files.extend(self.store.read_json::<ReviewFile>(&path(number, seq))?);
        }
        Ok(files)
    }
}

fn review(file: ReviewFile, users: &Users) -> Review {
    let user = users.get(&file.user);
    Review {
        seq: file.seq,
        user: file.user,
        role: user.role,
        bot: user.bot,
        stance: if file.dismissed.is_some() { Stance::Dismissed } else { file.stance },
        commit: file.commit,
        tree: file.tree,
        at: file.at,
    }
}

fn folder(number: u64) -> String {
    format!("pulls/{number}/reviews")
}

fn path(number: u64, seq: u64) -> String {
    format!("{}/{seq}.json", folder(number))
}
