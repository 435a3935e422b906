use lock_model::{Timestamp, UserName};
use serde::{Deserialize, Serialize};

use super::LocalForge;
use super::access::{check_line, check_text};
use super::pulls::BODY_LIMIT;
use super::store;
use super::wire::CommentsFile;
use crate::error::ForgeError;
use crate::model::{Role, WriteOutcome};

const MARKER_LIMIT: usize = 100;

/// A comment on a pull request; an author has one for each marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Comment {
    /// The author.
    pub user: UserName,
    /// Markdown.
    pub body: String,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl LocalForge {
    /// Writes the acting user's comment with this marker.
    ///
    /// Another user's comment with the same marker is neither found nor changed.
    pub fn upsert_comment(&self, number: u64, marker: &str, body: &str) -> Result<WriteOutcome, ForgeError> {
        check_line("the marker", marker, MARKER_LIMIT)?;
        check_text("the comment", body, BODY_LIMIT)?;
        let path = format!("{}/{}.json", folder(number), store::file_name("marker", marker)?);
        let user = self.require(Role::Read, || format!("comment on pull request {number}"))?.name;
        self.read_pull(number)?;

        let now = self.clock.now();
        let writer = self.store.writer()?;
        let file: Option<CommentsFile> = self.store.read_json(&path)?;
        let mut file = file.unwrap_or_else(|| CommentsFile { marker: marker.to_owned(), comments: Vec::new() });
        let own = file.comments.iter_mut().find(|comment| comment.user == user);
        let outcome = WriteOutcome::of(own.as_ref().map(|comment| comment.body.as_str()), body);
        match own {
            Some(_) if outcome == WriteOutcome::Unchanged => return Ok(outcome),
            Some(comment) => {
                body.clone_into(&mut comment.body);
                comment.updated_at = now;
            }
            None => {
                file.comments.push(Comment { user, body: body.to_owned(), created_at: now, updated_at: now });
            }
        }
        writer.write_json(&path, &file)?;
        Ok(outcome)
    }
}

pub(crate) fn folder(number: u64) -> String {
    format!("pulls/{number}/comments")
}
