//! The rules that judge a change in an environment, read at its policy commit and never from what the change says about
//! itself. Gates, `lock publish`, `test run`, `promote`, `approvals` and `status` all ask here.

use std::collections::{BTreeMap, BTreeSet};

use config::{Config, Environment, ProofRequirement, Requires};
use ledger::{Ledger, Policy, PolicySource, ProofLevel};
use lock_model::{CommitId, EnvironmentName, SuiteName};
use promotion::approvals::ApprovalPolicy;
use promotion::gates::{GatePolicy, ProvenIn};
use promotion::policy_commit::{Acceptance, Line, environments_of};

use crate::branch_line::{first_parents, line_around, policy_commit_of};
use crate::context::{Context, branch_name};
use crate::engine::{approval_policy, suite_reference};
use crate::environment_policy::environment_of;
use crate::error::{Error, ErrorKind, Result};
use crate::report::v1::PolicyReport;
use crate::revision::{Revision, load_config};
use crate::unpinned_images::UnpinnedRules;

/// The rules for one change in one environment.
#[derive(Debug)]
pub(crate) struct PolicyFound {
    environment: EnvironmentName,
    branch: String,
    policy: Policy,
    acceptance: Option<Acceptance>,
    /// Absent where the change is judged by its own configuration.
    rules: Option<Rules>,
    /// The other environments of a protected branch that this one is new on: their rules hold for it as well.
    others: BTreeMap<EnvironmentName, Rules>,
}

/// A configuration that judges.
#[derive(Debug)]
pub(crate) struct Rules {
    pub commit: CommitId,
    pub config: Config,
}

impl PolicyFound {
    /// The rules for a commit of the branch, or for the lock commit on it.
    pub(crate) async fn of_commit(
        context: &Context,
        ledger: &Ledger,
        environment: &Environment,
        branch: &str,
        commit: &CommitId,
    ) -> Result<Self> {
        let head = context.find_branch_head(branch).await?;
        let line = line_around(context, environment, head.as_ref(), commit)?;
        Self::on(context, ledger, &environment.name, branch, &line).await
    }

    /// The rules for what is merged to the branch next.
    pub(crate) async fn of_next(
        context: &Context,
        ledger: &Ledger,
        environment: &EnvironmentName,
        branch: &str,
    ) -> Result<Self> {
        let before = match context.find_branch_head(branch).await? {
            Some(head) => first_parents(context, &head)?,
            None => Vec::new(),
        };
        Self::on(context, ledger, environment, branch, &Line { before, ..Line::default() }).await
    }

    /// The rules for what is merged to a branch next, of each environment that runs it before or afterwards.
    pub(crate) async fn of_branch(context: &Context, ledger: &Ledger, own: &Config, branch: &str) -> Result<Vec<Self>> {
        let before = match context.find_branch_head(branch).await? {
            Some(head) => first_parents(context, &head)?,
            None => Vec::new(),
        };
        let line = Line { before, ..Line::default() };
        // A configuration that cannot be read is what the change may repair.
        let parent = line.before.first().and_then(|parent| config_at(context, parent).ok().flatten());
        let mut names: BTreeSet<EnvironmentName> =
            parent.iter().chain([own]).flat_map(|config| sharing(config, branch)).collect();
        if names.is_empty() {
            names = environments_of(ledger, &line);
        }
        let mut found = Vec::new();
        for name in names {
            found.push(Self::on(context, ledger, &name, branch, &line).await?);
        }
        Ok(found)
    }

    async fn on(
        context: &Context,
        ledger: &Ledger,
        environment: &EnvironmentName,
        branch: &str,
        line: &Line,
    ) -> Result<Self> {
        let alone = rules_of(context, ledger, environment, line).map_err(|error| cannot_be_read(environment, error))?;
        let mut found = Self {
            environment: environment.clone(),
            branch: branch.to_owned(),
            policy: alone.policy,
            acceptance: alone.acceptance,
            rules: alone.rules,
            others: BTreeMap::new(),
        };
        match found.policy.source {
            PolicySource::Passed | PolicySource::Accepted => return Ok(found),
            PolicySource::Parent | PolicySource::Bootstrap => {}
        }
        let protected = context.forge.protected_branches().await?;
        if !protected.contains_key(&branch_name(branch)?) {
            return Ok(found);
        }
        let mut newest: Option<(usize, Policy)> = None;
        for name in neighbours(context, ledger, branch, line).map_err(|error| cannot_be_read(environment, error))? {
            if name == *environment {
                continue;
            }
            let rules = rules_of(context, ledger, &name, line).map_err(|error| cannot_be_read(environment, error))?;
            let (policy, Some(rules)) = (rules.policy, rules.rules) else { continue };
            if !rules.config.environments.get(&name).is_some_and(|other| runs(other, branch)) {
                continue;
            }
            let place = line.before.iter().position(|commit| *commit == rules.commit);
            let place = place.unwrap_or(usize::MAX);
            if newest.as_ref().is_none_or(|(newest, _)| place < *newest) {
                newest = Some((place, policy));
            }
            found.others.insert(name, rules);
        }
        if let Some((_, policy)) = newest {
            found.policy = policy;
        }
        Ok(found)
    }

