use super::Simulator;
use crate::error::ForgeError;
use crate::local::bypasses::{self, BypassRecord};
use crate::local::pull_files::require_open;
use crate::local::refs::Refs;
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

    /// Every push and merge that bypassed a rule, in order.
    pub fn bypasses(&self) -> Result<Vec<BypassRecord>, ForgeError> {
        self.forge.store.read_numbered(bypasses::FOLDER)
    }
}
