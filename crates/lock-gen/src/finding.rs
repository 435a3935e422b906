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
}

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// `.gitmodules` is not a plain file, not UTF-8, too large, or not in git's configuration syntax.
    UnreadableGitmodules,
    /// `.gitmodules` asks to include another file.
    Include,
    /// Two sections or keys of `.gitmodules`, or two entries of a tree, say different things about one subject.
    Duplicate,
    /// A section of `.gitmodules` lacks its path or URL.
    Incomplete,
    /// A submodule's name that git could misunderstand.
    UnsafeName,
    /// A path that could leave the tree or be misunderstood.
    UnsafePath,
    /// A URL that git could misunderstand, or that a lock cannot hold.
    UnsafeUrl,
    /// `.gitmodules` names a command.
    UpdateCommand,
    /// A gitlink without a section in `.gitmodules`.
    Undeclared,
    /// A symbolic link that does not lead to a file inside the tree.
    UnsafeLink,
    /// A submodule inside of a submodule.
    NestedSubmodule,
    /// More or larger files than allowed.
    TooLarge,
    /// A section of `.gitmodules` without a gitlink: git ignores it.
    Stale,
    /// A URL without TLS.
    PlainHttp,
    /// A section of `.gitmodules` that has no meaning there: git ignores it.
    Ignored,
    /// A commit that is on no branch of its remote.
    NotPushed,
    /// A repository of a host or owner that is not on the allow list.
    ForeignSource,
}

impl FindingKind {
    /// A stable word, such as `unsafe-path`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnreadableGitmodules => "unreadable-gitmodules",
            Self::Include => "include",
            Self::Duplicate => "duplicate",
            Self::Incomplete => "incomplete",
            Self::UnsafeName => "unsafe-name",
            Self::UnsafePath => "unsafe-path",
            Self::UnsafeUrl => "unsafe-url",
            Self::UpdateCommand => "update-command",
            Self::Undeclared => "undeclared",
            Self::UnsafeLink => "unsafe-link",
            Self::NestedSubmodule => "nested-submodule",
            Self::TooLarge => "too-large",
            Self::Stale => "stale",
            Self::PlainHttp => "plain-http",
            Self::Ignored => "ignored",
            Self::NotPushed => "not-pushed",
            Self::ForeignSource => "foreign-source",
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    pub(crate) fn new(
        kind: FindingKind,
        subject: impl AsRef<[u8]>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { subject: shown(subject.as_ref()), kind, message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.subject, self.message)
    }
}

/// Foreign text for people: what a terminal acts on or hides is escaped, as are bytes that are not UTF-8; at most 200
/// characters.
pub(crate) fn shown(bytes: &[u8]) -> String {
    lock_model::escaping::escape_short(bytes, 200)
}
