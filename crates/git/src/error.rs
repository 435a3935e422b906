use std::error::Error;
use std::fmt;
use std::path::Path;

use lock_model::ErrorClass;
use process::ProcessError;

use crate::MINIMUM_VERSION;

/// A question to git without an answer, or a change that git did not make.
#[derive(Debug)]
pub struct GitError {
    kind: GitErrorKind,
    class: ErrorClass,
    subject: String,
    detail: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong with git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GitErrorKind {
    /// The folder is in no git repository.
    NotARepository,
    /// The repository belongs to another user, whose configuration could run programs as this one.
    ForeignOwner,
    /// The installed git is older than [`MINIMUM_VERSION`].
    TooOld,
    /// A revision, tree or object does not exist in the repository.
    NotFound,
    /// An object, ref or repository is there and cannot be read: it is damaged, or too large.
    Unreadable,
    /// A remote could not be reached, or did not do what it was asked; [`GitError::class`] says which.
    Remote,
    /// An `insteadOf` of the configuration makes a folder or a remote helper of an address that was none.
    Rewritten,
    /// A value was refused before git saw it: git could take it for an option, a pattern, or several lines.
    Operand,
    /// Git ended well, but printed something that its manual does not describe.
    UnexpectedOutput,
    /// A temporary file or folder could not be used.
    Io,
    /// The program could not be run, or ended with a failure that none of the other kinds describes.
    Process,
}

impl GitError {
    fn new(kind: GitErrorKind, class: ErrorClass, subject: impl Into<String>, detail: &'static str) -> Self {
        Self { kind, class, subject: subject.into(), detail, source: None }
    }

    fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    pub(crate) fn not_a_repository(folder: &Path) -> Self {
        Self::new(GitErrorKind::NotARepository, ErrorClass::NotFound, folder.to_string_lossy(), "")
    }

    pub(crate) fn foreign_owner(folder: &Path) -> Self {
        Self::new(GitErrorKind::ForeignOwner, ErrorClass::Denied, folder.to_string_lossy(), "")
    }

    pub(crate) fn too_old(found: &str) -> Self {
        Self::new(GitErrorKind::TooOld, ErrorClass::Invalid, found, "")
    }

    pub(crate) fn not_found(object: impl Into<String>) -> Self {
        Self::new(GitErrorKind::NotFound, ErrorClass::NotFound, object, "")
    }

    pub(crate) fn unreadable(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(GitErrorKind::Unreadable, ErrorClass::Invalid, what, "").with_source(source)
    }

    pub(crate) fn remote(remote: String, class: ErrorClass, detail: &'static str, source: ProcessError) -> Self {
        Self::new(GitErrorKind::Remote, class, remote, detail).with_source(in_short(source))
    }

    pub(crate) fn rewritten(address: String, url: &str) -> Self {
        let source = format!("an `insteadOf` makes `{url}` of it, which is neither https nor ssh");
        Self::new(GitErrorKind::Rewritten, ErrorClass::Invalid, address, "").with_source(source)
    }

    pub(crate) fn operand(meant_as: &'static str, value: &str) -> Self {
        let shown: String = value.escape_default().take(200).collect();
        Self::new(GitErrorKind::Operand, ErrorClass::Invalid, shown, meant_as)
    }

    pub(crate) fn unexpected_output(command: &str, expected: &'static str) -> Self {
        Self::new(GitErrorKind::UnexpectedOutput, ErrorClass::Bug, command, expected)
    }

    pub(crate) fn io(folder: &Path, source: std::io::Error) -> Self {
        let class = ErrorClass::of_io(&source, ErrorClass::Invalid);
        Self::new(GitErrorKind::Io, class, folder.to_string_lossy(), "").with_source(source)
    }

    /// What went wrong.
    pub fn kind(&self) -> GitErrorKind {
        self.kind
    }

