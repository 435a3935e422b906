//! Which steps of a plan a command takes, and which of those that are done it takes again.

use std::collections::BTreeSet;

use ledger::Step;

/// Which steps of the plan an entry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// Only these, in the plan's order.
    Only(BTreeSet<Step>),
}

impl Wanted {
    pub(super) fn includes(&self, step: Step) -> bool {
        match self {
            Self::All => true,
            Self::Only(steps) => steps.contains(&step),
        }
    }
}

/// Whether a step that the ledger calls done is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Only what is not done.
    No,
    Deploy,
    /// The deployment, unless the cluster has everything of the saved plan.
    AsSaved,
    /// The deployment has other settings: what was found about it with the earlier ones is found out again.
    WithSettings,
}

impl Repeat {
    pub(super) fn includes(self, step: Step) -> bool {
        match self {
            Self::No => false,
            Self::Deploy | Self::AsSaved => step == Step::Deploy,
            Self::WithSettings => matches!(step, Step::Deploy | Step::Suite | Step::Proof),
        }
    }
}
