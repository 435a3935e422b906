use lock_model::UserName;

/// What a user may do on the forge now. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Not a user, or not one any more.
    None,
    /// Reads, comments and reviews.
    Read,
    /// Pushes to branches without protection, opens and merges pull requests, sets statuses.
    Write,
    /// Merges past missing statuses, which is recorded.
    Admin,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The word in the files.
        serde::Serialize::serialize(self, f)
    }
}

/// A person or a program that acts on the forge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct User {
    /// The login.
    pub name: UserName,
    /// What the user may do.
    pub role: Role,
    /// Whether it is a program.
    pub bot: bool,
    /// The mail addresses that the forge knows of the user, for commits.
    pub mails: Vec<String>,
}

impl User {
    /// A person.
    pub fn person(name: UserName, role: Role) -> Self {
        Self { name, role, bot: false, mails: Vec::new() }
    }

    /// A program.
    pub fn bot(name: UserName, role: Role) -> Self {
        Self { name, role, bot: true, mails: Vec::new() }
    }

    /// Sets the mail addresses.
    #[must_use]
    pub fn mails(self, mails: impl IntoIterator<Item = String>) -> Self {
        Self { mails: mails.into_iter().collect(), ..self }
    }
}
