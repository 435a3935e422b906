//! Where logins come from: environment variables, the files that docker and podman keep, and the helper
//! programs that these files name.
//!
//! Nothing is read unasked, neither a variable nor a file: the caller names paths and values in [`CredentialSources`]
//! and loads them once. A login is then looked up for the host *that is asked* (a mirror's own host, never the name in
//! the lock), the longest name first: the repository, the folders above it, the host. What was set in the environment
//! beats every file.
//!
//! Secrets never show: the types that hold them print `[REDACTED]`, no message quotes a file's content or a helper's
//! output, and what people may know is a [`LoginSource`].

mod credential_key;
mod env_credentials;
mod error;
mod file;
mod helper;
mod login;
mod sources;
mod store;
mod work_tree;

pub use env_credentials::{EnvCredential, EnvCredentialsError, VariableProblem};
pub use error::{CredentialError, CredentialProblem};
pub use helper::HelperPrograms;
pub use login::{FailedHelper, Login, LoginSource, LoginTrace};
pub use process::EnvVars;
pub use sources::CredentialSources;
pub use store::Credentials;

pub(crate) use credential_key::CredentialKey;
#[cfg(feature = "fuzzing")]
pub(crate) use credential_key::canonical;
#[cfg(feature = "fuzzing")]
pub(crate) use file::{AuthFile, EntryContent};
pub(crate) use store::Found;
