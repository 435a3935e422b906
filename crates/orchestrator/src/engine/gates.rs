//! The facts that the gates judge: what git and the forge say, and the policy of the target branch.

use std::collections::BTreeMap;

use config::{Config, Excluded, ProofRequirement};
use forge::{PullRequest, PullRequestState, Role};
use ledger::{Ledger, PolicySource, ProofLevel};
use lock_model::{CommitId, EnvironmentName, SuiteName};
use promotion::approvals::{
    Access, ApprovalPolicy, MergeFacts, Person, PersonKind, PullRequestFacts, ReviewFacts, ReviewState,
};
use promotion::attempts::Purpose;
use promotion::gates::{Ancestry, DeployFacts, GateCode, GatePolicy, GateReport, ProvenIn, PullRequestFound, judge};

use super::step_outcome::StepOutcome;
use super::suites::suite_reference;
use super::{Engine, merged_pull_request};
use crate::context::{Context, git_error};
use crate::environment_policy::branch_of;
use crate::error::{ErrorKind, Result};
use crate::labels::count;
use crate::revision::{Revision, load_config};

impl Engine<'_> {
    pub(super) async fn ask_gates(&mut self) -> Result<StepOutcome> {
        let report = self.gate_report().await?;
        let answer = if report.lets_pass() {
            let asked = report.findings.iter().filter(|f| f.verdict == promotion::gates::GateVerdict::Passed).count();
            StepOutcome::ok(format!("{} passed", count(asked, "gate")))
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
            StepOutcome::refused(code, lines.join("\n"))
        };
        let mut answer = answer.document("gates.json", &report);
        answer.policy = Some(report.policy);
        answer.reason = report.reason();
        if report.policy == PolicySource::Bootstrap && self.purpose == Purpose::Run {
            answer.warnings.push(format!(
                "bootstrap: `{}` has no configuration yet, so the rules are the change's own",
                branch_of(&self.environment)?
            ));
        }
        Ok(answer)
    }

    /// Gathers the facts and asks every gate; records nothing. The facts are kept, so that the gates can be asked again
    /// when a record of another writer lands first.
    pub(crate) async fn gate_report(&mut self) -> Result<GateReport> {
        let branch = branch_of(&self.environment)?;
        let origin = self.origin_commit()?;
        let pull_request = merged_pull_request(self.context, &branch, &origin).await?;
        let found = policy_for(self.context, &origin, &self.environment.name)?;
        let mergers = match &pull_request {
            Some(pull_request) => mergers(self.context, pull_request).await?,
            None => Vec::new(),
        };
        let policy = found.gates(self.context, &self.revision, &self.environment.name, &mergers)?;
        let pull_request = match &pull_request {
            Some(pull_request) => Some(pull_request_facts(self.context, pull_request).await?),
            None => None,
        };
        let mismatches: Vec<String> =
            self.revision.mismatches(&self.lock.lock).iter().map(ToString::to_string).collect();
        let newest = self.store.ledger().latest_touched(&self.environment.name);
        let older = match newest.and_then(|record| record.entry.commit.as_ref()) {
            Some(newest) => is_ancestor(self.context, &self.revision.commit, newest)?,
            None => Ancestry::Unrelated,
        };
        let findings = Findings {
            today: self.now().date(),
            mismatches,
            head_in_history: is_ancestor(self.context, &self.lock.lock.source().head, &self.revision.commit)?,
            older_than_newest: older,
            policy,
            pull_request,
        };
        let report = self.judge(self.store.ledger(), &findings);
        self.findings = Some(findings);
        Ok(report)
    }

    /// Asks every gate about facts that were gathered before.
    pub(super) fn judge(&self, ledger: &Ledger, findings: &Findings) -> GateReport {
        judge(
            ledger,
            &DeployFacts {
                purpose: self.purpose,
                environment: &self.environment.name,
                release: &self.release,
                lock: &self.lock.lock,
                lock_file: &self.lock.digest,
                commit: &self.revision.commit,
                tree: &self.revision.tree,
                today: findings.today,
                mismatches: &findings.mismatches,
                head_in_history: findings.head_in_history,
                older_than_newest: findings.older_than_newest,
                policy: &findings.policy,
                pull_request: match &findings.pull_request {
                    Some(facts) => PullRequestFound::Found(facts),
                    None => PullRequestFound::Absent,
                },
            },
        )
    }

    /// The merge commit: the revision itself, or the parent of a lock commit.
    fn origin_commit(&self) -> Result<CommitId> {
        if !crate::environment_policy::commits_locks(&self.environment) || self.purpose == Purpose::Rollback {
            return Ok(self.revision.commit.clone());
        }
        arrival(self.context, &self.revision)
    }
}

