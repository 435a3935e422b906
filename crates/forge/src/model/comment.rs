use lock_model::{Timestamp, UserName};
use serde::{Deserialize, Serialize};

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

impl Comment {
    /// A comment that has not changed since it was written.
    pub(crate) fn new(user: UserName, body: &str, now: Timestamp) -> Self {
        Self { user, body: body.to_owned(), created_at: now, updated_at: now }
    }
}
