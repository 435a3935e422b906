use super::LocalForge;
use super::wire::{ReviewFile, UsersFile};
use crate::error::ForgeError;
use crate::model::{Review, ReviewState};

impl LocalForge {
    /// All reviews of a pull request, in order of arrival, with what each reviewer may do *now*.
    pub fn reviews(&self, number: u64) -> Result<Vec<Review>, ForgeError> {
        self.read_pull(number)?;
        let users = self.read_users()?;
        let files: Vec<ReviewFile> = self.store.read_numbered(&folder(number))?;
        Ok(files.into_iter().map(|file| file.into_review(&users)).collect())
    }
}

impl ReviewFile {
    pub(crate) fn into_review(self, users: &UsersFile) -> Review {
        let user = users.user(&self.user);
        Review {
            seq: self.seq,
            user: self.user,
            role: user.role,
            bot: user.bot,
            dismissed_at: self.dismissed.as_ref().map(|entry| entry.at),
            state: if self.dismissed.is_some() { ReviewState::Dismissed } else { self.stance },
            body: self.body,
            commit: self.commit,
            tree: self.tree,
            at: self.at,
        }
    }
}

pub(crate) fn folder(number: u64) -> String {
    format!("pulls/{number}/reviews")
}
