//! What merging a pull request would deploy, environment by environment, planned by the code of a run.

use std::collections::BTreeSet;
use std::time::Duration;

use config::{Environment, Target};
use deployer::{DeployError, Plan, ProblemKind};
use futures_util::future::join_all;
use ledger::Ledger;
use lock_model::{BranchName, ErrorClass, Lock, ReleaseId};
use process::Priority;

use crate::context::Context;
use crate::engine::{Missing, Planning, Probes, fetch_manifests, needs, taken_tag};
use crate::error::{ErrorKind, Problem, Result};
use crate::inputs::Unreadable;
use crate::plan_marks::PlanMarks;
use crate::policy_found::PolicyFound;
use crate::refs_in_the_way::Branches;
use crate::report::markdown::UnpinnedRow;
use crate::report::v1::{MergePlan, PlanVerdict, SharedProblem, WrittenThing};
use crate::revision::Revision;
use crate::unpinned_images::{self, UnpinnedRules, rendering};

/// How long the services' repositories are waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a cluster is waited for: what it would answer is asked again by the run that deploys.
const CLUSTER_PATIENCE: cluster::Patience =
    cluster::Patience { request: Duration::from_secs(15), retries: Duration::from_secs(15) };

/// The merge result of a pull request, with the lock that it will have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge<'a> {
    pub context: &'a Context,
    pub ledger: &'a Ledger,
    pub revision: &'a Revision,
    pub lock: &'a Lock,
    pub release: &'a ReleaseId,
    /// The branch that the pull request goes to.
    pub into: &'a BranchName,
    /// Whether content that cannot be read is a problem: the rules want every commit to be pushed.
    pub must_be_pushed: bool,
}

/// What one environment would do.
#[derive(Debug)]
pub(crate) struct PlannedMerge {
    pub report: MergePlan,
    /// What it deploys although the lock does not decide it, for reviewers.
    pub unpinned: Vec<UnpinnedRow>,
    /// Services that it leaves out, with the reason.
    pub not_deployed: Vec<deployer::NotDeployed>,
    /// The plan against what is deployed now; none where there is a problem, or content could not be read.
    pub plan: Option<Plan>,
    /// What reviewers should know of that plan.
    pub marks: PlanMarks,
}

impl<'a> Merge<'a> {
    pub(crate) fn planning(&self, environment: &'a Environment) -> Planning<'a> {
        let Self { context, ledger, revision, lock, release, .. } = *self;
        Planning { context, ledger, revision, environment, lock, release }
    }
}

/// Plans what merging would deploy to each of these environments, side by side and in their order. `found` has the rules of
/// those that run the branch.
pub(crate) async fn plan_merge(
    merge: &Merge<'_>,
    environments: &[&Environment],
    found: &[PolicyFound],
) -> Result<Vec<PlannedMerge>> {
    let Merge { context, revision, lock, .. } = *merge;
    let missing = fetch_manifests(context, revision, lock, environments, PATIENCE).await?;
    let branches = Branches::read(context).await?;
    let plans =
        environments.iter().map(|environment| Box::pin(plan_one(merge, environment, found, &missing, &branches)));
    join_all(plans).await.into_iter().collect()
}

async fn plan_one(
    merge: &Merge<'_>,
    environment: &Environment,
    found: &[PolicyFound],
    missing: &Missing,
    branches: &Branches,
) -> Result<PlannedMerge> {
    let Merge { context, revision, .. } = *merge;
    let planning = merge.planning(environment);
    let mut findings = Findings::default();
    let draft = match planning.draft(missing) {
        Ok(mut draft) => {
            draft.ask_with_patience(CLUSTER_PATIENCE);
            Some(draft)
        }
        Err(error) if error.kind() == ErrorKind::Usage => {
            findings.wrong("", error.message());
            None
        }
        Err(error) => return Err(error),
    };
    let mut unpinned = Vec::new();
    let mut plan = None;
    if let Some(draft) = &draft {
        findings.unread(&draft.unread, merge.must_be_pushed);
        findings.problems.extend(draft.expired_sentence().map(|sentence| Problem::new("", sentence)));
        match draft.render(context, Priority::Usual).await {
            Err(DeployError::Problems(problems)) => {
                findings.problems.extend(problems.as_slice().iter().map(rendering));
                findings.hints.extend(Box::pin(draft.hints_of(context, &problems)).await);
            }
            // What this machine cannot render, the one that deploys may.
            Err(error) => findings.open("", format!("whether its charts can be rendered: {error}")),
            Ok(rendered) => {
                let rules = unpinned_rules(merge, environment, found).await;
                let today = context.now().date();
                unpinned = unpinned_images::rows_of(environment, &rendered.unpinned_images, &rules, today);
                let refused = rules.refusals(&rendered.unpinned_images, today);
                findings.problems.extend(unpinned_images::problems(context, revision, &refused).await);
                // A service that is not in the request would be one that is taken away.
                if draft.unread.is_empty() {
                    plan = match draft.compare(context).await {
                        Ok(answer) => findings.compared(answer),
                        Err(error) => {
                            findings.not_compared(error.message(), error.causes());
                            None
                        }
                    };
                }
            }
        }
    }
    findings.problems.extend(branches.in_the_way_of(environment));
    findings.problems.extend(taken_tag(context, merge.ledger, environment, merge.release).await?);
    let mut needs = needs(context, revision, environment, &environment.suites, Probes::Asked)?;
    needs.read_settings(revision, environment);
    for (problem, hint) in needs.problems {
        findings.problems.push(problem);
        findings.hints.insert(hint);
    }
    findings.problems.extend(needs.programs);
    if !needs.variables.is_empty() {
        let names: Vec<String> = needs.variables.keys().map(|name| format!("`{name}`")).collect();
        findings.open("", format!("variables of the job that deploys: {}", names.join(", ")));
    }
    if !needs.files.is_empty() {
        let names: Vec<String> = needs.files.keys().map(|name| format!("`{name}`")).collect();
        findings.open("", format!("files of the machine that deploys: {}", names.join(", ")));
    }
    let marks = match (&draft, &plan) {
        (Some(draft), Some(plan)) => Box::pin(PlanMarks::of(context, &planning, &draft.destination, plan)).await,
        (Some(_) | None, _) => PlanMarks::default(),
    };
    let request = draft.map(|draft| draft.request);
    Ok(PlannedMerge {
        report: MergePlan {
            environment: environment.name.clone(),
            decides: environment.branch.as_ref() == Some(merge.into),
            verdict: if findings.problems.is_empty() { PlanVerdict::Deploys } else { PlanVerdict::Refused },
            services: request.as_ref().map_or(0, |request| request.services.len()),
            changes: plan.as_ref().map(|plan| plan.changes.len()),
            writes: match &environment.target {
                Some(Target::Helm(_) | Target::Apply(_)) => WrittenThing::Object,
                Some(Target::Render(_)) | None => WrittenThing::File,
            },
            quotas: marks.quotas.clone(),
            migrations: marks.migrations.clone(),
            marked: marks.objects.clone(),
            problems: SharedProblem::join(findings.problems),
            hints: findings.hints.into_iter().collect(),
            not_checked: SharedProblem::join(findings.not_checked),
        },
        unpinned,
        not_deployed: request.map(|request| request.not_deployed).unwrap_or_default(),
        plan,
        marks,
    })
}

/// What is found out about one environment.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    not_checked: Vec<Problem>,
    hints: BTreeSet<String>,
}

