//! The facts that the gates judge: what git and the forge say, and the policy of the target branch.

use ledger::Ledger;
use lock_model::{CommitId, TreeId};
use promotion::approvals::{self, FallbackUse, PullRequestFacts};
use promotion::attempts::Purpose;
use promotion::gates::{
    Ancestry, DeployFacts, Gate, GateCode, GatePolicy, GateReport, PullRequestFound, PullRequestSuites, judge,
};
use promotion::places::PlaceFacts;

use super::people::{content, gates_passed, pull_request_facts};
use super::pull_request_suites::AskedSuites;
use super::step_outcome::StepOutcome;
use super::{Engine, merged_pull_request};
use crate::branch_line::{PassOver, arrival};
use crate::context::Context;
use crate::environment_policy::branch_of;
use crate::error::{ErrorKind, Problem, Result};
use crate::labels::count;
use crate::places::place_facts;
use crate::policy_found::{PolicyFound, way_out};
use crate::report::v1::PolicyReport;
use crate::unpinned_images::{self, UnpinnedRules};

impl Engine<'_> {
    pub(super) async fn ask_gates(&mut self) -> Result<StepOutcome> {
        let mut report = self.gate_report().await?;
        let mut rerun = Vec::new();
        if report.is_refused_only_by(Gate::PullRequestSuites)
            && let Some(findings) = self.findings.take()
        {
            for asked in &findings.asked_suites {
                rerun.extend(self.rerun_suites(asked).await?);
            }
            report = self.judge(self.store.ledger(), &findings);
            self.findings = Some(findings);
        }
        let rules = self.findings.as_ref().and_then(|findings| findings.rules.clone());
        let answer = if report.lets_pass() {
            let asked = report.findings.iter().filter(|f| f.verdict == promotion::gates::GateVerdict::Passed).count();
            let detail = std::iter::once(format!("{} passed", count(asked, "gate"))).chain(rerun);
            StepOutcome::ok(detail.collect::<Vec<_>>().join("; "))
        } else {
            let code = match report.code() {
                Some(GateCode::NotBelonging) => ErrorKind::Repository,
                Some(GateCode::Refused) | None => ErrorKind::Refused,
            };
            let mut lines = Vec::new();
            for finding in report.refusals() {
                lines.push(format!("{}: {}", finding.gate, finding.message));
                lines.extend(finding.hint.iter().map(|hint| format!("  hint: {hint}")));
            }
            if let Some(rules) =
                rules.as_ref().filter(|_| report.refusals().any(|finding| finding.gate.asks_by_rules()))
            {
                lines.push(rules.sentence());
                let hint = way_out(&self.environment.name, self.revision.commit.short(12));
                lines.push(format!("  hint: {hint}"));
            }
            StepOutcome::refused(code, lines.join("\n"))
        };
        let mut answer = answer.document("gates.json", &report);
        answer.reason = report.reason();
        answer.policy = report.policy;
        answer.warnings.extend(rules.filter(PolicyReport::is_unusual).map(|rules| rules.sentence()));
        Ok(answer)
    }

    /// Gathers the facts and asks every gate; records nothing. The facts are kept, so that the gates can be asked again
    /// when a record of another writer lands first.
    pub(crate) async fn gate_report(&mut self) -> Result<GateReport> {
        let branch = branch_of(&self.environment)?;
        let origin = self.origin_commit()?;
        let pull_request = merged_pull_request(self.context, &branch, &origin).await?;
        let (policy, unpinned, rules, asked_suites) = match self.purpose {
            Purpose::Rollback => (GatePolicy::default(), None, None, Vec::new()),
            Purpose::Run => {
                let (context, commit) = (self.context, &self.revision.commit);
                let found =
                    PolicyFound::of_commit(context, self.store.ledger(), &self.environment, &branch, commit).await?;
                let asked = self.asked_suites(&found).await?;
                let unpinned = self.unpinned(&found.unpinned(&self.revision.config)).await;
                (found.gates(context, &self.revision)?, unpinned, Some(found.report()), asked)
            }
        };
        let pull_request = match &pull_request {
            Some(pull_request) => {
                let (name, commit) = (&self.environment.name, &self.revision.commit);
                let passed = gates_passed(self.store.ledger(), self.since, name, commit, policy.policy.as_ref());
                Some(pull_request_facts(self.context, pull_request, policy.passed(), passed).await?)
            }
            None => None,
        };
        let mismatches: Vec<String> =
            self.revision.mismatches(&self.lock.lock).iter().map(ToString::to_string).collect();
        let newest = self.store.ledger().latest_touched(&self.environment.name);
        let older = match newest.and_then(|record| record.entry.commit.as_ref()) {
            Some(newest) => is_ancestor(self.context, &self.revision.commit, newest)?,
            None => Ancestry::Unrelated,
        };
        let sentences = unpinned.as_ref().map(|refused| refused.iter().map(unpinned_images::sentence).collect());
        let findings = Findings {
            today: self.now().date(),
            tree: content(self.context, &self.revision.tree)?,
            mismatches,
            head_in_history: is_ancestor(self.context, &self.lock.lock.source().head, &self.revision.commit)?,
            older_than_newest: older,
            places: place_facts(self.context, self.store.ledger(), &self.revision.config, &self.environment).await?,
            policy,
            unpinned,
            sentences,
            rules,
            asked_suites,
            pull_request,
        };
        let report = self.judge(self.store.ledger(), &findings);
        self.findings = Some(findings);
        Ok(report)
    }

    /// Refuses a plan with images that neither the lock nor a digest decides, where the rules do.
    pub(crate) async fn refuse_unpinned(&mut self) -> Result<()> {
        self.gate_report().await?;
        let refused = self.findings.as_ref().and_then(|findings| findings.unpinned.as_deref()).unwrap_or_default();
        if refused.is_empty() { Ok(()) } else { Err(unpinned_images::refusal(&self.environment.name, refused)) }
    }

    /// The images that the rules refuse; `None` where they let all of them be deployed, and where nothing can be rendered,
    /// which the plan says.
    async fn unpinned(&self, rules: &UnpinnedRules) -> Option<Vec<Problem>> {
        if !rules.refuses() {
            return None;
        }
        let request = self.deployable().ok()?.request;
        let images = deployer::render::plan(&request, None).ok()?.unpinned_images;
        let refused = rules.refusals(&images, self.now().date());
        Some(unpinned_images::problems(self.context, &self.revision, &refused).await)
    }

    /// Asks every gate about facts that were gathered before.
    pub(super) fn judge(&self, ledger: &Ledger, findings: &Findings) -> GateReport {
        let tested: Vec<&PullRequestSuites> = findings.asked_suites.iter().map(|asked| &asked.suites).collect();
        judge(
            ledger,
            &DeployFacts {
                purpose: self.purpose,
                environment: &self.environment.name,
                release: &self.release,
                lock: &self.lock.lock,
                lock_file: &self.lock.digest,
                commit: &self.revision.commit,
                tree: &findings.tree,
                today: findings.today,
                mismatches: &findings.mismatches,
                head_in_history: findings.head_in_history,
                older_than_newest: findings.older_than_newest,
                unpinned_images: findings.sentences.as_deref(),
                places: &findings.places,
                policy: &findings.policy,
                pull_request_suites: &tested,
                pull_request: match &findings.pull_request {
                    Some(facts) => PullRequestFound::Found(facts),
                    None => PullRequestFound::Absent,
                },
            },
        )
    }

    /// The merge commit: below the lock commit, and below what other tools committed to `locks/`.
    fn origin_commit(&self) -> Result<CommitId> {
        if self.purpose == Purpose::Rollback {
            return Ok(self.revision.commit.clone());
        }
        let passed = if crate::environment_policy::commits_locks(&self.environment) {
            PassOver::ForeignFilesAndTheLock
        } else {
            PassOver::ForeignFiles
        };
        Ok(arrival(self.context, &self.revision.commit, passed)?.commit)
    }
}

