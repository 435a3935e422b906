//! What a run needs, asked before its first effect: all of it at once.

use std::collections::BTreeSet;

use ::promotion::release_names::{ReleasePlan, TagFacts, plan_tag};
use config::Environment;
use ledger::{Ledger, StepKey};
use lock_model::{ReleaseId, ReleaseTag, SuiteName};

use super::is_proven;
use super::needs::{Needs, PROGRAM_HINT, Probes, needs};
use super::release::{known_tags, release_name, taken};
use super::suites::suite_reference;
use crate::context::{Context, git_error};
use crate::error::{Error, ErrorKind, Problem, Result};
use crate::kubeconfig_file::MISSING_FILE;
use crate::labels::count;
use crate::refs_in_the_way::{Branches, in_the_way_hint, tags_in_the_way};
use crate::revision::Revision;

/// Which suites a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suites {
    /// Those that the release still has to pass.
    Open,
    /// It runs none.
    None,
}

/// Refuses to deploy a revision, and to run its suites, where something is missing for it or in its way.
pub(crate) async fn preflight(
    context: &Context,
    ledger: &Ledger,
    revision: &Revision,
    environment: &Environment,
    suites: Suites,
) -> Result<()> {
    let name = &environment.name;
    let release = revision.lock(context)?.map(|lock| revision.release(&lock.lock));
    let release = release.as_ref();
    let mut obstacles = Obstacles::default();
    if release.is_some_and(|release| is_proven(context, ledger, name, release)) {
        // Health is asked again, and nothing else is left that needs anything.
        obstacles.needs(context, needs(context, revision, environment, &[], Probes::Asked)?);
        return obstacles.refuse(name.as_str());
    }
    let suites = match suites {
        Suites::None => Vec::new(),
        Suites::Open => open_suites(context, ledger, revision, environment, release)?,
    };
    let mut wanted = needs(context, revision, environment, &suites, Probes::Asked)?;
    wanted.deployment(context, revision, environment).await?;
    obstacles.needs(context, wanted);
    let in_the_way = Branches::read(context).await?.in_the_way_of(environment);
    obstacles.add(ErrorKind::Repository, in_the_way, &in_the_way_hint(name));
    if let Some(release) = release {
        let hint = format!("delete the tag, or change `environments.{name}.release.tag`");
        obstacles.add(ErrorKind::Refused, taken_tag(context, ledger, environment, release).await?, &hint);
    }
    obstacles.refuse(name.as_str())
}

/// Refuses to run suites of which one could not be run.
pub(crate) fn preflight_suites(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    suites: &[SuiteName],
) -> Result<()> {
    let mut obstacles = Obstacles::default();
    obstacles.needs(context, needs(context, revision, environment, suites, Probes::NotAsked)?);
    obstacles.refuse(environment.name.as_str())
}

/// The suites of an environment that a release has not passed; all of them where its lock is still to be committed.
fn open_suites(
    context: &Context,
    ledger: &Ledger,
    revision: &Revision,
    environment: &Environment,
    release: Option<&ReleaseId>,
) -> Result<Vec<SuiteName>> {
    let Some(release) = release else { return Ok(environment.suites.clone()) };
    let cycle = ledger.cycle(&environment.name, release);
    let mut open = Vec::new();
    for name in &environment.suites {
        let key = StepKey::Suite(suite_reference(context, revision, name)?);
        if !cycle.is_done_for(&key, &context.run.actor) {
            open.push(name.clone());
        }
    }
    Ok(open)
}

/// Another tag that has the name of the release, or keeps git from making it.
pub(crate) async fn taken_tag(
    context: &Context,
    ledger: &Ledger,
    environment: &Environment,
    release: &ReleaseId,
) -> Result<Vec<Problem>> {
    let Some(name) = release_name(ledger, environment, release, context.now())? else { return Ok(Vec::new()) };
    let mut known = known_tags(context).await?;
    if !known.iter().any(|tag| tag.name == name)
        && let Ok(tag) = ReleaseTag::try_from(name.as_str())
        && let Some(commit) = context.tag_commit(&tag)?
    {
        let message = context.git.tag_message(&format!("{}{name}", context.tag_prefix()));
        let message = message.map_err(|error| git_error("the tag cannot be read", error))?.unwrap_or_default();
        known.push(TagFacts { name: name.clone(), message, commit });
    }
    Ok(match plan_tag(&known, release, &name) {
        ReleasePlan::Exists { .. } => Vec::new(),
        ReleasePlan::NameTaken { name, by } => {
            vec![Problem::new(format!("tag `{name}`"), taken(by.as_ref()))]
        }
        ReleasePlan::Make { name } => tags_in_the_way(context, &name)?,
    })
}

/// What is wrong, and what to do about each kind of it.
#[derive(Debug, Default)]
struct Obstacles {
    kind: Option<ErrorKind>,
    problems: Vec<Problem>,
    hints: BTreeSet<String>,
}

impl Obstacles {
    fn add(&mut self, kind: ErrorKind, problems: Vec<Problem>, hint: &str) {
        if problems.is_empty() {
            return;
        }
        self.kind = self.kind.max(Some(kind));
        self.problems.extend(problems);
        self.hints.insert(hint.to_owned());
    }

    fn needs(&mut self, context: &Context, needs: Needs) {
        let (variables, files) = (needs.missing_variables(context), needs.missing_files(context));
        for (problem, hint) in needs.problems {
            self.add(ErrorKind::Usage, vec![problem], &hint);
        }
        self.add(ErrorKind::Usage, needs.programs, PROGRAM_HINT);
        let where_from = "give the settings what they are read from: variables of the job that runs this command, files of the superproject";
        self.add(ErrorKind::Usage, needs.settings, where_from);
        self.add(ErrorKind::Usage, variables, "set the variables in the job that runs this command");
        self.add(ErrorKind::Repository, files, MISSING_FILE);
        if let Some(error) = needs.address {
            let hint = error.hints().join("; ");
            self.add(ErrorKind::Usage, vec![Problem::new("address", error.message())], &hint);
        }
        if let Some(error) = needs.kubeconfig {
            let hint = error.hints().join("; ");
            let problem = Problem::new("kubeconfig", error.message()).details(error.causes());
            self.add(error.kind(), vec![problem], &hint);
        }
    }

    fn refuse(self, environment: &str) -> Result<()> {
        let Some(kind) = self.kind else { return Ok(()) };
        let things = count(self.problems.len(), "thing");
        let message =
            format!("`{environment}` is not ready, nothing was changed: {things} missing, wrong or in the way");
        let error = Error::new(kind, message).problems(self.problems);
        Err(self.hints.into_iter().fold(error, Error::hint))
    }
}
