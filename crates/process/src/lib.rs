//! The one way to start a program: an argument list, a named environment, a deadline, and no shell.
//!
//! [`Invocation`] starts a child in a process group of its own, with a closed standard input and no environment variable
//! but those that it is given, and ends the whole group when the deadline passes. Output is capped; commands and output
//! that errors show are [redacted](Redactor). By means of a [`Launcher`] a program, with all that it started, is ended with the
//! caller, however that ends.
//!
//! ```
//! use std::time::Duration;
//!
//! use process::{EnvVars, Invocation, Program};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let search_path = "/usr/local/bin:/usr/bin:/bin";
//! let sort = Program::find("sort", search_path.as_ref())?;
//! let output = Invocation::new(&sort)
//!     .arg("--unique")
//!     .envs(&EnvVars::new().set("PATH", search_path).set("LC_ALL", "C"))
//!     .stdin("b\na\nb\n")
//!     .deadline(Duration::from_secs(10))
//!     .run()?
//!     .checked()?;
//! assert_eq!(output.stdout_text(), "a\nb\n");
//! # Ok(())
//! # }
//! ```
//!
//! # Runtime
//!
//! None is needed: [`Invocation::run`] blocks the calling thread until the child has ended. Unix only.

mod env_vars;
mod error;
mod invocation;
mod launcher;
mod program;
mod redactor;
mod supervise;

pub use env_vars::EnvVars;
pub use error::{ProcessError, ProcessErrorKind};
pub use invocation::{Invocation, Output, Priority};
pub use launcher::{LaunchError, Launcher, guard, launch};
pub use lock_model;
pub use program::Program;
pub use redactor::Redactor;
pub use supervise::{EndOnDrop, Held, Interrupt};
