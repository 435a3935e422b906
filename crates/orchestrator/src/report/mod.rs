//! What commands answer, and the pages that a forge shows.
//!
//! [`v1`] has one type a command: plain data that a program can read. [`markdown`] has the comments and pull request bodies
//! that people read on a forge.

pub mod markdown;
pub mod v1;