/// The commit that brought a change to the branch: the parent of a commit that changes the lock alone, else the commit.
pub(super) fn arrival(context: &Context, revision: &Revision) -> Result<CommitId> {
    let [parent] = revision.parents.as_slice() else { return Ok(revision.commit.clone()) };
    let changed = context
        .git
        .diff_names(parent.as_str(), revision.commit.as_str())
        .map_err(|error| git_error("the lock commit cannot be compared with its parent", error))?;
    let only_lock = !changed.is_empty()
        && changed.iter().all(|change| change.path.starts_with(&format!("{}/", lock_model::LOCK_FOLDER)));
    Ok(if only_lock { parent.clone() } else { revision.commit.clone() })
}

/// The facts of one question to the gates.
#[derive(Debug)]
pub(super) struct Findings {
    today: lock_model::Date,
    mismatches: Vec<String>,
    head_in_history: Ancestry,
    older_than_newest: Ancestry,
    policy: GatePolicy,
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

/// The configuration whose policy judges a change: the target branch's, as it was before the change.
#[derive(Debug)]
pub(crate) struct PolicyFound {
    pub source: PolicySource,
    /// Absent in the bootstrap case, where the change is judged by its own configuration.
    config: Option<Config>,
}

/// The policy for a change that arrived with this commit: the configuration of its first parent.
fn policy_for(context: &Context, commit: &CommitId, environment: &EnvironmentName) -> Result<PolicyFound> {
    let facts = context.commit(commit.as_str())?;
    let before = match facts.as_ref().and_then(|facts| facts.parents.first()) {
        Some(parent) => load_config(context, parent.as_str())?,
        None => None,
    };
    Ok(PolicyFound::of(before, environment))
}

impl PolicyFound {
    /// The policy of a configuration; the bootstrap case where it is missing or does not have the environment.
    pub(crate) fn of(config: Option<Config>, environment: &EnvironmentName) -> Self {
        let config = config.filter(|config| config.environments.contains_key(environment));
        let source = if config.is_some() { PolicySource::Parent } else { PolicySource::Bootstrap };
        Self { source, config }
    }

    /// The configuration that decides; `own` is the change's.
    pub(crate) fn config<'a>(&'a self, own: &'a Config) -> &'a Config {
        self.config.as_ref().unwrap_or(own)
    }

