//! Running suites without making a proof.

use std::collections::BTreeSet;

use forge::{MergeRef, StatusState};
use lock_model::{CommitId, EnvironmentName, SuiteName};

use crate::context::Context;
use crate::engine::{SUITES_STATUS, run_suite};
use crate::environment_policy::{branch_of, commit_of, find_environment};
use crate::error::{Error, ErrorKind, Result};
use crate::labels::count;
use crate::ledger_store::LedgerStore;
use crate::policy_found::PolicyFound;
use crate::report::v1::TestReport;
use crate::revision::Revision;

/// Which suites to run, and on what.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TestRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// Only these suites; empty: all that the environment lists.
    pub suites: Vec<SuiteName>,
    /// Test what merging this pull request gives, and set its status; `None`: test the environment's branch.
    pub pull_request: Option<u64>,
}

impl TestRequest {
    /// All suites of an environment, on its branch.
    pub fn new(environment: EnvironmentName) -> Self {
        Self { environment, suites: Vec::new(), pull_request: None }
    }
}

/// Runs suites and says what they said; with a pull request its status is set. Nothing is recorded in the ledger: only a
/// run makes a proof.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is no suite to run. A suite that fails is a report.
pub async fn run_tests(context: &Context, request: &TestRequest) -> Result<TestReport> {
    let name = &request.environment;
    context.sync()?;
    let (revision, head) = if let Some(number) = request.pull_request {
        match context.forge.merge_ref(number).await? {
            MergeRef::Clean { commit, head, .. } => {
                context.sync()?;
                (Revision::load(context, &commit)?, Some(head))
            }
            MergeRef::Conflict { paths, .. } => {
                return Err(Error::new(
                    ErrorKind::Repository,
                    format!("pull request {number} has conflicts: {}", paths.join(", ")),
                ));
            }
        }
    } else {
        let environment = find_environment(context, name).await?;
        let commit = commit_of(context, &branch_of(&environment)?, None).await?;
        (Revision::load(context, &commit)?, None)
    };
    let environment = revision.environment(name)?.clone();
    let mut warnings = Vec::new();
    let rules = match request.pull_request {
        Some(number) => {
            let branch = context.forge.pull_request(number).await?.base_branch;
            let store = LedgerStore::read(context).await?;
            PolicyFound::of_branch(context, store.ledger(), &revision.config, branch.as_str()).await?
        }
        None => Vec::new(),
    };
    let required = required(&revision, name, &rules, &mut warnings)?;
    let suites = if request.suites.is_empty() { &required } else { &request.suites };
    if suites.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("environment `{name}` has no suites: nothing was tested"))
            .hint("list some under `suites:`, or name one with `--suite`"));
    }
    let mut reports = Vec::new();
    for suite in suites {
        context.note(format!("suite {suite}: running"));
        reports.push(run_suite(context, &revision, &environment, suite).await?);
    }
    if let Some(head) = head {
        if required.iter().all(|suite| suites.contains(suite)) {
            set_status(context, &head, &reports).await?;
        } else {
            warnings.push(format!(
                "status `{SUITES_STATUS}` is not set: it stands for all suites of `{name}`, and only some were run"
            ));
        }
    }
    Ok(TestReport { environment: name.clone(), suites: reports, warnings })
}

/// The suites that count: the environment's, and with a pull request also those that the rules of the branch name that it
/// goes to, since a change does not choose what it is tested by.
fn required(
    revision: &Revision,
    name: &EnvironmentName,
    rules: &[PolicyFound],
    warnings: &mut Vec<String>,
) -> Result<Vec<SuiteName>> {
    let mut suites = revision.environment(name)?.suites.clone();
    let configurations = rules.iter().flat_map(PolicyFound::configurations);
    let before: BTreeSet<&SuiteName> = configurations
        .filter_map(|rules| rules.config.environments.get(name))
        .flat_map(|environment| &environment.suites)
        .collect();
    for suite in before {
        if suites.contains(suite) {
            continue;
        }
        if revision.config.suites.contains_key(suite) {
            warnings.push(format!("the pull request takes suite `{suite}` out of `{name}`: it runs all the same"));
            suites.push(suite.clone());
        } else {
            warnings.push(format!("the pull request removes suite `{suite}`, which `{name}` asks for"));
        }
    }
    Ok(suites)
}

/// Says on the head that was tested what the suites said.
async fn set_status(context: &Context, head: &CommitId, reports: &[qa::SuiteReport]) -> Result<()> {
    let failed = reports.iter().filter(|report| !report.is_passed()).count();
    let (state, text) = if failed == 0 {
        (StatusState::Success, format!("{} passed", count(reports.len(), "suite")))
    } else {
        (StatusState::Failure, format!("{failed} of {} suites failed", reports.len()))
    };
    LedgerStore::check(context).await?;
    context.forge.set_status(head, SUITES_STATUS, state, &text).await?;
    Ok(())
}