    /// What it is about: a folder, a revision, a remote without credentials, a value; of a program its whole message.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Of a remote, read from git's messages: not found, denied, temporary, or invalid. Of a program, see
    /// [`ProcessError::class`]. Otherwise missing things are [`NotFound`](ErrorClass::NotFound), a repository of another
    /// user is [`Denied`](ErrorClass::Denied), a disk that is full or not to be written to is
    /// [`Storage`](ErrorClass::Storage), unexpected output is a [`Bug`](ErrorClass::Bug), and the rest is
    /// [`Invalid`](ErrorClass::Invalid).
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether git was ended because its deadline passed.
    pub fn is_deadline(&self) -> bool {
        self.process_error().is_some_and(ProcessError::is_deadline)
    }

    /// Whether the remote has no object of the id that was asked for, or does not give it out.
    pub fn is_unknown_object(&self) -> bool {
        self.kind == GitErrorKind::Remote && self.source_text().contains("not our ref")
    }

    /// What a remote's failure is about, where git's words say more than the [class](Self::class).
    pub fn remote_fault(&self) -> Option<RemoteFault> {
        if self.kind == GitErrorKind::Remote { RemoteFault::of(&self.source_text()) } else { None }
    }

    /// The id of an object that the remote lists and does not send: a tag of a tree or file, where only commits were
    /// asked for.
    pub fn unsent_object(&self) -> Option<String> {
        let text = self.source_text();
        let (_, rest) = text.split_once("bad revision '")?;
        let (id, _) = rest.split_once('\'')?;
        (self.kind == GitErrorKind::Remote).then(|| id.to_owned())
    }

    fn process_error(&self) -> Option<&ProcessError> {
        self.source.as_ref()?.downcast_ref()
    }

    fn source_text(&self) -> String {
        self.process_error().map(ToString::to_string).unwrap_or_default()
    }
}

/// What keeps a remote from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteFault {
    /// Its certificate is signed by an authority that git does not trust.
    Untrusted,
    /// Its certificate is not valid now, or not for this host.
    Certificate,
    /// The file with authorities that git is given is not there, or is none.
    AuthorityFile,
    /// It has no such repository, or does not show it to this user.
    UnknownRepository,
    /// Its name has no address.
    UnknownHost,
}

impl RemoteFault {
    /// Reads the words of git, of curl with its TLS libraries, and of ssh.
    pub(crate) fn of(stderr: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|words| stderr.contains(words));
        if has(&["error setting certificate", "error reading ca cert file", "Problem with the SSL CA cert"]) {
            Some(Self::AuthorityFile)
        } else if has(&[
            "certificate has expired",
            "certificate is not yet valid",
            "no alternative certificate subject",
        ]) || has(&[
            "does not match target host name",
            "certificate expired",
            "SSL: certificate subject name",
        ]) {
            Some(Self::Certificate)
        } else if has(&["SSL certificate problem", "certificate verification failed", "SEC_E_UNTRUSTED_ROOT"]) {
            Some(Self::Untrusted)
        } else if has(&["epository not found", "epository '", "ERROR: The project you were looking for"])
            && has(&["not found", "could not be found"])
        {
            Some(Self::UnknownRepository)
        } else if has(&["Could not resolve host"]) {
            Some(Self::UnknownHost)
        } else {
            None
        }
    }
}

/// Whether git says that it cannot write here. What a remote says of its own disk begins with `remote:`.
pub(crate) fn names_storage(lines: &[String]) -> bool {
    const WORDS: [&str; 6] = [
        "No space left on device",
        "Disk quota exceeded",
        "Read-only file system",
        "File too large",
        "Permission denied",
        "insufficient permission for adding an object",
    ];
    let own = lines.iter().filter(|line| !line.starts_with("remote:") && !line.contains("publickey"));
    own.into_iter().any(|line| WORDS.iter().any(|words| line.contains(words)))
}

