use std::fmt;

use lock_model::EnvironmentName;
use schemars::JsonSchema;
use serde::Serialize;

use super::plan_marks::{MarkedObject, PlannedMigration, QuotaUse};
use crate::error::Problem;

/// What merging a pull request would deploy to one environment, once its turn comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MergePlan {
    /// The environment, as the configuration of the merge result names it.
    pub environment: EnvironmentName,
    /// Whether it runs the branch that the pull request goes to: then a refusal fails the status of the pull request.
    pub decides: bool,
    /// Whether it would be deployed.
    pub verdict: PlanVerdict,
    /// How many services it would deploy.
    pub services: usize,
    /// How many files or objects would change; absent where that could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<usize>,
    /// What its target writes.
    pub writes: WrittenThing,
    /// What becomes of each quota of its namespace that it needs something of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaUse>,
    /// The services that get another version and that its `migrations:` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<PlannedMigration>,
    /// Objects whose change needs a second look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<MarkedObject>,
    /// Why it would be refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SharedProblem>,
    /// What to do about the manifests among the problems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// What only the deployment itself can find out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<SharedProblem>,
}

/// What a target writes, and what its changes are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenThing {
    /// Target `render`: files of a branch.
    File,
    /// Targets `helm` and `apply`: objects of a cluster.
    Object,
}

impl WrittenThing {
    /// The thing, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Object => "object",
        }
    }
}

/// Whether what a merge gives would be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlanVerdict {
    /// Everything that was looked at can be deployed.
    Deploys,
    /// It would be refused.
    Refused,
}

/// One problem of one or more services, suites or probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SharedProblem {
    /// What has it, sorted; empty for a problem of the environment itself.
    pub subjects: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What was tried or seen, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl SharedProblem {
    /// Joins problems that say the same; the first one's place is theirs.
    pub(crate) fn join(problems: impl IntoIterator<Item = Problem>) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for Problem { subject, message, details } in problems {
            let subject = Some(subject).filter(|subject| !subject.is_empty());
            let same = joined.iter_mut().find(|other| {
                other.message == message && other.details == details && other.subjects.is_empty() == subject.is_none()
            });
            match same {
                Some(other) => other.subjects.extend(subject),
                None => joined.push(Self { subjects: subject.into_iter().collect(), message, details }),
            }
        }
        for problem in &mut joined {
            problem.subjects.sort();
            problem.subjects.dedup();
        }
        joined
    }

    /// The subjects in one line: all of a few, or their number.
    pub fn who(&self) -> String {
        const NAMED: usize = 4;
        match self.subjects.as_slice() {
            few if few.len() <= NAMED => few.join(", "),
            many => format!(
                "{} and {} more",
                many.iter().take(NAMED - 1).cloned().collect::<Vec<_>>().join(", "),
                many.len() - (NAMED - 1)
            ),
        }
    }
}

impl fmt::Display for SharedProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.subjects.is_empty() {
            write!(f, "{}: ", self.who())?;
        }
        f.write_str(&self.message)
    }
}

impl From<SharedProblem> for Problem {
    fn from(shared: SharedProblem) -> Self {
        let SharedProblem { subjects, message, details } = shared;
        Self { subject: subjects.join(", "), message, details }
    }
}

/// What was found about environments that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFinding<'a> {
    /// Whether it is a problem; otherwise it was not checked.
    pub is_problem: bool,
    /// The environments, in the order of the plans.
    pub environments: Vec<&'a EnvironmentName>,
    /// What was found.
    pub what: &'a SharedProblem,
}

impl MergePlan {
    /// Everything that was found, each once: problems first, in the order of the plans.
    pub fn findings(plans: &[Self]) -> Vec<PlanFinding<'_>> {
        let mut found: Vec<PlanFinding<'_>> = Vec::new();
        for is_problem in [true, false] {
            for plan in plans {
                for what in if is_problem { &plan.problems } else { &plan.not_checked } {
                    match found.iter_mut().find(|one| one.is_problem == is_problem && one.what == what) {
                        Some(same) => same.environments.push(&plan.environment),
                        None => found.push(PlanFinding { is_problem, environments: vec![&plan.environment], what }),
                    }
                }
            }
        }
        found
    }

    /// What reviewers should look at, a sentence each: quotas that are too small come first.
    pub fn marks(&self) -> Vec<String> {
        let (short, others): (Vec<&QuotaUse>, Vec<&QuotaUse>) =
            self.quotas.iter().partition(|one| one.missing.is_some());
        let quotas = |list: Vec<&QuotaUse>| list.into_iter().map(QuotaUse::sentence).collect::<Vec<_>>();
        let migrations = self.migrations.iter().map(PlannedMigration::sentence);
        let objects = self.marked.iter().map(MarkedObject::sentence);
        quotas(short).into_iter().chain(migrations).chain(objects).chain(quotas(others)).collect()
    }

    /// Why a merge should not go on: the environment of the target branch would refuse what it gives.
    pub(crate) fn refusal(&self) -> Option<String> {
        if !self.decides || self.verdict == PlanVerdict::Deploys {
            return None;
        }
        let first = self.problems.first().map(ToString::to_string).unwrap_or_default();
        let more = match self.problems.len() {
            0 | 1 => String::new(),
            many => format!(" (and {} more)", many - 1),
        };
        Some(format!("`{}` would refuse it: {first}{more}", self.environment))
    }

    /// The same about an environment that comes later, for people.
    pub(crate) fn warning(&self) -> Option<String> {
        let later = Self { decides: true, ..self.clone() };
        if self.decides { None } else { later.refusal() }
    }
}