    /// The environment that they are for.
    pub(crate) fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// Where the rules were read, for people and reports.
    pub(crate) fn report(&self) -> PolicyReport {
        PolicyReport {
            environment: self.environment.clone(),
            branch: self.branch.clone(),
            source: self.policy.source,
            commit: self.policy.commit.clone(),
            accepted: self.acceptance.clone(),
            together_with: self.others.keys().cloned().collect(),
        }
    }

    /// The configurations that the change is compared with, each once; none where it is the first of its branch.
    pub(crate) fn configurations(&self) -> Vec<&Rules> {
        let mut all: Vec<&Rules> = Vec::new();
        for rules in self.rules.iter().chain(self.others.values()) {
            if !all.iter().any(|known| known.commit == rules.commit) {
                all.push(rules);
            }
        }
        all
    }

    /// The configuration that decides; `own` is the change's.
    pub(crate) fn config<'a>(&'a self, own: &'a Config) -> &'a Config {
        self.rules.as_ref().map_or(own, |rules| &rules.config)
    }

    /// Every configuration that judges, with the environment whose rules are read there.
    fn judges<'a>(&'a self, own: &'a Config) -> Vec<(&'a EnvironmentName, &'a Config)> {
        let mut judges = vec![(&self.environment, self.config(own))];
        judges.extend(self.others.iter().map(|(name, rules)| (name, &rules.config)));
        judges
    }

    /// The rules as the gates take them, with the suites' digests as they are in the revision.
    pub(crate) fn gates(&self, context: &Context, revision: &Revision) -> Result<GatePolicy> {
        let own = &revision.config;
        let mut judges = Vec::new();
        for (name, rules) in self.judges(own) {
            judges.push((rules, &environment_of(rules, name)?.requires));
        }
        let mut policy = GatePolicy::new(self.policy.clone());
        for before in self.proven_in(&judges, own) {
            policy.proven_in.push(ProvenIn {
                level: strongest(&judges),
                suites: suites_of(context, revision, &before, &judges)?,
                environment: before,
            });
        }
        policy.approvals = self.approvals(own)?;
        Ok(policy)
    }

    /// The approvals that are asked for: the highest number, without anybody whom one of the rules excludes.
    pub(crate) fn approvals(&self, own: &Config) -> Result<Option<ApprovalPolicy>> {
        let mut strictest: Option<ApprovalPolicy> = None;
        for (name, rules) in self.judges(own) {
            let Some(required) = &environment_of(rules, name)?.requires.approvals else { continue };
            let policy = approval_policy(required);
            strictest = Some(strictest.map_or_else(|| policy.clone(), |other| other.and(policy.clone())));
        }
        Ok(strictest)
    }

    /// The commit that passed these rules; absent where nothing has passed yet.
    pub(crate) fn passed(&self) -> Option<CommitId> {
        GatePolicy::new(self.policy.clone()).passed().cloned()
    }

    /// The environments whose suites a pull request must pass.
    pub(crate) fn pull_request_environments(&self, own: &Config) -> BTreeSet<EnvironmentName> {
        let judges = self.judges(own).into_iter();
        let required = judges.filter_map(|(name, rules)| rules.environments.get(name)?.requires.pull_request.clone());
        required.collect()
    }

    /// What the rules say about images that neither the lock nor a digest decides.
    pub(crate) fn unpinned(&self, own: &Config) -> UnpinnedRules {
        let environment = |config: &'_ Config| config.environments.get(&self.environment).cloned();
        let judges = self.judges(own);
        let judging = judges.iter().filter_map(|(name, config)| config.environments.get(*name));
        let mut rules = UnpinnedRules::new(judging, environment(own).as_ref());
        rules.reviewed = match (&self.rules, self.others.is_empty()) {
            (Some(found), _) => environment(&found.config),
            (None, true) => environment(own),
            (None, false) => None,
        }
        .map(|environment| environment.unpinned_images)
        .unwrap_or_default();
        rules
    }

    /// The environments that must have proven a release. Of an environment that is new on its branch nothing is asked that
    /// it could not have: a proof of itself, or of an environment that the change takes away.
    fn proven_in(&self, judges: &[(&Config, &Requires)], own: &Config) -> BTreeSet<EnvironmentName> {
        let named = judges.iter().filter_map(|(_, requires)| requires.proven_in.clone());
        if self.others.is_empty() {
            return named.collect();
        }
        named.filter(|before| *before != self.environment && own.environments.contains_key(before)).collect()
    }
}

