//! Plans in files: what was reviewed is what is deployed, or nothing is.

use std::path::Path;

use deployer::{Plan, PlanBinding, PlanProgress};
use lock_model::{CommitId, Digest, EnvironmentName, LockId, ReleaseId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::engine::Planning;
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::input_file::{read_input, unreadable};

/// The version of the format that is written, and the only one that is read.
pub const SAVED_PLAN_VERSION: u32 = 1;

/// The file of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    /// The version of the format.
    #[serde(deserialize_with = "known_version")]
    version: u32,
    /// Digest over `plan`: a file that was edited has another one.
    digest: Digest,
    /// What was planned.
    plan: PlannedRelease,
}

/// What was planned, for which release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlannedRelease {
    /// The environment.
    environment: EnvironmentName,
    /// Id of the release: lock and configuration together.
    release: ReleaseId,
    /// Id of its lock.
    lock: LockId,
    /// The commit of the superproject.
    commit: CommitId,
    /// When it was planned, UTC.
    planned: Timestamp,
    /// What the plan rests on.
    binding: PlanBinding,
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == SAVED_PLAN_VERSION {
        return Ok(version);
    }
    let message = format!("version {version} of saved plans is not known, only {SAVED_PLAN_VERSION} is");
    Err(serde::de::Error::custom(message))
}

impl SavedPlan {
    /// Binds a plan to its release and to what was found.
    pub(crate) fn of(planning: &Planning<'_>, plan: &Plan) -> Result<Self> {
        let binding = plan.binding().map_err(|error| {
            Error::from_source(ErrorKind::Repository, "the plan cannot be saved", error)
                .hint(format!("`orchestrator deploy {}` without a saved plan once", planning.environment.name))
        })?;
        let plan = PlannedRelease {
            environment: planning.environment.name.clone(),
            release: planning.release.clone(),
            lock: planning.lock.id().clone(),
            commit: planning.revision.commit.clone(),
            planned: planning.context.now(),
            binding,
        };
        Ok(Self { version: SAVED_PLAN_VERSION, digest: plan.digest(), plan })
    }

    /// The bytes of the file.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a saved plan is plain data");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a file; what is wrong with it is named with its place.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let bytes = read_input(path)
            .map_err(|error| unreadable(ErrorKind::Usage, format!("the plan `{shown}` cannot be read"), error))?;
        Self::parse(&bytes).map_err(|reason| {
            Error::new(ErrorKind::Usage, format!("`{shown}` is no plan that can be deployed: {shown}:{reason}"))
                .hint("`orchestrator plan ENVIRONMENT --save FILE` writes one")
        })
    }

    /// The error begins with line and column.
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let saved: Self = serde_json::from_slice(bytes).map_err(|error| {
            let text = error.to_string();
            let (message, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
            format!("{}:{}: {}", error.line(), error.column(), lock_model::escaping::escape_short(message, 200))
        })?;
        if saved.digest != saved.plan.digest() {
            let before = bytes.windows(8).position(|window| window == b"\"digest\"").unwrap_or_default();
            let line = bytes[..before].split(|byte| *byte == b'\n').count();
            return Err(format!("{line}:1: it was changed after it was saved: its `digest` is that of another plan"));
        }
        Ok(saved)
    }

    /// Refuses another environment, which is a mistake of the caller.
    pub(crate) fn is_for(&self, environment: &EnvironmentName) -> Result<()> {
        let planned = &self.plan.environment;
        if planned == environment {
            return Ok(());
        }
        let message = format!("the plan is for `{planned}`, and not for `{environment}`");
        Err(Error::new(ErrorKind::Usage, message))
    }

    /// Refuses another release than the planned one.
    pub(crate) fn is_of(&self, release: &ReleaseId, commit: &CommitId) -> Result<()> {
        if self.plan.release == *release {
            return Ok(());
        }
        let (planned, from) = (self.plan.release.id8(), self.plan.commit.short(12));
        let message = format!(
            "release {planned} of commit {from} was planned, and release {} of commit {} would be deployed",
            release.id8(),
            commit.short(12)
        );
        Err(self.refused(vec![Problem::new("release", message)]))
    }

    /// Refuses a plan that does something else than the saved one, or than the rest of it; says what is left.
    pub(crate) fn progress(&self, now: &Plan) -> Result<PlanProgress> {
        let now = now.binding().map_err(|error| self.refused(vec![Problem::new("namespace", error.to_string())]))?;
        let moved = match self.plan.binding.progress(&now) {
            Ok(progress) => return Ok(progress),
            Err(moved) => moved,
        };
        let problem = |moved: deployer::Moved| {
            let subject = moved.service.map_or_else(|| "plan".to_owned(), |service| service.to_string());
            Problem::new(subject, moved.message)
        };
        Err(self.refused(moved.into_iter().map(problem).collect()))
    }

    fn refused(&self, problems: Vec<Problem>) -> Error {
        let PlannedRelease { environment, planned, .. } = &self.plan;
        let message = format!("the plan of {planned} is not what would be deployed to `{environment}` now");
        Error::new(ErrorKind::Refused, message)
            .problems(problems)
            .hint(format!("plan again and review that: `orchestrator plan {environment} --save FILE`"))
            .hint("this command deployed nothing")
    }
}

impl PlannedRelease {
    fn digest(&self) -> Digest {
        let text = serde_json::to_string(self).expect("a saved plan is plain data");
        Digest::of(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by the first version of the format; it is never changed.
    const FROZEN: &str = include_str!("../tests/fixtures/saved-plan-v1.json");

    fn refused(text: &str) -> String {
        SavedPlan::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn b32_the_first_version_of_the_format_is_read_and_written_as_it_was() {
        let saved = SavedPlan::parse(FROZEN.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(saved.to_json()).unwrap(), FROZEN);
    }

    #[test]
    fn b32_a_damaged_plan_is_named_with_its_place() {
        let cut = FROZEN.get(..FROZEN.len() / 2).unwrap();
        assert!(refused(cut).contains(": EOF while parsing"), "{}", refused(cut));
        let later = FROZEN.replacen("\"version\": 1", "\"version\": 2", 1);
        assert_eq!(refused(&later), "2:14: version 2 of saved plans is not known, only 1 is");
        let more = FROZEN.replacen("\"plan\": {", "\"plan\": { \"force\": true,", 1);
        assert!(refused(&more).starts_with("4:19: unknown field `force`"), "{}", refused(&more));
        let edited = FROZEN.replacen("\"resource_version\": \"10\"", "\"resource_version\": \"11\"", 1);
        assert!(refused(&edited).starts_with("3:1: it was changed after it was saved"), "{}", refused(&edited));
        for text in ["", "[]", "{}", "null"] {
            assert!(refused(text).starts_with(|c: char| c.is_ascii_digit()), "{text}");
        }
    }
}
