//! Where logins come from: values that were set explicitly, the files that docker and podman keep, and the helper
//! programs that these files name.
//!
//! Nothing is looked for on its own: the caller names paths and values in [`CredentialSources`] and loads them once.
//! A login is then looked up for the host *that is asked* (a mirror's own host, never the name in the lock), the
//! longest place first: the repository, the folders above it, the host. What was explicitly set beats every file.
//!
//! Secrets never show: the types that hold them print `[REDACTED]`, no message quotes a file's content or a helper's
//! output, and what people may know is a [`LoginSource`].

mod error;
mod explicit;
mod file;
mod helper;
mod login;
mod place;
mod sources;
mod store;

pub use error::{CredentialError, CredentialErrorKind};
pub use explicit::{ExplicitLogin, VariableError};
pub use helper::HelperPrograms;
pub use login::{Login, LoginSource, LoginTrace};
pub use sources::CredentialSources;
pub use store::Credentials;

#[cfg(feature = "fuzzing")]
pub(crate) use file::{AuthFile, EntryContent};
pub(crate) use place::Place;
#[cfg(feature = "fuzzing")]
pub(crate) use place::canonical;
pub(crate) use store::Found;
