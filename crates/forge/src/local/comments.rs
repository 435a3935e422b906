use super::LocalForge;
use super::access::{check_line, check_text};
use super::pulls::BODY_LIMIT;
use super::store;
use super::wire::CommentsFile;
use crate::error::ForgeError;
use crate::model::{Comment, Role, WriteOutcome};

const MARKER_LIMIT: usize = 100;

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
                file.comments.push(Comment::new(user, body, now));
            }
        }
        writer.write_json(&path, &file)?;
        Ok(outcome)
    }

    /// All comments of a pull request, oldest first.
    pub fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        self.read_pull(number)?;
        let files: Vec<CommentsFile> = self.store.read_folder(&folder(number))?;
        let mut comments: Vec<Comment> = files.into_iter().flat_map(|file| file.comments).collect();
        comments.sort_by(|one, other| (one.created_at, &one.user).cmp(&(other.created_at, &other.user)));
        Ok(comments)
    }
}

fn folder(number: u64) -> String {
    format!("pulls/{number}/comments")
}
