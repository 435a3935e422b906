//! Statuses: what somebody says about one commit.

use lock_model::{CommitId, Timestamp};

use super::access::{check_line, status_path};
use super::open::LocalForge;
use super::wire::{FORMAT_VERSION, StatusFile};
use crate::error::ForgeError;
use crate::model::{Role, Status, StatusState, Written};

/// What GitHub shows of a description.
const DESCRIPTION_LIMIT: usize = 140;
const CONTEXT_LIMIT: usize = 100;

impl LocalForge {
    /// Sets the status of a commit in a context. A longer description than 140 characters is cut.
    pub fn set_status(
        &self,
        commit: &CommitId,
        context: &str,
        state: StatusState,
        description: &str,
        now: Timestamp,
    ) -> Result<Written, ForgeError> {
        check_line("the status context", context, CONTEXT_LIMIT)?;
        let path = status_path(commit, context)?;
        let by = self.require(Role::Write, || format!("set the status `{context}` of `{commit}`"))?.name;
        if self.git.commit(commit.as_str())?.is_none() {
            return Err(ForgeError::not_found(format!("commit `{commit}`")));
        }
        let file = StatusFile {
            version: FORMAT_VERSION,
            context: context.to_owned(),
            state,
            description: shortened(description),
            by,
            at: now,
        };
        let writer = self.store.writer()?;
        let before: Option<StatusFile> = self.store.read_json(&path)?;
        let written = match before {
            // Said again at another time, it is the same.
            Some(before) => {
                if (StatusFile { at: now, ..before }) == file {
                    return Ok(Written::Unchanged);
                }
                Written::Updated
            }
            None => Written::Created,
        };
        writer.write_json(&path, &file)?;
        Ok(written)
    }

    /// The newest status of each context of a commit, by context.
    pub fn statuses(&self, commit: &CommitId) -> Result<Vec<Status>, ForgeError> {
        let folder = format!("statuses/{commit}");
        let mut statuses = Vec::new();
        for name in self.store.names(&folder)? {
            if let Some(file) = self.store.read_json::<StatusFile>(&format!("{folder}/{name}"))? {
                statuses.push(Status::from(file));
            }
        }
        statuses.sort_by(|one, other| one.context.cmp(&other.context));
        Ok(statuses)
    }
}

/// One line, at most as long as may be, with an ellipsis where something was cut.
fn shortened(description: &str) -> String {
    let line: String = description.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(DESCRIPTION_LIMIT) {
        None => line,
        Some(_) => line.chars().take(DESCRIPTION_LIMIT - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_descriptions_are_cut_between_characters() {
        assert_eq!(shortened("a\nb"), "a b");
        let exact = "é".repeat(140);
        assert_eq!(shortened(&exact), exact);
        let cut = shortened(&"é".repeat(141));
        assert_eq!((cut.chars().count(), cut.chars().last()), (140, Some('…')));
    }
}
