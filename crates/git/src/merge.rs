use lock_model::TreeId;

use crate::output::{self, failed, missing_or_failed, take_until, tree_id, unexpected};
use crate::{Git, GitError, operand};

/// The outcome of [`Git::merge_tree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeTree {
    /// The merged tree; it is in the repository.
    Clean(TreeId),
    /// The commits cannot be merged without a person.
    Conflict {
        /// The paths in conflict, sorted; empty for unrelated histories.
        paths: Vec<String>,
        /// Git's descriptions of the conflicts.
        messages: Vec<String>,
    },
}

impl Git {
    /// Merges two commits without a work tree and without making a commit.
    pub fn merge_tree(&self, ours: &str, theirs: &str) -> Result<MergeTree, GitError> {
        operand::revision(ours)?;
        operand::revision(theirs)?;
        let output = self.run(["merge-tree", "--write-tree", "--name-only", "--messages", "-z", ours, theirs])?;
        // NOTE: a tree is printed in both cases; only the exit status tells them apart.
        match output.code {
            Some(0) => {
                let mut rest = output.stdout.as_slice();
                let id = take_until(&mut rest, 0).ok_or_else(|| unexpected(&output, "a tree id"))?;
                tree_id(output::text(id, &output)?, &output).map(MergeTree::Clean)
            }
            // A commit that does not exist ends with the status of a conflict too, but without a tree.
            Some(1) if output.stdout.is_empty() => Err(missing_or_failed(output, &[ours, theirs])),
            Some(1) => {
                let mut rest = output.stdout.as_slice();
                let _tree = take_until(&mut rest, 0);
                let mut paths = Vec::new();
                while let Some(path) = take_until(&mut rest, 0).filter(|path| !path.is_empty()) {
                    paths.push(String::from_utf8_lossy(path).into_owned());
                }
                paths.sort_unstable();
                paths.dedup();
                Ok(MergeTree::Conflict { paths, messages: messages(rest) })
            }
            _ if output.stderr_text().contains("unrelated histories") => Ok(MergeTree::Conflict {
                paths: Vec::new(),
                messages: vec!["the two commits have no common ancestor".to_owned()],
            }),
            Some(128) => Err(missing_or_failed(output, &[ours, theirs])),
            _ => Err(failed(output)),
        }
    }
}

/// Groups of: number of paths, the paths, a stable word for the kind, the message.
fn messages(mut rest: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(count) = take_until(&mut rest, 0) {
        let Some(count) = std::str::from_utf8(count).ok().and_then(|count| count.parse::<usize>().ok()) else { break };
        for _ in 0..count {
            take_until(&mut rest, 0);
        }
        let (Some(kind), Some(message)) = (take_until(&mut rest, 0), take_until(&mut rest, 0)) else { break };
        if kind.starts_with(b"CONFLICT") {
            messages.push(String::from_utf8_lossy(message).trim_end().to_owned());
        }
    }
    messages
}
