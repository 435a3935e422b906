use super::Simulator;
use crate::error::ForgeError;
use crate::local::bypasses::{self, BypassRecord};
use crate::local::comments::{Comment, folder};
use crate::local::pull_files::require_open;
use crate::local::refs::Refs;
use crate::local::wire::CommentsFile;
use crate::model::{PullRequestState, Role, WriteOutcome};

impl Simulator<'_> {
    /// Closes an open pull request without merging it; a closed one stays closed.
    pub fn close_pull_request(&self, number: u64) -> Result<WriteOutcome, ForgeError> {
        let action = || format!("close pull request {number}");
        let forge = self.forge;
        forge.require(Role::Write, action)?;
        let writer = forge.store.writer()?;
        let mut file = forge.settle(&writer, number, &Refs::read(&forge.git)?)?;
        if file.pull.state == PullRequestState::Closed {
            return Ok(WriteOutcome::Unchanged);
        }
        require_open(&file, action)?;
        file.pull.state = PullRequestState::Closed;
        file.pull.updated_at = forge.clock.now();
        writer.write_pull(&file)?;
        Ok(WriteOutcome::Updated)
    }

    /// All comments of a pull request, oldest first.
    pub fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.forge.read_pull(number)?;
        let files: Vec<CommentsFile> = self.forge.store.read_folder(&folder(number))?;
        let mut comments: Vec<Comment> = files.into_iter().flat_map(|file| file.comments).collect();
        comments.sort_by(|one, other| (one.created_at, &one.user).cmp(&(other.created_at, &other.user)));
        Ok(comments)
    }

    /// Every push and merge that bypassed a rule, in order.
    pub fn bypasses(&self) -> Result<Vec<BypassRecord>, ForgeError> {
        self.forge.store.read_numbered(bypasses::FOLDER)
    }
}
