use lock_model::{CommitId, Timestamp, TreeId};
use process::Output;

use crate::output::{self, BatchObject, batch_header, commit_id, failed, missing_or_failed, take, unexpected};
use crate::{Git, GitError, operand};

/// The content of a commit object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitFacts {
    /// Its own id.
    pub id: CommitId,
    /// The tree that it records.
    pub tree: TreeId,
    /// First the one that it was made on; none for a root commit.
    pub parents: Vec<CommitId>,
    /// The author, as `NAME <EMAIL>`.
    pub author: String,
    /// When it was committed, by the clock of the committer.
    pub committer_time: Timestamp,
    /// The first line of the message, without the line feed.
    pub subject: String,
    /// The message with its first line and the line feed at its end.
    pub message: String,
}

/// Who a commit says has made it. Anybody can write any address there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitMails {
    /// The commit.
    pub id: CommitId,
    /// Mail address of the author.
    pub author: String,
    /// Mail address of the committer.
    pub committer: String,
}

impl Git {
    /// The full id of the object that a revision names; nothing where there is no such revision.
    pub fn rev_parse(&self, revision: &str) -> Result<Option<String>, GitError> {
        operand::revision(revision)?;
        let output = self.run(["rev-parse", "--verify", "--quiet", "--end-of-options", revision])?;
        match output.code {
            Some(0) => Ok(Some(output::line(&output)?.to_owned())),
            Some(1) => Ok(None),
            // Such as a revision with a `^{commit}` that is not a commit.
            Some(128) if output.stderr.is_empty() => Ok(None),
            _ => Err(failed(output)),
        }
    }

    /// The commit that a revision names; a tag is followed. Nothing where there is no such revision.
    pub fn commit(&self, revision: &str) -> Result<Option<CommitFacts>, GitError> {
        operand::revision(revision)?;
        let name = format!("{revision}^{{commit}}");
        let output = self.batch(&format!("{name}\n"))?;
        let mut rest = output.stdout.as_slice();
        match batch_header(&mut rest, name.as_bytes(), &output)? {
            BatchObject::Missing => Ok(None),
            BatchObject::Found { id, kind: "commit", size } => {
                let content = take(&mut rest, size).ok_or_else(|| unexpected(&output, "a whole commit"))?;
                parse_commit(id, content).map(Some).ok_or_else(|| unexpected(&output, "a commit object"))
            }
            BatchObject::Found { .. } => Err(unexpected(&output, "a commit")),
        }
    }

    /// Whether `ancestor` is reachable from `descendant`; a commit is its own ancestor.
    pub fn is_ancestor(&self, ancestor: &str, descendant: &str) -> Result<bool, GitError> {
        operand::revision(ancestor)?;
        operand::revision(descendant)?;
        let output = self.run(["merge-base", "--is-ancestor", ancestor, descendant])?;
        match output.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(missing_or_failed(output, &[ancestor, descendant])),
        }
    }

    /// The best common ancestor of two commits; nothing for unrelated histories.
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<CommitId>, GitError> {
        operand::revision(one)?;
        operand::revision(other)?;
        let output = self.run(["merge-base", one, other])?;
        match output.code {
            Some(0) => commit_id(output::line(&output)?, &output).map(Some),
            Some(1) => Ok(None),
            _ => Err(missing_or_failed(output, &[one, other])),
        }
    }

    /// The commits of a range, newest first; `arguments` as `git rev-list` takes them, such as
    /// `["--first-parent", "A..B"]`.
    pub fn rev_list(&self, arguments: &[&str]) -> Result<Vec<CommitId>, GitError> {
        let mut all = vec!["rev-list"];
        all.extend(arguments);
        let output = output::checked(self.run(all)?, arguments)?;
        output::line(&output)?.lines().map(|line| commit_id(line, &output)).collect()
    }

    /// The commits of a range with the mail addresses of author and committer, newest first; `arguments` as
    /// `git rev-list` takes them.
    pub fn commit_mails(&self, arguments: &[&str]) -> Result<Vec<CommitMails>, GitError> {
        let mut all = vec!["rev-list", "--no-commit-header", "--format=%H%x00%ae%x00%ce%x00"];
        all.extend(arguments);
        let output = output::checked(self.run(all)?, arguments)?;
        let mut rest = output.stdout.as_slice();
        let mut commits = Vec::new();
        while let Some(id) = output::take_until(&mut rest, 0) {
            let mut mail = || output::take_until(&mut rest, 0).map(|mail| String::from_utf8_lossy(mail).into_owned());
            let (Some(author), Some(committer)) = (mail(), mail()) else {
                return Err(unexpected(&output, "two addresses of a commit"));
            };
            // Each entry ends with a line feed.
            let id = id.strip_prefix(b"\n").unwrap_or(id);
            commits.push(CommitMails { id: commit_id(output::text(id, &output)?, &output)?, author, committer });
        }
        Ok(commits)
    }

    /// The trees of a commit and of every commit before it, newest first.
    pub fn tree_history(&self, revision: &str) -> Result<Vec<TreeId>, GitError> {
        operand::revision(revision)?;
        let output = output::checked(self.run(["log", "--format=%T", revision, "--"])?, &[revision])?;
        output::line(&output)?.lines().map(|line| output::tree_id(line, &output)).collect()
    }

    /// The content of the objects that the lines name.
    pub(crate) fn batch(&self, input: &str) -> Result<Output, GitError> {
        Ok(self.invocation(["cat-file", "--batch"]).stdin(input).run()?.checked()?)
    }
}

fn parse_commit(id: &str, content: &[u8]) -> Option<CommitFacts> {
    let text = String::from_utf8_lossy(content);
    let (headers, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author = String::new();
    let mut committer_time = None;
    for line in headers.lines() {
        match line.split_once(' ') {
            Some(("tree", value)) => tree = TreeId::try_from(value).ok(),
            Some(("parent", value)) => parents.push(CommitId::try_from(value).ok()?),
            Some(("author", value)) => value.rsplitn(3, ' ').nth(2)?.clone_into(&mut author),
            Some(("committer", value)) => {
                let seconds = value.rsplit(' ').nth(1)?.parse().ok()?;
                committer_time = Some(Timestamp::from_unix_seconds(seconds));
            }
            _ => {}
        }
    }
    Some(CommitFacts {
        id: CommitId::try_from(id).ok()?,
        tree: tree?,
        parents,
        author,
        committer_time: committer_time?,
        subject: message.lines().next().unwrap_or_default().to_owned(),
        message: message.to_owned(),
    })
}
