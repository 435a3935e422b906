use std::ffi::OsString;

use lock_model::TreeId;
use tempfile::TempDir;

use crate::options::base_invocation;
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
    /// Merges two commits, by their full ids, without a work tree and without making a commit.
    ///
    /// Neither attributes nor merge drivers of the repository or its user take part: the result is the same in every
    /// clone, and runs no program of theirs.
    pub fn merge_tree(&self, ours: &str, theirs: &str) -> Result<MergeTree, GitError> {
        operand::revision(ours)?;
        operand::revision(theirs)?;
        // Where one has all of the other's history, nothing is to be merged.
        for (newer, older) in [(theirs, ours), (ours, theirs)] {
            if self.is_ancestor(older, newer)? {
                let tree = self.commit(newer)?.ok_or_else(|| GitError::not_found(newer))?.tree;
                return Ok(MergeTree::Clean(tree));
            }
        }
        let elsewhere = self.without_configuration(ours)?;
        let mut git_dir = OsString::from("--git-dir=");
        git_dir.push(elsewhere.path());
        let output = base_invocation(self.program(), self.options())
            .env("GIT_OBJECT_DIRECTORY", self.common_dir().join("objects"))
            .env("GIT_SHALLOW_FILE", self.common_dir().join("shallow"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(elsewhere.path())
            .arg(git_dir)
            .args(["merge-tree", "--write-tree", "--name-only", "--messages", "-z", ours, theirs])
            .run()?;
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

    /// A bare repository without refs, configuration and attributes, for a command that is given this one's objects.
    fn without_configuration(&self, id: &str) -> Result<TempDir, GitError> {
        let objects = self.common_dir().join("objects");
        let make = || {
            // `git prune` removes what starts like this, should this process be killed.
            let folder = tempfile::Builder::new().prefix("tmp_orchestrator_").tempdir_in(&objects)?;
            let format = if id.len() == SHA256_DIGITS { SHA256_CONFIG } else { SHA1_CONFIG };
            std::fs::create_dir(folder.path().join("refs"))?;
            std::fs::write(folder.path().join("HEAD"), "ref: refs/heads/none\n")?;
            std::fs::write(folder.path().join("config"), format)?;
            Ok(folder)
        };
        make().map_err(|error| GitError::io(&objects, error))
    }
}

/// Hexadecimal digits of an id in a repository with SHA-256.
const SHA256_DIGITS: usize = 64;
const SHA1_CONFIG: &str = "[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n";
const SHA256_CONFIG: &str =
    "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n";

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
