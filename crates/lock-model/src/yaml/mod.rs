//! The lock file: a reader that says where it fails, and the one way to write.

mod deserialize;
mod node;
mod parse;
mod read;
mod scalar;
mod write;

pub use read::read;
pub use write::write;
