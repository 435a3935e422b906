//! One type for each kind of identifier: parsed at the edge, trusted afterwards.

#[macro_use]
mod define;
mod chart;
mod digest;
mod git;
mod image;
mod name;

pub use chart::{ChartReference, ChartVersion};
pub use define::IdentifierError;
pub(crate) use define::is_hidden;
pub use digest::{Digest, LockId};
pub use git::{CommitId, RepositoryUrl, TreeId, TreePath};
pub use image::{ImageRepository, Platform, Tag};
pub use name::{KindName, OneLine, ServiceName, ThirdPartyName};

#[cfg(all(test, feature = "schema"))]
mod schema_tests;
