//! The lock file: a reader that says where it fails, and the one way to write.

mod deserialize;
mod node;
mod parse;
mod scalar;
mod syntax;
mod write;
