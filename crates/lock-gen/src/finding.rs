use std::fmt;

/// One thing that is wrong with a tree, or worth saying about it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is about: a path or a name, with control characters escaped.
    pub subject: String,
    /// The kind of finding.
    pub kind: FindingKind,
    /// What is wrong, to be read after the subject.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// The kind of a [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// `.gitmodules` is no file, no text, too large, or not in git's configuration syntax.
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
    /// A stable word for machines.
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

/// Foreign text for people: control and direction characters, and bytes that are no UTF-8, escaped; never long.
pub(crate) fn shown(bytes: &[u8]) -> String {
    lock_model::escaping::escape_short(bytes, 200)
}
