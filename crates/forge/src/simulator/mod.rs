//! What people and servers do on the local forge, where it stands in for a forge on a server: settings, the push hook,
//! reviews, merges, and looking at what was written.
//!
//! These verbs are not part of the port: on another forge, people do this on its pages.

mod hook;
mod merge;
mod pull_requests;
mod push;
mod releases;
mod reviews;
mod settings;

pub use crate::local::branches::PushVerdict;
pub use crate::local::bypasses::BypassRecord;
pub use hook::HookProgram;
pub use merge::{Bypass, MergeOutcome};
pub use settings::{ForgeSettings, init, update};

use crate::local::LocalForge;

/// The verbs of people on a local forge, by the user for whom the forge was opened.
#[derive(Clone, Copy, Debug)]
pub struct Simulator<'a> {
    forge: &'a LocalForge,
}

impl LocalForge {
    /// What people do on this forge.
    pub fn simulator(&self) -> Simulator<'_> {
        Simulator { forge: self }
    }
}
