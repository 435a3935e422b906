use std::fmt;
use std::str::FromStr;

use super::SuiteRef;

/// A word that names no step, or no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is no {kind}")]
pub struct UnknownWord {
    kind: &'static str,
    shown: String,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $kind:literal, { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in records and file names.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| UnknownWord {
                    kind: $kind,
                    shown: lock_model::escaping::escape_short(text, 60),
                })
            }
        }
    };
}

words!(
    /// What a record is about.
    Step,
    "step",
    {
        /// The lock file was committed beside the gitlinks that it describes.
        LockCommit = "lock-commit",
        /// The questions that are asked before anything changes.
        Gates = "gates",
        /// The state of the environment before the deployment.
        Health = "health",
        /// The locked images were put in place.
        Deploy = "deploy",
        /// What was stored was read back and compared with the lock.
        Verify = "verify",
        /// One test suite.
        Suite = "suite",
        /// Everything that was asked of the release in this environment was fulfilled.
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
        /// The deployment of an older release. Its first record opens a cycle and holds the environment.
        Rollback = "rollback",
    }
);

words!(
    /// How a step stands.
    StepResult,
    "result",
    {
        /// Written before the first effect.
        Started = "started",
        /// Done, and the answer is positive.
        Ok = "ok",
        /// Done or broken off, and the answer is negative.
        Failed = "failed",
        /// Stopped by a gate before any effect.
        Refused = "refused",
        /// Something newer took its place.
        Superseded = "superseded",
    }
);

/// What is tried, skipped and counted as one step within a cycle. Each suite is a step of its own, and a suite whose
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
        assert_eq!("Deploy".parse::<Step>().unwrap_err().to_string(), "`Deploy` is no step");
        assert_eq!("".parse::<StepResult>().unwrap_err().to_string(), "`` is no result");
    }
}
