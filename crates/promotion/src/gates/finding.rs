use std::fmt;

use ledger::Policy;

lock_model::words! {
    /// One question before a deployment.
    Gate, "gate" {
        /// The lock describes the gitlinks of the tree that it lies in.
        BelongsToTree = "belongs-to-tree",
        /// The commit that was reviewed is part of the history that is deployed.
        ReviewedHead = "reviewed-head",
        /// The lock file is, byte for byte, the one whose commit the ledger recorded.
        RecordedLock = "recorded-lock",
        /// The lock is not rejected.
        NotRejected = "not-rejected",
        /// Every image of the lock was resolved for it: nothing was taken over from an older pipeline.
        Resolved = "resolved",
        /// No exception in the lock has expired.
        Exceptions = "exceptions",
        /// The environment is not held.
        NotHeld = "not-held",
        /// The commit is not older than what the environment was given last.
        NoDowngrade = "no-downgrade",
        /// No rollback took this release out of the environment, or somebody accepted it since.
        NotRolledBack = "not-rolled-back",
        /// Every image that would be deployed is decided by the lock, by a digest, or by an exception that holds.
        PinnedImages = "pinned-images",
        /// Every place that the target writes is the environment's own.
        OwnPlace = "own-place",
        /// The suites of pull requests passed on this content.
        PullRequestSuites = "pull-request-suites",
        /// The environment before proved this release.
        StagingProof = "staging-proof",
        /// The suites of that proof are the ones that are required.
        Suites = "suites",
        /// Enough people approved this content.
        Approvals = "approvals",
        /// What was merged is what was approved.
        MergedTree = "merged-tree",
    }
}

/// The answer of a gate; a later one is the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateVerdict {
    /// The environment's policy, or the purpose of the run, does not ask this.
    NotAsked,
    /// The answer is positive.
    Passed,
    /// It could not be found out, which is not a yes.
    Unknown,
    /// The answer is negative.
    Refused,
}

impl GateVerdict {
    /// Whether the run may go on.
    pub fn lets_pass(self) -> bool {
        match self {
            Self::NotAsked | Self::Passed => true,
            Self::Unknown | Self::Refused => false,
        }
    }
}

impl fmt::Display for GateVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotAsked => "not asked",
            Self::Passed => "passed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        })
    }
}

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateCode {
    /// The repository is not as expected: lock and tree disagree, history is missing.
    NotBelonging,
    /// A gate, a hold or a proof says no.
    Refused,
}

/// A gate's answer, for people and for the record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct GateFinding {
    /// The gate.
    pub gate: Gate,
    /// The answer.
    pub verdict: GateVerdict,
    /// What kind of refusal a negative answer is.
    pub code: GateCode,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl GateFinding {
    pub(super) fn passed(gate: Gate, message: impl Into<String>) -> Self {
        Self { gate, verdict: GateVerdict::Passed, code: GateCode::Refused, message: message.into(), hint: None }
    }

    pub(super) fn not_asked(gate: Gate, message: impl Into<String>) -> Self {
        Self { verdict: GateVerdict::NotAsked, ..Self::passed(gate, message) }
    }

    pub(super) fn refused(gate: Gate, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: GateVerdict::Refused, hint: Some(hint.into()), ..Self::passed(gate, message) }
    }

    pub(super) fn unknown(gate: Gate, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: GateVerdict::Unknown, hint: Some(hint.into()), ..Self::passed(gate, message) }
    }

    /// One answer for several of the same gate: the worst, with every text that is as bad.
    pub(super) fn worst(gate: Gate, findings: Vec<Self>) -> Self {
        let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(GateVerdict::Unknown);
        let worst: Vec<Self> = findings.into_iter().filter(|finding| finding.verdict == verdict).collect();
        let messages: Vec<&str> = worst.iter().map(|finding| finding.message.as_str()).collect();
        let message = messages.join("; ");
        let hint = worst.iter().find_map(|finding| finding.hint.clone());
        Self { verdict, hint, ..Self::passed(gate, message) }
    }

    pub(super) fn of_repository(self) -> Self {
        Self { code: GateCode::NotBelonging, ..self }
    }
}

/// The answers of all gates.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct GateReport {
    /// One a gate, in the order of [`Gate::ALL`].
    pub findings: Vec<GateFinding>,
    /// Where the rules were read; absent for a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Policy")]
    pub policy: Option<Policy>,
}

impl Gate {
    /// Whether the answer depends on the rules of the environment.
    pub fn asks_by_rules(self) -> bool {
        match self {
            Self::PinnedImages
            | Self::PullRequestSuites
            | Self::StagingProof
            | Self::Suites
            | Self::Approvals
            | Self::MergedTree => true,
            Self::BelongsToTree
            | Self::ReviewedHead
            | Self::RecordedLock
            | Self::NotRejected
            | Self::Resolved
            | Self::Exceptions
            | Self::NotHeld
            | Self::NoDowngrade
            | Self::NotRolledBack
            | Self::OwnPlace => false,
        }
    }
}

impl GateReport {
    /// The worst answer.
    pub fn verdict(&self) -> GateVerdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or(GateVerdict::Unknown)
    }

    /// Whether the run may go on. A report without answers lets nothing pass.
    pub fn lets_pass(&self) -> bool {
        self.verdict().lets_pass()
    }

    /// The kind of the refusal; absent where there is none. A lock of another tree goes before everything else:
    /// no other answer is about the right lock then.
    pub fn code(&self) -> Option<GateCode> {
        let mut codes = self.refusals().map(|finding| finding.code).peekable();
        codes.peek()?;
        Some(if codes.any(|code| code == GateCode::NotBelonging) { GateCode::NotBelonging } else { GateCode::Refused })
    }

    /// The negative answers.
    pub fn refusals(&self) -> impl Iterator<Item = &GateFinding> {
        self.findings.iter().filter(|finding| !finding.verdict.lets_pass())
    }

    /// Whether this gate refuses and every other lets pass.
    pub fn is_refused_only_by(&self, gate: Gate) -> bool {
        let mut refusals = self.refusals().peekable();
        refusals.peek().is_some() && refusals.all(|finding| finding.gate == gate)
    }

    /// The negative answers in one line, for the record.
    pub fn reason(&self) -> Option<String> {
        let reasons: Vec<String> =
            self.refusals().map(|finding| format!("{}: {}", finding.gate, finding.message)).collect();
        if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
    }
}
