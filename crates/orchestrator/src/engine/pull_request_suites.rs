//! The suites that a pull request must pass: which they are, what they were run on, and the records of their results.

use std::collections::BTreeSet;

use config::{Config, Environment};
use ledger::{RecordDraft, Step, StepResult, SuiteRef, TestedMerge};
use lock_model::{BranchName, CommitId, EnvironmentName, SuiteName, Timestamp, TreeId};
use promotion::gates::PullRequestSuites;
use qa::SuiteReport;

use super::Engine;
use super::merged_locks::merged_into;
use super::suites::{run_suite, suite_reference};
use crate::context::{Context, branch_name, git_error};
use crate::environment_policy::{branch_of, commits_locks, unknown_environment};
use crate::error::Result;
use crate::inputs::Inputs;
use crate::ledger_store::{Document, LedgerStore};
use crate::policy_found::PolicyFound;
use crate::report::v1::evidence::Evidence;
use crate::revision::Revision;

/// How many commits are looked at for the pull requests that may be at fault.
const MOST: usize = 256;

/// The suites of an environment of pull requests: those of the branch's rules, and those that the change lists itself.
#[derive(Clone, Debug)]
pub(crate) struct RequiredSuites {
    /// The environment that they are run for; the rules' where the change removed it.
    pub environment: Environment,
    /// The suites that can be run.
    pub present: Vec<SuiteName>,
    /// Among them, those that only the rules list.
    pub taken_out: Vec<SuiteName>,
    /// The suites that the rules list and the change does not define any more.
    pub removed: Vec<SuiteName>,
}

/// A change does not choose what it is tested by: the suites of the rules count, too.
pub(crate) fn required_suites(
    revision: &Revision,
    rules: &[&Config],
    name: &EnvironmentName,
) -> Result<RequiredSuites> {
    let before: Vec<&Environment> = rules.iter().filter_map(|rules| rules.environments.get(name)).collect();
    let own = revision.config.environments.get(name);
    let environment =
        own.or(before.first().copied()).cloned().ok_or_else(|| unknown_environment(&revision.config, name))?;
    let mut present = own.map(|own| own.suites.clone()).unwrap_or_default();
    let (mut taken_out, mut removed) = (Vec::new(), Vec::new());
    let listed: BTreeSet<&SuiteName> = before.iter().flat_map(|before| &before.suites).collect();
    for suite in listed.into_iter().filter(|suite| !present.contains(suite)) {
        if revision.config.suites.contains_key(suite) {
            taken_out.push(suite.clone());
        } else {
            removed.push(suite.clone());
        }
    }
    present.extend(taken_out.iter().cloned());
    Ok(RequiredSuites { environment, present, taken_out, removed })
}

/// What suites run on: the tree without the lock, which a run commits on top of the merge.
pub(crate) fn tested_merge(
    context: &Context,
    revision: &Revision,
    environment: &EnvironmentName,
    base: &BranchName,
) -> Result<TestedMerge> {
    Ok(TestedMerge { environment: environment.clone(), base: base.clone(), tree: without_locks(context, revision)? })
}

fn without_locks(context: &Context, revision: &Revision) -> Result<TreeId> {
    let cannot = |error| git_error("the tree without its lock cannot be made", error);
    let locks = Inputs::lock_folder(&context.git, revision.tree.as_str()).map_err(cannot)?;
    let paths: Vec<&str> = locks.keys().map(String::as_str).collect();
    context.git.tree_without(revision.tree.as_str(), &paths).map_err(cannot)
}

/// Records the result of a suite on the merge of a pull request.
pub(crate) async fn record_suite(
    context: &Context,
    store: &mut LedgerStore,
    revision: &Revision,
    tested: &TestedMerge,
    ran: Ran<'_>,
) -> Result<()> {
    let passed = ran.report.is_passed();
    let result = if passed { StepResult::Ok } else { StepResult::Failed };
    let mut draft =
        RecordDraft::new(Step::Suite, result, context.run.clone(), context.now()).environment(&tested.environment);
    draft.started = ran.started;
    draft.base = Some(tested.base.clone());
    draft.merge_tree = Some(tested.tree.clone());
    draft.commit = Some(revision.commit.clone());
    draft.tree = Some(revision.tree.clone());
    draft.suite = Some(suite_reference(context, revision, &ran.suite)?);
    let draft = match (ran.why, passed) {
        (Some(why), true) => draft.reason(why),
        (Some(why), false) => draft.reason(&format!("{why}: {}", ran.report.summary())),
        (None, true) => draft,
        (None, false) => draft.reason(&ran.report.summary()),
    };
    let name = format!("suite-{}.json", ran.suite);
    let document = Document { name, bytes: Evidence::new(ran.report).to_json() };
    store.append(context, draft, &[document], |_| Ok(())).await?;
    Ok(())
}

