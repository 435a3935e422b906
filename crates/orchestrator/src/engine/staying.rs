//! What an automatic rollback leaves as it is.

use std::collections::BTreeSet;

use lock_model::ServiceName;

use crate::report::v1::NotRolledBack;

/// The services that a rollback after a failed deployment leaves as they are.
#[derive(Debug, Default)]
pub(crate) struct Staying {
    /// They came with the releases that it leaves, and the configuration does not delete them: no finding of its proof.
    pub came: BTreeSet<ServiceName>,
    /// Their data is migrated: they are not deployed, so that what runs is not the whole release.
    pub migrated: BTreeSet<ServiceName>,
    /// What of the first was found.
    pub named: Vec<NotRolledBack>,
    /// Whether what runs differs from the release in the migrated ones alone.
    pub(super) differs: bool,
}

impl Staying {
    /// `but for cart, web`.
    pub(super) fn but_for(&self) -> String {
        let names: Vec<&str> = self.migrated.iter().map(ServiceName::as_str).collect();
        format!("but for {}", names.join(", "))
    }
}
