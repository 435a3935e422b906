use std::fmt;

use crate::SuiteRef;

lock_model::words! {
    /// What a record is about.
    Step, "step" {
        /// The lock file was committed beside the gitlinks that it describes.
        LockCommit = "lock-commit",
        /// The gates, asked before anything changes.
        Gates = "gates",
        /// The state of the environment before the deployment.
        Health = "health",
        /// The locked images were put in place.
        Deploy = "deploy",
        /// What was stored was read back and compared with the lock.
        Verify = "verify",
        /// One test suite.
        Suite = "suite",
        /// The release has fulfilled everything that this environment requires of it.
        Proof = "proof",
        /// The pull request to the next environment.
        Promote = "promote",
        /// The tag and the archived lock.
        Release = "release",
        /// A lock that is never to be deployed again.
        Reject = "reject",
        /// An environment that takes no deployment until the hold is lifted.
        Hold = "hold",
        /// The end of a hold.
        Unhold = "unhold",
        /// The deployment of an older release. Its first record opens a deployment cycle and holds the environment.
        Rollback = "rollback",
        /// A decision of an administrator about the rules or the place of an environment.
        Policy = "policy",
        /// The lease of an environment was taken from the run that had it.
        BreakLease = "break-lease",
    }
}

lock_model::words! {
    /// How a step stands.
    StepResult, "result" {
        /// Written before the first effect.
        Started = "started",
        /// Done, and the answer is positive.
        Ok = "ok",
        /// Done or broken off, and the answer is negative.
        Failed = "failed",
        /// Stopped by a gate before any effect.
        Refused = "refused",
        /// A newer commit or run took its place.
        Superseded = "superseded",
    }
}

impl Step {
    /// Whether the step may change something, so that a `started` record may stand before its result.
    pub fn has_effect(self) -> bool {
        match self {
            Self::LockCommit
            | Self::Deploy
            | Self::Suite
            | Self::Proof
            | Self::Promote
            | Self::Release
            | Self::Rollback => true,
            Self::Gates
            | Self::Health
            | Self::Verify
            | Self::Reject
            | Self::Hold
            | Self::Unhold
            | Self::Policy
            | Self::BreakLease => false,
        }
    }

    /// Whether a run does the step again although it is `ok`: it only asks (gates, health, verify), or looks before it
    /// acts (lock commit).
    pub fn runs_every_time(self) -> bool {
        match self {
            Self::LockCommit | Self::Gates | Self::Health | Self::Verify => true,
            Self::Deploy
            | Self::Suite
            | Self::Proof
            | Self::Promote
            | Self::Release
            | Self::Reject
            | Self::Hold
            | Self::Unhold
            | Self::Rollback
            | Self::Policy
            | Self::BreakLease => false,
        }
    }

    /// Whether the step replaces what the environment holds: a deployment, or the rollback that announces one.
    pub fn replaces_release(self) -> bool {
        match self {
            Self::Deploy | Self::Rollback => true,
            Self::LockCommit
            | Self::Gates
            | Self::Health
            | Self::Verify
            | Self::Suite
            | Self::Proof
            | Self::Promote
            | Self::Release
            | Self::Reject
            | Self::Hold
            | Self::Unhold
            | Self::Policy
            | Self::BreakLease => false,
        }
    }
}

impl StepResult {
    /// Whether the step may have had an effect: it was begun, whether it ended well or not.
    pub fn may_have_had_effect(self) -> bool {
        match self {
            Self::Started | Self::Ok | Self::Failed => true,
            Self::Refused | Self::Superseded => false,
        }
    }

    /// Whether the answer is negative, so that the record gives a reason.
    pub fn is_negative(self) -> bool {
        match self {
            Self::Failed | Self::Refused => true,
            Self::Started | Self::Ok | Self::Superseded => false,
        }
    }
}

/// What is tried, skipped and counted as one step within a deployment cycle. Each suite is a step of its own, and a suite whose
/// definition or files changed is another step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKey {
    /// Every step but the suites.
    Step(Step),
    /// One suite.
    Suite(SuiteRef),
}

impl StepKey {
    /// The step that records of this key name.
    pub fn step(&self) -> Step {
        match self {
            Self::Step(step) => *step,
            Self::Suite(_) => Step::Suite,
        }
    }

    /// The suite, where this is one.
    pub fn suite(&self) -> Option<&SuiteRef> {
        match self {
            Self::Step(_) => None,
            Self::Suite(suite) => Some(suite),
        }
    }
}

impl From<Step> for StepKey {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

impl From<SuiteRef> for StepKey {
    fn from(suite: SuiteRef) -> Self {
        Self::Suite(suite)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => f.pad(step.as_str()),
            Self::Suite(suite) => f.pad(&format!("suite {}", suite.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(*step));
            assert_eq!(serde_json::to_value(step).unwrap(), step.as_str());
        }
        for result in StepResult::ALL {
            assert_eq!(result.as_str().parse(), Ok(*result));
            assert_eq!(serde_json::to_value(result).unwrap(), result.as_str());
        }
        assert_eq!(
            "Deploy".parse::<Step>().unwrap_err().to_string(),
            "`Deploy` is not a valid step: one of `lock-commit` `gates` `health` `deploy` `verify` `suite` `proof` `promote` `release` `reject` `hold` `unhold` `rollback` `policy` `break-lease`"
        );
        assert_eq!(
            "".parse::<StepResult>().unwrap_err().to_string(),
            "`` is not a valid result: one of `started` `ok` `failed` `refused` `superseded`"
        );
    }
}
