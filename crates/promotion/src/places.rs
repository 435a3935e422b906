//! Who owns the places that an environment writes.
//!
//! A place belongs to one environment. An administrator's decision counts first. Then the policy commits of the protected
//! branches are asked: what a commit says that passed the gates of an environment, which include this question, goes
//! before what a configuration says of an environment that never passed. Last, what lies in the place names its owner.

use config::{Environment, TargetPlace};
use ledger::{Accepts, Ledger, Record, Step, StepResult};
use lock_model::escaping::escape_short;
use lock_model::{BranchName, CommitId, EnvironmentName};

/// What git and the forge say about the places of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceFacts {
    /// The places that the environment's target writes.
    pub places: Vec<PlaceFound>,
    /// Whose places the protected branches name, the environment's own too.
    pub claims: Vec<Claim>,
}

impl PlaceFacts {
    /// The environment has written its places since they were looked at.
    pub fn written(&mut self) {
        for found in &mut self.places {
            found.content = PlaceContent::Own;
        }
    }
}

/// One place of the environment, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFound {
    /// The place.
    pub place: TargetPlace,
    /// Whether the forge protects the branch, so that what lies there arrives by pull requests.
    pub protection: Protection,
    /// What it holds.
    pub content: PlaceContent,
}

/// Whether the forge protects a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// It is a protected branch.
    Protected,
    /// It is none.
    Open,
}

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceContent {
    /// Nothing, or the environment's own tree.
    Own,
    /// The rendered tree of another environment, by the name that is written there.
    Environment(String),
    /// What an environment of another repository deploys.
    OtherRepository {
        /// The other superproject's address, as it is written there.
        repository: String,
        /// Name of its environment.
        environment: String,
    },
    /// Something that was not rendered.
    Foreign,
}

/// A place that a configuration gives to an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The environment.
    pub environment: EnvironmentName,
    /// The place.
    pub place: TargetPlace,
    /// The branch whose configuration says so.
    pub branch: BranchName,
    /// The commit of that configuration.
    pub commit: CommitId,
    /// What the claim rests on.
    pub standing: Standing,
}

/// What a claim rests on; a later one is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// A configuration says so, and no commit has passed the environment's gates with it.
    Declared,
    /// An administrator put the rules of the commit in force.
    Accepted,
    /// The commit passed the environment's gates.
    Passed,
}

/// Why an environment may not write a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceRefusal {
    /// The place.
    pub place: TargetPlace,
    /// Who owns it, or what else is against it.
    pub reason: RefusalReason,
}

/// Why a place is not the environment's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// The forge protects it.
    Protected,
    /// An administrator gave it, or one that overlaps, to another environment.
    TakenOver {
        /// That environment.
        by: EnvironmentName,
        /// Number of the record.
        seq: u64,
    },
    /// A protected branch names another owner.
    Claimed(Claim),
    /// It holds the tree of another environment, by the name that is written there.
    Holds(String),
    /// It belongs to another repository.
    OtherRepository {
        /// The other superproject's address, as it is written there.
        repository: String,
        /// Name of its environment.
        environment: String,
    },
    /// It holds something that was not rendered.
    Foreign,
}

impl PlaceRefusal {
    /// The other environment, where it is one.
    pub fn owner(&self) -> Option<EnvironmentName> {
        match &self.reason {
            RefusalReason::TakenOver { by, .. } => Some(by.clone()),
            RefusalReason::Claimed(claim) => Some(claim.environment.clone()),
            RefusalReason::Holds(name) => name.parse().ok(),
            RefusalReason::Protected | RefusalReason::OtherRepository { .. } | RefusalReason::Foreign => None,
        }
    }

    /// What is wrong, in one sentence without a full stop.
    pub fn message(&self) -> String {
        let place = self.place.quoted();
        match &self.reason {
            RefusalReason::Protected => format!("{place} is protected: what lies there arrives by pull requests"),
            RefusalReason::TakenOver { by, seq } => {
                format!("{place} belongs to `{by}`, which took it over (record {seq})")
            }
            RefusalReason::Claimed(claim) => {
                let overlap =
                    if claim.place == self.place { String::new() } else { format!(" with {}", claim.place.quoted()) };
                format!(
                    "{place} belongs to `{}`{overlap}, by the configuration of `{}` at {}",
                    claim.environment,
                    claim.branch,
                    claim.commit.short(12)
                )
            }
            RefusalReason::Holds(name) => match self.place {
                TargetPlace::Branch(_) | TargetPlace::Folder(_) => {
                    format!("{place} holds the tree of `{}`", escape_short(name, 100))
                }
                TargetPlace::Namespace(_) => format!("{place} belongs to `{}`", escape_short(name, 100)),
            },
            RefusalReason::OtherRepository { repository, environment } => format!(
                "{place} belongs to `{}` of `{}`",
                escape_short(environment, 100),
                escape_short(repository, 200)
            ),
            RefusalReason::Foreign => {
                format!("{place} holds files that were not rendered: it has no readable `release.yaml`")
            }
        }
    }

