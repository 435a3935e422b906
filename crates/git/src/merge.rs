use lock_model::TreeId;

use super::answer::{self, not_understood, take_until};
use super::read::{failed, missing_or_failed, revision_operand, tree_id};
use super::{Git, GitError};

/// What merging two commits gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeTree {
    /// The merged tree.
    Clean(TreeId),
    /// The commits cannot be merged without a person.
    Conflict {
        /// The paths in conflict, sorted.
        paths: Vec<String>,
        /// What git says about them.
        messages: Vec<String>,
    },
}

impl Git {
    /// Merges two commits without a work tree and without making a commit.
    pub fn merge_tree(&self, ours: &str, theirs: &str) -> Result<MergeTree, GitError> {
        revision_operand(ours)?;
        revision_operand(theirs)?;
        let output = self.run(["merge-tree", "--write-tree", "--name-only", "--messages", "-z", ours, theirs])?;
        // NOTE: a tree is printed in both cases; only the exit status tells them apart.
        match output.code {
            Some(0) => {
                let mut rest = output.stdout.as_slice();
                let id = take_until(&mut rest, 0).ok_or_else(|| not_understood(&output, "a tree id"))?;
                tree_id(answer::text(id, &output)?, &output).map(MergeTree::Clean)
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
