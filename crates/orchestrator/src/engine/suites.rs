//! Suites: from the configuration and the tree to a run in a folder of its own, and its report.

use std::collections::BTreeMap;

use config::{Environment, Suite, SuiteKind, Variable};
use ledger::{StepKey, SuiteRef};
use lock_model::{Digest, SuiteName, suite_digest};
use qa::{CommandSuite, HttpClient, HttpRun, SuiteReport};

use super::Engine;
use super::container_suites::{RunContainer, locked_image};
use super::execution::{CONNECT_DEADLINE, USER_AGENT, Workspace, expand, values_of};
use super::needs::http_suite;
use super::step_outcome::StepOutcome;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::revision::Revision;
use crate::secrets::suite_redactor;

impl Engine<'_> {
    /// Runs one suite of the plan.
    pub(super) async fn suite(&self, key: &StepKey) -> Result<StepOutcome> {
        let reference = key.suite().ok_or_else(|| Error::new(ErrorKind::Bug, format!("step `{key}` is no suite")))?;
        let report = run_suite(self.context, &self.revision, &self.environment, &reference.name).await?;
        let detail = report.summary();
        let answer =
            if report.is_passed() { StepOutcome::ok(detail) } else { StepOutcome::failed(ErrorKind::Negative, detail) };
        Ok(answer.document(&format!("suite-{}.json", reference.name), &report))
    }
}

/// A suite of the configuration.
pub(super) fn suite<'a>(revision: &'a Revision, name: &SuiteName) -> Result<&'a Suite> {
    revision.config.suites.get(name).ok_or_else(|| {
        let known = revision.config.suites.keys().map(SuiteName::as_str);
        Error::new(ErrorKind::Usage, format!("there is no suite `{name}`")).hint(crate::labels::other_names(
            name.as_str(),
            "the configuration",
            known,
        ))
    })
}

/// Name and digest of a suite: its definition, the content of its files, and the locked image that it runs.
pub(crate) fn suite_reference(context: &Context, revision: &Revision, name: &SuiteName) -> Result<SuiteRef> {
    let suite = suite(revision, name)?;
    let mut files = BTreeMap::new();
    for path in suite.files() {
        let file = revision.inputs.file(context, &path)?;
        files.insert(path, Digest::of(&file.bytes));
    }
    let image = match suite.service() {
        Some(service) => locked_image(context, revision, service)?.map(|image| image.digest),
        None => None,
    };
    let digest = suite_digest(suite.kind_name(), &suite.definition, &files, image.as_ref());
    Ok(SuiteRef { name: name.clone(), digest })
}

/// Runs a suite against an environment.
pub(crate) async fn run_suite(
    context: &Context,
    revision: &Revision,
    environment: &Environment,
    name: &SuiteName,
) -> Result<SuiteReport> {
    let definition = suite(revision, name)?;
    let values = values_of(context, revision, environment)?;
    let redactor = suite_redactor(context, revision, environment).await?;
    let mut workspace = Workspace::new(context, revision);
    let runnable = match &definition.kind {
        SuiteKind::Command(command) => {
            let ready = workspace.command(&command.command, &command.files, &values)?;
            let mut suite = CommandSuite::new(ready.program, ready.folder, definition.deadline);
            (suite.args, suite.envs) = (ready.arguments, ready.environment);
            suite.interrupt = context.surroundings.interrupt.clone();
            suite.launcher.clone_from(&context.surroundings.launcher);
            suite.redactor = redactor.clone();
            qa::Suite::Command(suite)
        }
        SuiteKind::Http { file: path } => {
            let bytes = revision.inputs.file(context, path)?.bytes;
            let suite = http_suite(path, &bytes)?;
            let client = HttpClient::new(USER_AGENT, CONNECT_DEADLINE)
                .map_err(|error| Error::from_source(ErrorKind::Bug, "the HTTP client cannot be made", error))?;
            let mut run = HttpRun::new(suite, client, definition.deadline);
            run.redactor = redactor.clone();
            run.variables.mode = Some(environment.mode.to_string());
            if environment.url.is_some() {
                run.variables.url = Some(url_of(context, revision, environment)?);
            }
            qa::Suite::Http(run)
        }
        SuiteKind::Container(container) => {
            let run = RunContainer {
                context,
                revision,
                environment,
                suite: definition,
                values: &values,
                redactor: &redactor,
            };
            return Ok(Box::pin(run.run(container)).await?.redacted(&redactor));
        }
    };
    Ok(qa::run(name.as_str(), &runnable).await.redacted(&redactor))
}

fn url_of(context: &Context, revision: &Revision, environment: &Environment) -> Result<String> {
    let values = values_of(context, revision, environment)?;
    let template = config::Template::new("{url}", &[Variable::Url])
        .map_err(|error| Error::from_source(ErrorKind::Bug, "the address template is wrong", error))?;
    Ok(expand(&template, &values)?.trim_end_matches('/').to_owned())
}