impl Engine<'_> {
    /// The fallback by which fewer people approved this release than the rules ask for.
    pub(super) async fn fallback(&mut self) -> Result<Option<String>> {
        if self.findings.is_none() {
            self.gate_report().await?;
        }
        let Some(findings) = &self.findings else { return Ok(None) };
        let (Some(policy), Some(facts)) = (&findings.policy.approvals, &findings.pull_request) else {
            return Ok(None);
        };
        Ok(match approvals::count(policy, facts, findings.today).fallback {
            FallbackUse::Applies(fallback) => Some(fallback.to_string()),
            FallbackUse::Unused | FallbackUse::Ended(_) => None,
        })
    }
}

/// The facts of one question to the gates.
#[derive(Debug)]
pub(super) struct Findings {
    today: lock_model::Date,
    /// The tree that is compared with what was approved.
    tree: TreeId,
    mismatches: Vec<String>,
    head_in_history: Ancestry,
    older_than_newest: Ancestry,
    pub(super) places: PlaceFacts,
    policy: GatePolicy,
    /// The images that are refused because nothing decides them; absent where such images are deployed.
    unpinned: Option<Vec<Problem>>,
    /// The same, a sentence each.
    sentences: Option<Vec<String>>,
    /// Where the rules were read; absent for a rollback.
    rules: Option<PolicyReport>,
    asked_suites: Vec<AskedSuites>,
    pull_request: Option<PullRequestFacts>,
}

fn is_ancestor(context: &Context, ancestor: &CommitId, descendant: &CommitId) -> Result<Ancestry> {
    let known = context.commit(ancestor.as_str())?.is_some();
    if !known {
        return Ok(Ancestry::Unknown);
    }
    let answer = context.is_ancestor(ancestor.as_str(), descendant.as_str())?;
    Ok(if answer { Ancestry::Ancestor } else { Ancestry::Unrelated })
}