impl Findings {
    fn wrong(&mut self, subject: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(subject, message));
    }

    fn open(&mut self, subject: &str, message: impl Into<String>) {
        self.not_checked.push(Problem::new(subject, message));
    }

    /// A place that gives no answer, with the reason.
    fn not_compared(&mut self, message: &str, causes: Vec<String>) {
        self.not_checked.push(Problem::new("", format!("what changes there: {message}")).details(causes));
    }

    /// What is wrong with content is a problem; content that cannot be had is one where it must be pushed.
    fn unread(&mut self, unread: &[Unreadable], must_be_pushed: bool) {
        for Unreadable { class, problem, hints, .. } in unread {
            self.hints.extend(hints.iter().cloned());
            match class {
                ErrorClass::Invalid => self.problems.push(problem.clone()),
                ErrorClass::NotFound
                | ErrorClass::Denied
                | ErrorClass::Temporary
                | ErrorClass::Storage
                | ErrorClass::Bug => {
                    let list = if must_be_pushed { &mut self.problems } else { &mut self.not_checked };
                    list.push(problem.clone());
                }
            }
        }
    }

    /// What is in the target's place now is no property of the merge: an administrator may give the place away until then.
    fn compared(&mut self, answer: Result<Plan, DeployError>) -> Option<Plan> {
        match answer {
            Ok(plan) => return Some(plan),
            Err(DeployError::Problems(problems)) => {
                for problem in problems.as_slice() {
                    if problem.kind == ProblemKind::Place {
                        self.open("", format!("whether the place is its own by then: {}", problem.text()));
                    } else {
                        // What a cluster lacks now may be there by then.
                        let service = problem.service.as_ref().map(ToString::to_string).unwrap_or_default();
                        self.open(&service, format!("as it is there now, it would be refused: {}", problem.text()));
                    }
                }
            }
            Err(error) => {
                let causes = crate::error::causes(std::error::Error::source(&error));
                self.not_compared(&error.to_string(), causes);
            }
        }
        None
    }
}

/// What the rules in force say about images that no lock decides.
async fn unpinned_rules(merge: &Merge<'_>, environment: &Environment, found: &[PolicyFound]) -> UnpinnedRules {
    let own = &merge.revision.config;
    let Some(branch) = &environment.branch else { return UnpinnedRules::of_change(environment) };
    if let Some(found) = found.iter().find(|found| found.environment() == &environment.name) {
        return found.unpinned(own);
    }
    // Rules that cannot be read refuse the release anyhow.
    let found = PolicyFound::of_next(merge.context, merge.ledger, &environment.name, branch.as_str()).await;
    found.map_or_else(|_| UnpinnedRules::of_change(environment), |found| found.unpinned(own))
}
