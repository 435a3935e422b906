use gix::hash::ObjectId;
use gix::objs::Kind;
use lock_model::{CommitId, Timestamp, TreeId};

use crate::output::{self, commit_id, failed};
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
    /// The committer, likewise.
    pub committer: String,
    /// When it was committed, by the clock of the committer.
    pub committer_time: Timestamp,
    /// The first line of the message, without the line feed.
    pub subject: String,
    /// The message with its first line and the line feed at its end.
    pub message: String,
}

impl CommitFacts {
    /// The mail addresses of author and committer. Anybody can write any address there.
    pub fn mails(&self) -> [&str; 2] {
        [&self.author, &self.committer].map(|person| {
            let address = person.rsplit_once('<').map_or(person.as_str(), |(_, rest)| rest);
            address.strip_suffix('>').unwrap_or(address)
        })
    }
}

impl Git {
    /// The full id of the object that a revision names; nothing where there is no such revision.
    pub fn rev_parse(&self, revision: &str) -> Result<Option<String>, GitError> {
        operand::revision(revision)?;
        Ok(self.objects().named(revision)?.map(|id| id.to_string()))
    }

    /// What `git rev-parse` prints for a revision.
    pub(crate) fn ask_rev_parse(&self, revision: &str) -> Result<Option<String>, GitError> {
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
        let objects = self.objects();
        let Some(id) = objects.named(revision)? else { return Ok(None) };
        let Some((id, object)) = objects.peel(id, Kind::Commit)? else { return Ok(None) };
        let facts = parse_commit(id, &object.data);
        facts.map(Some).ok_or_else(|| GitError::unreadable(id.to_string(), "it is no whole commit"))
    }

    /// The size of an object in bytes, without reading it.
    pub fn object_size(&self, id: &str) -> Result<u64, GitError> {
        operand::revision(id)?;
        let objects = self.objects();
        let id = objects.named(id)?.ok_or_else(|| GitError::not_found(id))?;
        let header = objects.header(id)?;
        header.map(|(_, size)| size).ok_or_else(|| GitError::not_found(id.to_string()))
    }

    /// The ids of all objects that begin with these digits, four at least.
    pub fn objects_beginning_with(&self, digits: &str) -> Result<Vec<String>, GitError> {
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(GitError::operand("the beginning of an id", digits));
        }
        let output = self.run(["rev-parse", &format!("--disambiguate={digits}")])?.checked()?;
        Ok(output.stdout_text().lines().map(str::to_owned).collect())
    }

    /// The commits of a range, newest first; `arguments` as `git rev-list` takes them, such as `["--no-merges", "A..B"]`.
    pub fn rev_list(&self, arguments: &[&str]) -> Result<Vec<CommitId>, GitError> {
        let mut all = vec!["rev-list"];
        all.extend(arguments);
        let output = output::checked(self.run(all)?, arguments)?;
        output::line(&output)?.lines().map(|line| commit_id(line, &output)).collect()
    }

    /// The trees of a commit and of every commit before it, newest first.
    pub fn tree_history(&self, revision: &str) -> Result<Vec<TreeId>, GitError> {
        operand::revision(revision)?;
        let output = output::checked(self.run(["log", "--format=%T", revision, "--"])?, &[revision])?;
        output::line(&output)?.lines().map(|line| output::tree_id(line, &output)).collect()
    }
}

pub(crate) fn parse_commit(id: ObjectId, content: &[u8]) -> Option<CommitFacts> {
    let text = String::from_utf8_lossy(content);
    let (headers, message) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut tree = None;
    let mut parents = Vec::new();
    let mut author = String::new();
    let mut committer = String::new();
    let mut committer_time = None;
    for line in headers.lines() {
        match line.split_once(' ') {
            Some(("tree", value)) => tree = TreeId::try_from(value).ok(),
            Some(("parent", value)) => parents.push(CommitId::try_from(value).ok()?),
            Some(("author", value)) => value.rsplitn(3, ' ').nth(2)?.clone_into(&mut author),
            Some(("committer", value)) => {
                value.rsplitn(3, ' ').nth(2)?.clone_into(&mut committer);
                let seconds = value.rsplit(' ').nth(1)?.parse().ok()?;
                committer_time = Some(Timestamp::from_unix_seconds(seconds));
            }
            _ => {}
        }
    }
    Some(CommitFacts {
        id: crate::history::commit_id(id),
        tree: tree?,
        parents,
        author,
        committer,
        committer_time: committer_time?,
        subject: message.lines().next().unwrap_or_default().to_owned(),
        message: message.to_owned(),
    })
}
