//! Comments, each found again by its marker and its author.

use lock_model::Timestamp;

use super::access::{check_line, check_text};
use super::open::LocalForge;
use super::pulls::BODY_LIMIT;
use super::store;
use super::wire::{CommentEntry, CommentsFile, FORMAT_VERSION};
use crate::error::ForgeError;
use crate::model::{Comment, Role, Written};

const MARKER_LIMIT: usize = 100;

impl LocalForge {
    /// Writes our comment with this marker.
    ///
    /// Somebody else's comment with the same marker is not ours: it is neither found nor changed.
    pub fn upsert_comment(&self, number: u64, marker: &str, body: &str, now: Timestamp) -> Result<Written, ForgeError> {
        check_line("the marker", marker, MARKER_LIMIT)?;
        check_text("the comment", body, BODY_LIMIT)?;
        let path = format!("{}/{}.json", folder(number), store::file_name("marker", marker)?);
        let user = self.require(Role::Read, || format!("comment on pull request {number}"))?.name;
        self.read_pull(number)?;

        let writer = self.store.writer()?;
        let file: Option<CommentsFile> = self.store.read_json(&path)?;
        let mut file = file.unwrap_or_else(|| CommentsFile {
            version: FORMAT_VERSION,
            marker: marker.to_owned(),
            comments: Vec::new(),
        });
        let written = match file.comments.iter_mut().find(|comment| comment.user == user) {
            Some(comment) if comment.body == body => return Ok(Written::Unchanged),
            Some(comment) => {
                body.clone_into(&mut comment.body);
                comment.updated_at = now;
                Written::Updated
            }
            None => {
                file.comments.push(CommentEntry { user, body: body.to_owned(), created_at: now, updated_at: now });
                Written::Created
            }
        };
        writer.write_json(&path, &file)?;
        Ok(written)
    }

    /// All comments of a pull request, oldest first.
    pub fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.read_pull(number)?;
        let folder = folder(number);
        let mut comments = Vec::new();
        for name in self.store.names(&folder)? {
            if let Some(file) = self.store.read_json::<CommentsFile>(&format!("{folder}/{name}"))? {
                comments.extend(file.into_comments());
            }
        }
        comments.sort_by(|one: &Comment, other| {
            (one.created_at, &one.marker, &one.user).cmp(&(other.created_at, &other.marker, &other.user))
        });
        Ok(comments)
    }
}

fn folder(number: u64) -> String {
    format!("pulls/{number}/comments")
}