    /// The way out.
    pub fn hint(&self, environment: &EnvironmentName) -> String {
        let own = format!("give `{environment}` a place of its own in `environments.{environment}.target`");
        let taken = format!("`orchestrator policy take-over {environment} --reason …`");
        match &self.reason {
            RefusalReason::Protected => own,
            RefusalReason::TakenOver { .. } | RefusalReason::Claimed(_) | RefusalReason::Holds(_) => {
                format!("{own}; where it is the same environment under a new name, an administrator says so: {taken}")
            }
            RefusalReason::OtherRepository { .. } | RefusalReason::Foreign => {
                format!(
                    "{own}, or remove what lies there; an administrator gives it away with everything in it: {taken}"
                )
            }
        }
    }
}

/// Every reason why the environment may not write its places; empty where all of them are its own.
pub fn refusals(ledger: &Ledger, environment: &EnvironmentName, facts: &PlaceFacts) -> Vec<PlaceRefusal> {
    let mut refusals = Vec::new();
    for found in &facts.places {
        let reasons = match found.protection {
            Protection::Protected => vec![RefusalReason::Protected],
            Protection::Open => reasons(ledger, environment, facts, found),
        };
        refusals.extend(reasons.into_iter().map(|reason| PlaceRefusal { place: found.place.clone(), reason }));
    }
    refusals
}

fn reasons(
    ledger: &Ledger,
    environment: &EnvironmentName,
    facts: &PlaceFacts,
    found: &PlaceFound,
) -> Vec<RefusalReason> {
    let decision = take_over(ledger, &found.place);
    let mut reasons = Vec::new();
    match decision.and_then(|record| Some((record.entry.environment.as_ref()?, record.seq))) {
        Some((by, _)) if by == environment => {}
        Some((by, seq)) => reasons.push(RefusalReason::TakenOver { by: by.clone(), seq }),
        None => {
            let claims = foreign_claims(environment, facts, &found.place);
            reasons.extend(claims.into_iter().map(RefusalReason::Claimed));
        }
    }
    if !is_given(ledger, environment, &found.place) {
        match &found.content {
            PlaceContent::Own => {}
            PlaceContent::Environment(name) => reasons.push(RefusalReason::Holds(name.clone())),
            PlaceContent::OtherRepository { repository, environment } => {
                let (repository, environment) = (repository.clone(), environment.clone());
                reasons.push(RefusalReason::OtherRepository { repository, environment });
            }
            PlaceContent::Foreign => reasons.push(RefusalReason::Foreign),
        }
    }
    reasons
}

/// The claims of others that count: where the environment's own is in force, only those that have passed.
fn foreign_claims(environment: &EnvironmentName, facts: &PlaceFacts, place: &TargetPlace) -> Vec<Claim> {
    let (own, foreign): (Vec<&Claim>, Vec<&Claim>) = facts
        .claims
        .iter()
        .filter(|claim| claim.place.overlaps(place))
        .partition(|claim| claim.environment == *environment);
    let own_is_in_force = own.iter().any(|claim| claim.standing >= Standing::Accepted);
    let counts = |claim: &&Claim| claim.standing == Standing::Passed || !own_is_in_force;
    foreign.into_iter().filter(counts).cloned().collect()
}

/// Whether an administrator gave the place to the environment, and it was not deployed there since: whatever lies there
/// is replaced.
pub fn is_given(ledger: &Ledger, environment: &EnvironmentName, place: &TargetPlace) -> bool {
    take_over(ledger, place).is_some_and(|decision| {
        decision.entry.environment.as_ref() == Some(environment)
            && ledger.latest_deployed(environment).is_none_or(|deployed| deployed.seq < decision.seq)
    })
}

/// Whether one of the places of an environment [was given](is_given) to it.
pub fn has_given_place(ledger: &Ledger, environment: &Environment) -> bool {
    environment.places().iter().any(|place| is_given(ledger, &environment.name, place))
}

/// The newest decision about the place or one that overlaps.
fn take_over<'a>(ledger: &'a Ledger, place: &TargetPlace) -> Option<&'a Record> {
    ledger.records().iter().rfind(|record| {
        record.is(Step::Policy, StepResult::Ok)
            && match &record.entry.accepts {
                Some(Accepts::Place(text)) => text.parse().is_ok_and(|other: TargetPlace| other.overlaps(place)),
                Some(Accepts::Commit(_) | Accepts::Release(_)) | None => false,
            }
    })
}
