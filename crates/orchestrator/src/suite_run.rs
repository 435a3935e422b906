//! Running suites without making a proof.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use config::{Config, SuiteKind};
use forge::{MergeRef, StatusState};
use lock_model::{BranchName, CommitId, EnvironmentName, SuiteName};

use crate::context::Context;
use crate::displayed_status::set_status;
use crate::engine::{
    Ran, RequiredSuites, SUITES_STATUS, preflight_suites, record_suite, required_suites, run_suite, tested_merge,
};
use crate::environment_policy::{branch_of, commit_of, find_environment};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::labels::count;
use crate::lease::lease;
use crate::ledger_store::LedgerStore;
use crate::policy_found::PolicyFound;
use crate::report::v1::TestReport;
use crate::revision::{Revision, load_config};
use crate::secrets::mask_logins;

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
    /// Write a `JUnit` report into this file.
    pub junit: Option<PathBuf>,
}

impl TestRequest {
    /// All suites of an environment, on its branch.
    pub fn new(environment: EnvironmentName) -> Self {
        Self { environment, suites: Vec::new(), pull_request: None, junit: None }
    }
}

/// Runs suites and says what they said. With a pull request its status is set, and where the rules of its base branch ask
/// for these suites, the results are recorded as evidence; only a run makes a proof.
///
/// # Errors
///
/// [`ErrorKind::Usage`] where there is no suite to run, [`ErrorKind::Refused`] where a pull request removes a suite that
/// its base branch requires. A suite that fails is a report.
pub async fn run_tests(context: &Context, request: &TestRequest) -> Result<TestReport> {
    if let Some(path) = &request.junit {
        context.check_output(path)?;
    }
    let report = test(context, request).await?;
    if let Some(path) = &request.junit {
        context.write_output(path, report.to_junit().as_bytes())?;
    }
    Ok(report)
}

async fn test(context: &Context, request: &TestRequest) -> Result<TestReport> {
    context.needs_history()?;
    let name = &request.environment;
    context.sync()?;
    let (revision, tested) = if let Some(number) = request.pull_request {
        let (revision, tested) = merge_of(context, number).await?;
        (revision, Some(tested))
    } else {
        let environment = find_environment(context, name).await?;
        let commit = commit_of(context, &branch_of(&environment)?, None).await?;
        (Revision::load(context, &commit)?, None)
    };
    let rules = match &tested {
        Some(tested) => {
            let store = LedgerStore::read(context).await?;
            PolicyFound::of_branch(context, store.ledger(), &revision.config, tested.branch.as_str()).await?
        }
        None => Vec::new(),
    };
    let configurations: Vec<&Config> =
        rules.iter().flat_map(PolicyFound::configurations).map(|rules| &rules.config).collect();
    let required = required_suites(&revision, &configurations, name)?;
    let suites = if request.suites.is_empty() { &required.present } else { &request.suites };
    if suites.is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("environment `{name}` has no suites: nothing was tested"))
            .hint("list some under `suites:`, or name one with `--suite`"));
    }
    let asked: BTreeSet<EnvironmentName> =
        rules.iter().flat_map(|found| found.pull_request_environments(&revision.config)).collect();
    if let Some(tested) = &tested
        && asked.contains(name)
        && !required.removed.is_empty()
    {
        return Err(removed(context, tested, &required).await?);
    }
    let mut warnings: Vec<String> = required
        .taken_out
        .iter()
        .map(|suite| format!("the pull request takes suite `{suite}` out of `{name}`: it runs all the same"))
        .collect();
    warnings.extend(
        required
            .removed
            .iter()
            .map(|suite| format!("the pull request removes suite `{suite}`, which `{name}` asks for")),
    );
    if let Some(tested) = &tested {
        let base = load_config(context, tested.base.as_str())?;
        let rules = || configurations.iter().copied().chain(&base);
        refuse_credentials(&revision.config, rules(), suites)?;
        mask_logins(context, &revision, rules())?;
    }
    preflight_suites(context, &revision, &required.environment, suites)?;
    // A Job in a namespace is started by one run at a time; programs and requests have always been beside each other.
    let is_container = |suite: &SuiteName| {
        let found = revision.config.suites.get(suite);
        found.is_some_and(|suite| matches!(suite.kind, SuiteKind::Container(_)))
    };
    let _lease = if suites.iter().any(is_container) { Some(lease(context, name, Duration::ZERO).await?) } else { None };
    let mut reports = Vec::new();
    let mut started = Vec::new();
    for suite in suites {
        context.note(format!("suite {suite}: running"));
        started.push(context.now());
        reports.push(run_suite(context, &revision, &required.environment, suite).await?);
    }
    let Some(tested) = tested else {
        return Ok(TestReport { environment: name.clone(), suites: reports, warnings });
    };
    let mut store = LedgerStore::read(context).await?;
    if asked.contains(name) {
        if context.acts_as_bot().await? {
            let merge = tested_merge(context, &revision, name, &tested.branch)?;
            for ((suite, report), started) in suites.iter().zip(&reports).zip(started) {
                let ran = Ran { suite: suite.clone(), report, started, why: None };
                record_suite(context, &mut store, &revision, &merge, ran).await?;
            }
        } else {
            warnings.push(format!("`{}` is no bot: these results are no evidence", context.run.actor));
        }
    }
    let all = required.present.iter().all(|suite| suites.contains(suite));
    if !asked.is_empty() && !asked.contains(name) {
        let asked: Vec<String> = asked.iter().map(|asked| format!("`{asked}`")).collect();
        warnings.push(format!(
            "status `{SUITES_STATUS}` is not set: pull requests into `{}` must pass the suites of {}",
            tested.branch,
            asked.join(", ")
        ));
    } else if all {
        warnings.extend(set_suites_status(context, &tested, &reports).await?);
    } else {
        warnings.push(format!(
            "status `{SUITES_STATUS}` is not set: it stands for all suites of `{name}`, and only some were run"
        ));
    }
    Ok(TestReport { environment: name.clone(), suites: reports, warnings })
}

