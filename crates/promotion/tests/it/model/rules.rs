//! Whose rules judge a change, and whose a place is: the facts that the product's functions are given.

use ledger::{Accepts, Policy, PolicySource, Record, Step, StepResult};
use lock_model::{CommitId, EnvironmentName};
use promotion::places::{Claim, PlaceContent, PlaceFacts, PlaceFound, Protection, Standing, refusals};
use promotion::policy_commit::{Line, PolicyCommit, environments_of, policy_commit};

use super::world::{Commit, FULL_TEAM, Place, Rules, World};
use crate::builders::*;

impl World {
    /// The configuration that judges a commit of main for an environment; absent where its own does.
    fn judge_of(&self, name: &EnvironmentName, around: &Line) -> Option<(PolicyCommit, Rules)> {
        let found = policy_commit(&self.ledger, name, around)?;
        let known = self.branches.values().flatten().find(|known| known.id == found.commit);
        let rules = known.expect("a policy commit is on a branch").rules?;
        Some((found, rules))
    }

    /// How many approvals the rules ask for that judge a commit of main. An environment that is new on the branch is judged
    /// by the other one's rules as well.
    pub(super) fn asked_of(&self, commit: &Commit) -> (Policy, u8) {
        let line = &self.branches[&Place::Production];
        let at = line.iter().position(|known| known.id == commit.id).unwrap();
        let ids = |commits: &[Commit]| commits.iter().rev().map(|commit| commit.id.clone()).collect();
        let (after, before) = (ids(&line[at + 1..]), ids(&line[..at]));
        let around = Line { after, change: vec![commit.id.clone()], before, ..Line::default() };
        let name = commit.name(Place::Production);
        let (mut policy, mut asks) = match self.judge_of(&name, &around) {
            Some((found, rules)) => (Policy { source: found.source, commit: Some(found.commit) }, rules.asks),
            None => (Policy { source: PolicySource::Bootstrap, commit: None }, commit.rules().asks),
        };
        match policy.source {
            PolicySource::Passed | PolicySource::Accepted => return (policy, asks),
            PolicySource::Parent | PolicySource::Bootstrap => {}
        }
        for other in environments_of(&self.ledger, &around) {
            let Some((found, rules)) = self.judge_of(&other, &around) else { continue };
            if other != name && rules.name(Place::Production) == other {
                asks = asks.max(rules.asks);
                policy = Policy { source: found.source, commit: Some(found.commit) };
            }
        }
        (policy, asks)
    }

    /// Whether the gates of production ever passed for a run, under either name.
    pub(super) fn has_rules_in_force(&self) -> bool {
        let passed = |record: &Record| record.is(Step::Gates, StepResult::Ok) && record.entry.policy.is_some();
        let of_main = |record: &&Record| record.entry.environment != Some(staging());
        self.ledger.records().iter().filter(of_main).any(passed)
    }

    /// Whose the places are that the environment on a branch writes, by its configuration at a commit.
    pub(super) fn places(&self, place: Place, commit: &Commit) -> PlaceFacts {
        let target = commit.target(place);
        let content = match &self.stored[&target].by {
            Some(other) if *other != commit.name(place) => PlaceContent::Environment(other.to_string()),
            Some(_) | None => PlaceContent::Own,
        };
        let found = PlaceFound { place: target.text().parse().unwrap(), protection: Protection::Open, content };
        PlaceFacts {
            places: vec![found],
            claims: Place::ALL.into_iter().flat_map(|branch| self.claims(branch)).collect(),
        }
    }

    /// What a branch says about places: by the policy commit of each of its environments, or by its newest configuration.
    fn claims(&self, branch: Place) -> Vec<Claim> {
        let commits = &self.branches[&branch];
        let line = Line { before: commits.iter().rev().map(|commit| commit.id.clone()).collect(), ..Line::default() };
        let claim = |rules: Rules, place: Place, commit: &CommitId| Claim {
            environment: rules.name(place),
            place: rules.target(place).text().parse().unwrap(),
            branch: "main".parse().unwrap(),
            commit: commit.clone(),
            standing: Standing::Passed,
        };
        let mut claims = Vec::new();
        let mut known = environments_of(&self.ledger, &line);
        if let (true, Some(rules)) = (known.is_empty(), self.head(branch).rules) {
            known.insert(rules.name(branch));
        }
        let in_force: Vec<_> = known.iter().filter_map(|name| Some((name, self.judge_of(name, &line)?))).collect();
        let is_in_force = |commit: &&Commit| in_force.iter().any(|(_, (found, _))| found.commit == commit.id);
        let newest = commits.iter().rev().find(is_in_force).or(commits.last()).expect("a branch has a commit");
        for (name, (found, rules)) in &in_force {
            let standing = match found.source {
                PolicySource::Passed => Standing::Passed,
                PolicySource::Accepted => Standing::Accepted,
                PolicySource::Parent | PolicySource::Bootstrap => Standing::Declared,
            };
            if rules.name(branch) == **name {
                claims.push(Claim { standing, ..claim(*rules, branch, &found.commit) });
            }
        }
        let Some(rules) = newest.rules else { return claims };
        // The other branch speaks for its own environment, where it says anything.
        let silent = |place: &Place| *place == branch || self.head(*place).rules.is_none();
        for place in Place::ALL.into_iter().filter(silent).filter(|place| !known.contains(&rules.name(*place))) {
            claims.push(Claim { standing: Standing::Declared, ..claim(rules, place, &newest.id) });
        }
        claims
    }

    /// Whether something stands against the branch's newest commit writing its place.
    pub(super) fn is_refused_its_place(&self, place: Place) -> bool {
        let head = self.head(place);
        !refusals(&self.ledger, &head.name(place), &self.places(place, head)).is_empty()
    }

    /// An administrator gives the environment on a branch the place that its newest configuration names.
    pub(super) fn take_over(&mut self, place: Place) {
        if !self.is_refused_its_place(place) {
            return;
        }
        let head = self.head(place);
        let (name, commit, target) = (head.name(place), head.id.clone(), head.target(place));
        let mut draft = note(Step::Policy, Some(&name), "it is ours now");
        draft.commit = Some(commit);
        draft.accepts = Some(Accepts::Place(target.text().to_owned()));
        self.by_hand(draft);
        self.owners.insert(target, name);
    }

    /// An administrator puts the rules of a commit of main in force.
    pub(super) fn accept(&mut self, back: u8) {
        let line = &self.branches[&Place::Production];
        let Some(at) = line.len().checked_sub(1 + usize::from(back)) else { return };
        let commit = line[at].clone();
        let Some(rules) = commit.rules else { return };
        self.lowered |= rules.asks < FULL_TEAM;
        let mut draft = note(Step::Policy, Some(&commit.name(Place::Production)), "accepted");
        draft.commit = Some(commit.id.clone());
        draft.accepts = Some(Accepts::Commit(commit.id));
        self.by_hand(draft);
    }
}
