use lock_model::{Timestamp, UserName};

use super::Simulator;
use crate::error::ForgeError;
use crate::local::bypasses::{self, BypassRecord};
use crate::local::comments::folder;
use crate::local::pull_files::require_open;
use crate::local::refs::Refs;
use crate::local::wire::CommentsFile;
use crate::model::{PullRequestState, Role, WriteOutcome};

/// A comment on a pull request; an author has one for each marker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// What the author finds the comment again by.
    pub marker: String,
    /// The author.
    pub user: UserName,
    /// Markdown.
    pub body: String,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Simulator<'_> {
    /// Closes an open pull request without merging it; a closed one stays closed.
    pub fn close_pull_request(&self, number: u64) -> Result<WriteOutcome, ForgeError> {
        let action = || format!("close pull request {number}");
        let forge = self.forge;
        forge.require(Role::Write, action)?;
        let writer = forge.store.writer()?;
        let mut file = forge.settle(&writer, number, &Refs::read(&forge.git)?)?;
        if file.state == PullRequestState::Closed {
            return Ok(WriteOutcome::Unchanged);
        }
        require_open(&file, action)?;
        file.state = PullRequestState::Closed;
        file.updated_at = forge.clock.now();
        writer.write_pull(&file)?;
        Ok(WriteOutcome::Updated)
    }

    /// All comments of a pull request, oldest first.
    pub fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.forge.read_pull(number)?;
        let mut comments = Vec::new();
        for CommentsFile { marker, comments: entries } in self.forge.store.read_folder(&folder(number))? {
            comments.extend(entries.into_iter().map(|entry| Comment {
                marker: marker.clone(),
                user: entry.user,
                body: entry.body,
                created_at: entry.created_at,
                updated_at: entry.updated_at,
            }));
        }
        comments.sort_by(|one, other| {
            (one.created_at, &one.marker, &one.user).cmp(&(other.created_at, &other.marker, &other.user))
        });
        Ok(comments)
    }

    /// Every push and merge that bypassed a rule, in order.
    pub fn bypasses(&self) -> Result<Vec<BypassRecord>, ForgeError> {
        self.forge.store.read_numbered(bypasses::FOLDER)
    }
}
