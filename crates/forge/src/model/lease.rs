use std::fmt::Debug;

use lock_model::{EnvironmentName, Timestamp};
use serde::{Deserialize, Serialize};

/// The run that holds an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LeaseHolder {
    /// The environment.
    pub environment: EnvironmentName,
    /// How the holder names itself, such as user and run.
    pub holder: String,
    /// When it took the environment.
    pub since: Timestamp,
}

/// The right to be the only run that works on an environment.
///
/// It ends when this value is dropped, and when its process ends in any way.
#[derive(Debug)]
#[must_use = "the environment is free again as soon as this is dropped"]
pub struct Lease {
    holder: LeaseHolder,
    abandoned_by: Option<LeaseHolder>,
    _guard: Box<dyn Debug + Send + Sync>,
}

impl Lease {
    /// `guard` gives the environment back when it is dropped.
    pub(crate) fn new(
        holder: LeaseHolder,
        abandoned_by: Option<LeaseHolder>,
        guard: impl Debug + Send + Sync + 'static,
    ) -> Self {
        Self { holder, abandoned_by, _guard: Box::new(guard) }
    }

    /// This run.
    pub fn holder(&self) -> &LeaseHolder {
        &self.holder
    }

    /// The holder before, if its process ended without giving the environment back.
    pub fn abandoned_by(&self) -> Option<&LeaseHolder> {
        self.abandoned_by.as_ref()
    }
}

/// Answer to a lease that was asked for.
#[derive(Debug)]
pub enum LeaseOutcome {
    /// The caller has the environment.
    Held(Lease),
    /// Another run has it.
    Busy {
        /// That run; absent in the moment before it has written down who it is.
        holder: Option<LeaseHolder>,
    },
}
