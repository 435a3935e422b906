//! The one way to start a program: an argument list, a named environment, a deadline, and no shell.
//!
//! [`Invocation`] starts a child in a process group of its own, with a closed standard input and nothing of our
//! environment but what is named, and ends the whole group when the deadline passes. Output is capped, and what is
//! shown of it is [redacted](Redactor). [`git`] builds on it: everything that this project asks the `git` program.

mod error;

mod invocation;
mod program;
mod redactor;
mod supervise;

pub use error::ProcessError;
pub use invocation::{Invocation, Output};
pub use program::{EnvVars, Program};
pub use redactor::Redactor;
pub use supervise::Interrupt;
