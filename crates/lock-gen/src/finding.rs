use std::fmt;

/// One thing that a check found wrong with a tree or a submodule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Finding {
    /// The path or name that it is about, with control characters escaped.
    pub subject: String,
    /// The kind, for machines.
    pub kind: FindingKind,
    /// What is wrong, to be read after the subject.
    pub message: String,
    /// What fixes it.
    pub hint: String,
    /// The line of the root's `.gitmodules` that is at fault, counted from 1; absent where the fault is elsewhere.
    pub line: Option<usize>,
}

lock_model::words! {
    /// What a [`Finding`] is about.
    #[non_exhaustive]
    FindingKind, "kind of finding" {
        /// `.gitmodules` is not a plain file, not UTF-8, too large, or not in git's configuration syntax.
        UnreadableGitmodules = "unreadable-gitmodules",
        /// `.gitmodules` asks to include another file.
        Include = "include",
        /// Two sections or keys of `.gitmodules`, or two entries of a tree, say different things about one subject.
        Duplicate = "duplicate",
        /// A section of `.gitmodules` lacks its path or URL.
        Incomplete = "incomplete",
        /// A submodule's name that git could misunderstand.
        UnsafeName = "unsafe-name",
        /// A path that could leave the tree or be misunderstood.
        UnsafePath = "unsafe-path",
        /// A URL that git could misunderstand, or that a lock cannot hold.
        UnsafeUrl = "unsafe-url",
        /// `.gitmodules` names a command.
        UpdateCommand = "update-command",
        /// A gitlink without a section in `.gitmodules`.
        Undeclared = "undeclared",
        /// A symbolic link that does not lead to a file inside the tree.
        UnsafeLink = "unsafe-link",
        /// A submodule inside of a submodule.
        NestedSubmodule = "nested-submodule",
        /// More or larger files than allowed.
        TooLarge = "too-large",
        /// A section of `.gitmodules` without a gitlink: git ignores it.
        Stale = "stale",
        /// A URL without TLS.
        PlainHttp = "plain-http",
        /// A user, perhaps a token, in a URL.
        User = "user",
        /// A section of `.gitmodules` that has no meaning there: git ignores it.
        Ignored = "ignored",
        /// A commit that is on no branch of its remote.
        NotPushed = "not-pushed",
        /// A repository of a host or owner that is not on the allow list.
        ForeignSource = "foreign-source",
    }
}

impl Finding {
    pub(crate) fn new(
        kind: FindingKind,
        subject: impl AsRef<[u8]>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { subject: shown(subject.as_ref()), kind, message: message.into(), hint: hint.into(), line: None }
    }

    pub(crate) fn at(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// What is wrong and in which line, to be read after the subject.
    pub fn sentence(&self) -> String {
        match self.line {
            Some(line) => format!("{} ({}:{line})", self.message, lock_model::GITMODULES_FILE),
            None => self.message.clone(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.subject, self.sentence())
    }
}

/// Foreign text for people: what a terminal acts on or hides is escaped, as are bytes that are not UTF-8, and credentials
/// of addresses are masked; at most 200 characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => lock_model::escaping::escape_short(lock_model::escaping::mask_credentials(text).as_bytes(), 200),
        Err(_) => lock_model::escaping::escape_short(bytes, 200),
    }
}
