use lock_model::CommitId;

use super::LocalForge;
use super::access::check_line;
use super::store;
use crate::error::ForgeError;
use crate::model::{Role, Status, StatusState, WriteOutcome};

/// What GitHub shows of a description.
const DESCRIPTION_LIMIT: usize = 140;
const CONTEXT_LIMIT: usize = 100;

impl LocalForge {
    /// Sets the status of a commit in a context. A description of more than 140 characters is cut.
    ///
    /// `base` is the tip of the base branch that it was earned against: the status opens no merge into another one.
    pub fn set_status(
        &self,
        commit: &CommitId,
        base: Option<&CommitId>,
        context: &str,
        state: StatusState,
        description: &str,
    ) -> Result<WriteOutcome, ForgeError> {
        check_line("the status context", context, CONTEXT_LIMIT)?;
        let path = format!("{}/{}.json", folder(commit), store::file_name("status context", context)?);
        let by = self.require(Role::Write, || format!("set the status `{context}` of `{commit}`"))?.name;
        self.commit_facts(commit)?;
        let at = self.clock.now();
        let description = shortened(description);
        let status = Status { context: context.to_owned(), state, description, base: base.cloned(), by, at };
        let writer = self.store.writer()?;
        // The same status at another time is no change.
        let before = self.store.read_json(&path)?.map(|before| Status { at, ..before });
        let outcome = WriteOutcome::of(before.as_ref(), &status);
        if outcome != WriteOutcome::Unchanged {
            writer.write_json(&path, &status)?;
        }
        Ok(outcome)
    }

    /// The newest status of each context of a commit, by context.
    pub fn statuses(&self, commit: &CommitId) -> Result<Vec<Status>, ForgeError> {
        let mut statuses: Vec<Status> = self.store.read_folder(&folder(commit))?;
        statuses.sort_by(|one, other| one.context.cmp(&other.context));
        Ok(statuses)
    }
}

fn folder(commit: &CommitId) -> String {
    format!("statuses/{commit}")
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