/// A suite that was run.
pub(crate) struct Ran<'a> {
    pub suite: SuiteName,
    pub report: &'a SuiteReport,
    pub started: Timestamp,
    /// Why it was run besides for a pull request.
    pub why: Option<&'a str>,
}

/// The suites that the gates ask for, and the environment that they are run for.
#[derive(Debug)]
pub(super) struct AskedSuites {
    pub suites: PullRequestSuites,
    environment: Environment,
}

impl Engine<'_> {
    /// The suites that what was merged must have passed, by environment; none where the rules require none.
    pub(super) async fn asked_suites(&self, policy: &PolicyFound) -> Result<Vec<AskedSuites>> {
        let mut asked = Vec::new();
        if !commits_locks(&self.environment) {
            return Ok(asked);
        }
        let own = &self.revision.config;
        let rules: Vec<&Config> = policy.configurations().into_iter().map(|rules| &rules.config).collect();
        let base = branch_name(&branch_of(&self.environment)?)?;
        for name in policy.pull_request_environments(own) {
            let required = required_suites(&self.revision, &rules, &name)?;
            let mut suites = PullRequestSuites {
                tested: tested_merge(self.context, &self.revision, &name, &base)?,
                suites: required.removed.into_iter().map(|name| (name, None)).collect(),
                bots: self.context.bots().await?,
                merges: Vec::new(),
            };
            for name in required.present {
                let SuiteRef { name, digest } = suite_reference(self.context, &self.revision, &name)?;
                suites.suites.insert(name, Some(digest));
            }
            if !suites.open(self.store.ledger()).is_empty() {
                suites.merges = self.merges_since_gates_passed(&base).await?;
            }
            asked.push(AskedSuites { suites, environment: required.environment });
        }
        Ok(asked)
    }

    /// The pull requests of the branch since the gates of this environment passed last, newest first.
    async fn merges_since_gates_passed(&self, branch: &BranchName) -> Result<Vec<(u64, CommitId)>> {
        let ledger = self.store.ledger();
        let passed = |commit: &CommitId| {
            let mut records = ledger.of(&self.environment.name);
            records.any(|record| record.is(Step::Gates, StepResult::Ok) && record.entry.commit.as_ref() == Some(commit))
        };
        let merged = merged_into(self.context, branch.as_str()).await?;
        let line = self.context.first_parents(self.revision.commit.as_str())?;
        let since = line.into_iter().take(MOST).take_while(|commit| !passed(commit));
        Ok(since.filter_map(|commit| Some((merged.get(&commit)?.number, commit))).collect())
    }

    /// Runs the suites that no record has for this content, and records them. Gives a line for each.
    pub(super) async fn rerun_suites(&mut self, asked: &AskedSuites) -> Result<Vec<String>> {
        let can_be_evidence = asked.suites.bots.contains(&self.context.run.actor);
        if !can_be_evidence || asked.suites.removed().next().is_some() {
            return Ok(Vec::new());
        }
        let mut lines = Vec::new();
        for suite in asked.suites.open(self.store.ledger()) {
            let name = suite.name;
            let started = self.now();
            self.context.note(format!("suite {name} of `{}`: running", asked.suites.tested.environment));
            let report = run_suite(self.context, &self.revision, &asked.environment, &name).await?;
            lines.push(format!("rerun of suite {name}: {}", report.summary()));
            let ran = Ran { suite: name, report: &report, started, why: Some("rerun") };
            record_suite(self.context, &mut self.store, &self.revision, &asked.suites.tested, ran).await?;
        }
        Ok(lines)
    }
}