    /// The policy of an environment, with the suites' digests as they are in the revision.
    pub(crate) fn gates(
        &self,
        context: &Context,
        revision: &Revision,
        environment: &EnvironmentName,
        mergers: &[String],
    ) -> Result<GatePolicy> {
        let rules = self.config(&revision.config);
        let requires = &crate::environment_policy::environment_of(rules, environment)?.requires;
        let mut proven_in = None;
        if let Some(before) = &requires.proven_in {
            let names = |config: &Config| -> Vec<SuiteName> {
                config.environments.get(before).map(|environment| environment.suites.clone()).unwrap_or_default()
            };
            let mut suites = BTreeMap::new();
            for name in names(rules).into_iter().chain(names(&revision.config)) {
                let digest = if revision.config.suites.contains_key(&name) {
                    Some(suite_reference(context, revision, &name)?.digest)
                } else {
                    None
                };
                suites.insert(name, digest);
            }
            let level = match requires.proof {
                ProofRequirement::Stored => ProofLevel::Stored,
                ProofRequirement::Running => ProofLevel::Running,
            };
            proven_in = Some(ProvenIn { environment: before.clone(), level, suites });
        }
        let approvals = requires.approvals.as_ref().map(|required| {
            let mut excluded = BTreeMap::new();
            for who in &required.exclude {
                match who {
                    // Approvals of the author never count, with and without this entry.
                    Excluded::Author => {}
                    Excluded::Merger => {
                        let why = "merged what the pull request carries".to_owned();
                        excluded.extend(mergers.iter().map(|merger| (merger.clone(), why.clone())));
                    }
                }
            }
            ApprovalPolicy { count: required.count, excluded }
        });
        Ok(GatePolicy { source: self.source, proven_in, approvals })
    }
}

/// The users who merged the pull requests that a promotion carries, sorted.
pub(crate) async fn mergers(context: &Context, pull_request: &PullRequest) -> Result<Vec<String>> {
    let base = match &pull_request.merge {
        Some(merge) => context.commit(merge.commit.as_str())?.and_then(|facts| facts.parents.into_iter().next()),
        None => Some(context.branch_head(pull_request.base_branch.as_str()).await?),
    };
    let Some(base) = base else { return Ok(Vec::new()) };
    let range = format!("{base}..{}", pull_request.head);
    let carried = context.rev_list(&["--first-parent", range.as_str()])?;
    let merged = context.forge.pull_requests(Some(PullRequestState::Merged)).await?;
    let mut names: Vec<String> = merged
        .into_iter()
        .filter(|one| one.base_branch == pull_request.head_branch)
        .filter_map(|one| one.merge)
        .filter(|merge| carried.contains(&merge.commit))
        .map(|merge| merge.by.to_string())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The facts of a pull request that approvals are counted by.
pub(crate) async fn pull_request_facts(context: &Context, pull_request: &PullRequest) -> Result<PullRequestFacts> {
    let tree_of = |commit: &CommitId| -> Result<Option<lock_model::TreeId>> {
        let facts = context.commit(commit.as_str())?;
        Ok(facts.map(|facts| facts.tree))
    };
    let missing = |commit: &CommitId| {
        crate::error::Error::new(
            ErrorKind::Repository,
            format!("commit {} is not in this repository", commit.short(12)),
        )
        .hint("fetch the whole history: a shallow clone cannot be judged")
    };
    let head_tree = tree_of(&pull_request.head)?.ok_or_else(|| missing(&pull_request.head))?;
    let merged = match &pull_request.merge {
        Some(merge) => Some(MergeFacts {
            tree: tree_of(&merge.commit)?.ok_or_else(|| missing(&merge.commit))?,
            commit: merge.commit.clone(),
            by: merge.by.to_string(),
        }),
        None => None,
    };
    let reviews = context.forge.reviews(pull_request.number).await?;
    let users = context.forge.users().await?;
    Ok(PullRequestFacts {
        number: pull_request.number,
        author: pull_request.author.to_string(),
        head: pull_request.head.clone(),
        head_tree,
        merged,
        reviews: reviews
            .into_iter()
            .map(|review| ReviewFacts {
                seq: review.seq,
                user: review.user.to_string(),
                state: match review.state {
                    forge::ReviewState::Approved => ReviewState::Approved,
                    forge::ReviewState::ChangesRequested => ReviewState::ChangesRequested,
                    forge::ReviewState::Commented => ReviewState::Commented,
                    forge::ReviewState::Dismissed => ReviewState::Dismissed,
                },
                tree: Some(review.tree),
                commit: review.commit,
                at: review.at,
            })
            .collect(),
        people: users
            .into_iter()
            .map(|user| Person {
                name: user.name.to_string(),
                kind: if user.bot { PersonKind::Bot } else { PersonKind::Human },
                access: if user.role >= Role::Write { Access::Write } else { Access::Read },
            })
            .collect(),
    })
}