/// The error without the arguments, which may be many and long: git's own last lines say what is wrong.
fn in_short(error: ProcessError) -> ProcessError {
    let mut words = error.command().split_whitespace();
    let Some(program) = words.next() else { return error };
    let mut subcommand = None;
    while let Some(word) = words.next() {
        match word {
            "-C" | "-c" | "--git-dir" | "--work-tree" => drop(words.next()),
            option if option.starts_with('-') => {}
            other => {
                subcommand = Some(other);
                break;
            }
        }
    }
    let short = subcommand.map_or_else(|| program.to_owned(), |subcommand| format!("{program} {subcommand}"));
    error.with_command(short)
}

impl From<ProcessError> for GitError {
    fn from(error: ProcessError) -> Self {
        let class = if names_storage(error.stderr()) { ErrorClass::Storage } else { error.class() };
        let error = in_short(error);
        Self::new(GitErrorKind::Process, class, error.to_string(), "").with_source(error)
    }
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, subject, detail, .. } = self;
        match kind {
            GitErrorKind::NotARepository => write!(f, "`{subject}` is not a git repository"),
            GitErrorKind::ForeignOwner => write!(f, "repository `{subject}` belongs to another user"),
            GitErrorKind::TooOld => {
                let (major, minor) = MINIMUM_VERSION;
                write!(f, "git {subject} is too old: {major}.{minor} or newer is needed")
            }
            GitErrorKind::NotFound => write!(f, "`{subject}` does not exist in the repository"),
            GitErrorKind::Unreadable => write!(f, "`{subject}` cannot be read"),
            GitErrorKind::Remote => write!(f, "remote `{subject}`: {detail}"),
            GitErrorKind::Rewritten => write!(f, "`{subject}` is not fetched from where git's configuration leads"),
            GitErrorKind::Operand => write!(f, "`{subject}` is not usable as {detail}"),
            GitErrorKind::UnexpectedOutput => write!(f, "answer of `{subject}` not understood: {detail}"),
            GitErrorKind::Io => write!(f, "cannot write in `{subject}`"),
            GitErrorKind::Process => f.write_str(subject),
        }
    }
}

impl Error for GitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref()?;
        // The text of this error is that of the program's error already.
        if self.kind == GitErrorKind::Process { source.source() } else { Some(source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_remotes_failure_is_about_is_read_from_the_words_of_curl_and_ssh() {
        for (words, fault) in [
            ("SSL certificate problem: unable to get local issuer certificate", Some(RemoteFault::Untrusted)),
            ("server certificate verification failed. CAfile: none CRLfile: none", Some(RemoteFault::Untrusted)),
            ("SSL certificate problem: certificate has expired", Some(RemoteFault::Certificate)),
            ("SSL: certificate subject name (a) does not match target host name 'b'", Some(RemoteFault::Certificate)),
            (
                "SSL: no alternative certificate subject name matches target host name 'b'",
                Some(RemoteFault::Certificate),
            ),
            ("error setting certificate verify locations:  CAfile: /x CApath: none", Some(RemoteFault::AuthorityFile)),
            ("Problem with the SSL CA cert (path? access rights?)", Some(RemoteFault::AuthorityFile)),
            (
                "remote: Repository not found.\nfatal: repository 'https://h/a' not found",
                Some(RemoteFault::UnknownRepository),
            ),
            ("fatal: repository 'https://h/a/' not found", Some(RemoteFault::UnknownRepository)),
            ("ERROR: Repository not found.", Some(RemoteFault::UnknownRepository)),
            ("ERROR: The project you were looking for could not be found", Some(RemoteFault::UnknownRepository)),
            ("Could not resolve host: h.example", Some(RemoteFault::UnknownHost)),
            ("ssh: Could not resolve hostname h: Name or service not known", Some(RemoteFault::UnknownHost)),
            ("fatal: couldn't find remote ref main", None),
            ("Connection refused", None),
        ] {
            assert_eq!(RemoteFault::of(words), fault, "{words}");
        }
    }
}
