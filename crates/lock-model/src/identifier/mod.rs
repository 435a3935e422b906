//! One type for each kind of identifier: parsed at the edge, trusted afterwards.

#[macro_use]
mod macros;
mod chart;
#[macro_use]
mod digest;
mod environment;
mod forge;
mod git;
mod image;
mod name;
mod reference;
mod release;
#[cfg(all(test, feature = "schema"))]
mod schema_tests;

pub use chart::{ChartReference, ChartVersion};
pub use digest::{Digest, LockId};
pub use environment::{EnvironmentName, SuiteName};
pub use forge::{BranchName, ReleaseTag, UserName};
pub use git::{CommitId, CommitPrefix, RepositoryUrl, TreeId, TreePath, is_git_folder};
pub use image::{ImageRepository, Platform, Tag};
pub use macros::{IdentifierError, is_host_name};
pub use name::{KindName, OneLine, ServiceName, ThirdPartyName};
pub use reference::ImageReference;
pub use release::{ConfigDigest, ReleaseId, SuiteDigest};