/// The rules of one environment by itself.
struct Alone {
    policy: Policy,
    acceptance: Option<Acceptance>,
    rules: Option<Rules>,
}

fn rules_of(context: &Context, ledger: &Ledger, environment: &EnvironmentName, line: &Line) -> Result<Alone> {
    let bootstrap =
        Alone { policy: Policy { source: PolicySource::Bootstrap, commit: None }, acceptance: None, rules: None };
    let Some(found) = policy_commit_of(context, ledger, environment, line)? else { return Ok(bootstrap) };
    let config = config_at(context, &found.commit)?.filter(|config| config.environments.contains_key(environment));
    let Some(config) = config else {
        return match found.source {
            PolicySource::Parent | PolicySource::Bootstrap => Ok(bootstrap),
            PolicySource::Passed | PolicySource::Accepted => Err(Error::new(
                ErrorKind::Refused,
                format!("the configuration of {} has no environment `{environment}`", found.commit.short(12)),
            )),
        };
    };
    let policy = Policy { source: found.source, commit: Some(found.commit.clone()) };
    Ok(Alone { policy, acceptance: found.acceptance, rules: Some(Rules { commit: found.commit, config }) })
}

/// The environments that share the branch: those of which something passed there, and those of the commit before.
fn neighbours(context: &Context, ledger: &Ledger, branch: &str, line: &Line) -> Result<BTreeSet<EnvironmentName>> {
    let mut names = environments_of(ledger, line);
    if let Some(parent) = line.before.first()
        && let Some(config) = config_at(context, parent)?
    {
        names.extend(sharing(&config, branch));
    }
    Ok(names)
}

/// The environments of a configuration that run a branch.
fn sharing(config: &Config, branch: &str) -> Vec<EnvironmentName> {
    let sharing = config.environments.values().filter(|environment| runs(environment, branch));
    sharing.map(|environment| environment.name.clone()).collect()
}

fn runs(environment: &Environment, branch: &str) -> bool {
    environment.branch.as_ref().is_some_and(|own| own.as_str() == branch)
}

/// The configuration of a commit that must be there.
fn config_at(context: &Context, commit: &CommitId) -> Result<Option<Config>> {
    let is_known = context.commit(commit.as_str())?.is_some();
    if !is_known {
        let message = format!("commit {} is not in this repository", commit.short(12));
        return Err(Error::new(ErrorKind::Repository, message)
            .hint(format!("`git fetch origin {commit}` brings it, unless the server has lost it")));
    }
    load_config(context, commit.as_str())
}

/// Rules that cannot be read refuse everything; an administrator can put others in force.
fn cannot_be_read(environment: &EnvironmentName, error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::Usage => ErrorKind::Refused,
        other => other,
    };
    Error::from_source(kind, format!("the rules of `{environment}` cannot be read"), error)
        .hint(way_out(environment, "COMMIT"))
}

/// What to do where rules cannot be met or read any more.
pub(crate) fn way_out(environment: &EnvironmentName, commit: &str) -> String {
    format!(
        "where these rules cannot be met any more, an administrator puts those of another commit in force: \
         `orchestrator policy accept {environment} {commit} --reason …`"
    )
}

fn strongest(judges: &[(&Config, &Requires)]) -> ProofLevel {
    let level = |proof: ProofRequirement| match proof {
        ProofRequirement::Stored => ProofLevel::Stored,
        ProofRequirement::Running => ProofLevel::Running,
    };
    judges.iter().map(|(_, requires)| level(requires.proof)).max().unwrap_or(ProofLevel::Stored)
}

/// The suites that an environment's proof must rest on: all that the rules or the release itself name.
fn suites_of(
    context: &Context,
    revision: &Revision,
    before: &EnvironmentName,
    judges: &[(&Config, &Requires)],
) -> Result<BTreeMap<SuiteName, Option<lock_model::SuiteDigest>>> {
    let mut suites = BTreeMap::new();
    for config in judges.iter().map(|(config, _)| *config).chain([&revision.config]) {
        let named = config.environments.get(before).map(|environment| environment.suites.as_slice());
        for name in named.unwrap_or_default() {
            let digest = if revision.config.suites.contains_key(name) {
                Some(suite_reference(context, revision, name)?.digest)
            } else {
                None
            };
            suites.insert(name.clone(), digest);
        }
    }
    Ok(suites)
}
