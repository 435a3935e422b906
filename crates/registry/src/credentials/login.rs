use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

/// A login. Its debug form shows no secret, and there is no other form.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Login {
    /// A user and a password.
    Password {
        /// The user name.
        user: String,
        /// The password, or a token in its place.
        password: SecretString,
    },
    /// A token that is exchanged for short-lived ones at the token service.
    Identity(SecretString),
    /// A token that is shown to the registry as it is.
    Registry(SecretString),
}

impl Login {
    /// Sent with each request, or exchanged for a token where the registry has a token service.
    pub fn password(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Password { user: user.into(), password: password.into().into() }
    }

    /// Exchanged for short-lived tokens at the token service.
    pub fn identity(token: impl Into<String>) -> Self {
        Self::Identity(token.into().into())
    }

    /// Shown to the registry as it is.
    pub fn registry(token: impl Into<String>) -> Self {
        Self::Registry(token.into().into())
    }
}

/// Where a login came from, for people: never the login itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LoginSource {
    /// No login is known.
    Anonymous,
    /// It was set in the environment.
    Env {
        /// The variable, or another name that people know it by.
        name: String,
    },
    /// It stands in a file.
    File {
        /// As the caller named it.
        path: PathBuf,
    },
    /// A helper program gave it.
    Helper {
        /// As in `docker-credential-ecr-login`.
        program: String,
        /// The file that names the program.
        path: PathBuf,
    },
}

impl fmt::Display for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("nobody"),
            Self::Env { name } => write!(f, "`{name}`"),
            Self::File { path } => write!(f, "`{}`", path.display()),
            Self::Helper { program, path } => write!(f, "`{program}` (named in `{}`)", path.display()),
        }
    }
}

/// How a login was found, or why none was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LoginTrace {
    /// Where the login that is used came from.
    pub source: LoginSource,
    /// What should have given one and did not: helpers that failed, entries that cannot be read.
    pub problems: Vec<String>,
    /// The helper among them.
    pub failed_helper: Option<FailedHelper>,
}

/// A program that keeps logins, and gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct FailedHelper {
    /// As in `docker-credential-ecr-login`.
    pub program: String,
    /// The file that names the program.
    pub path: PathBuf,
    /// The server that it was asked about; absent where the program is not on the search path.
    pub asked: Option<String>,
}

impl FailedHelper {
    /// A program that is not on the search path.
    pub fn new(program: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), path: path.into(), asked: None }
    }
}

impl LoginTrace {
    pub(crate) fn anonymous() -> Self {
        Self { source: LoginSource::Anonymous, problems: Vec::new(), failed_helper: None }
    }

    /// The problems as the beginning of a message: they are why no login was sent.
    pub(crate) fn problems_first(&self) -> String {
        let mut text = self.problems.join("; ");
        if !text.is_empty() {
            text.push_str(", so no login was sent: ");
        }
        text
    }
}