/// What a pull request's test merge was made of.
struct Tested {
    branch: BranchName,
    base: CommitId,
    head: CommitId,
}

/// What merging a pull request gives.
async fn merge_of(context: &Context, number: u64) -> Result<(Revision, Tested)> {
    let branch = context.forge.pull_request(number).await?.base_branch;
    match context.forge.merge_ref(number).await? {
        MergeRef::Clean { commit, base, head, .. } => {
            context.sync()?;
            Ok((Revision::load(context, &commit)?, Tested { branch, base, head }))
        }
        MergeRef::Conflict { paths, .. } => {
            Err(Error::new(ErrorKind::Repository, format!("pull request {number} has conflicts: {}", paths.join(", "))))
        }
    }
}

/// Refuses a pull request whose suites are given what the configuration of its base calls a kubeconfig or the password of a
/// registry: its own configuration may have forgotten that.
fn refuse_credentials<'a>(own: &Config, rules: impl Iterator<Item = &'a Config>, suites: &[SuiteName]) -> Result<()> {
    let credentials: BTreeSet<_> = rules.flat_map(Config::own_credentials).collect();
    let given = suites.iter().flat_map(|suite| {
        own.variables_of(suite).into_iter().filter(|name| credentials.contains(name)).map(move |name| (suite, name))
    });
    let problems: Vec<Problem> = given
        .map(|(suite, name)| {
            let message = format!("it is given `{name}`, which is a login of orchestrator in the base branch");
            Problem::new(suite.to_string(), message)
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, "suites of the pull request are given what no suite may have")
        .problems(problems)
        .hint("give the suite a variable of its own, with a login that may do only what it needs"))
}

/// Refuses a pull request without suites that its base branch requires, and sets its status.
async fn removed(context: &Context, tested: &Tested, required: &RequiredSuites) -> Result<Error> {
    let name = &required.environment.name;
    let list: Vec<String> = required.removed.iter().map(|suite| format!("`{suite}`")).collect();
    let text = format!("the pull request removes what `{}` requires: {}", tested.branch, list.join(", "));
    LedgerStore::check(context).await?;
    let state = StatusState::Failure;
    let kept = set_status(context, &tested.head, Some(&tested.base), SUITES_STATUS, state, &text).await?;
    let error = Error::new(ErrorKind::Refused, text);
    Ok(kept.into_iter().fold(error, Error::hint).hint(format!(
        "take it out of `environments.{name}.suites` first, and remove its definition with a later pull request"
    )))
}

/// Says on the head that was tested what the suites said, or why not.
async fn set_suites_status(context: &Context, tested: &Tested, reports: &[qa::SuiteReport]) -> Result<Option<String>> {
    let failed = reports.iter().filter(|report| !report.is_passed()).count();
    let (state, text) = if failed == 0 {
        (StatusState::Success, format!("{} passed", count(reports.len(), "suite")))
    } else {
        (StatusState::Failure, format!("{failed} of {} suites failed", reports.len()))
    };
    set_status(context, &tested.head, Some(&tested.base), SUITES_STATUS, state, &text).await
}
