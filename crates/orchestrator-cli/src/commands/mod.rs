//! The commands: each turns arguments into one call of the library, and its report into something to show.

pub(crate) mod config;
pub(crate) mod environment;
pub(crate) mod forge;
pub(crate) mod images;
pub(crate) mod lock;
mod pull_request;
pub(crate) mod schema;
pub(crate) mod shell;

use std::sync::Arc;
use std::time::Duration;

use orchestrator::{Context, Error, ErrorKind, Opened, Result};

use crate::arguments::{Command, ConfigCommand, GlobalArgs, ImagesCommand, PolicyCommand, TestCommand};
use crate::output::{Progress, Shown};
use crate::surroundings;

/// What the commands share that need a runtime.
#[derive(Debug)]
pub(crate) struct Session {
    pub global: GlobalArgs,
    /// How long the whole command may take.
    pub deadline: Duration,
    /// What is said while the work goes on.
    pub progress: Arc<Progress>,
}

impl Session {
    /// Opens repository and forge.
    pub(crate) fn context(&self) -> Result<Context> {
        surroundings::context(&self.global, self.deadline, Arc::clone(&self.progress))
    }

    /// Opens the repository, with its forge where it has one.
    pub(crate) fn opened(&self) -> Result<Opened> {
        surroundings::opened(&self.global, self.deadline, Arc::clone(&self.progress))
    }

    /// Opens the repository for a command that only reads, with its forge where it has one.
    pub(crate) fn opened_to_read(&self) -> Result<Opened> {
        surroundings::opened_to_read(&self.global, self.deadline, Arc::clone(&self.progress))
    }

    /// Runs a command that needs a runtime.
    pub(crate) async fn dispatch(&self, command: Command) -> Result<Shown> {
        match command {
            Command::Lock(command) => Box::pin(lock::run(self, command)).await,
            Command::Images(ImagesCommand::Explain(args)) => images::explain(&self.opened_to_read()?, &args).await,
            Command::Run(args) => environment::run(&self.context()?, args).await,
            Command::Health(args) => environment::health(&self.context()?, &args).await,
            Command::Permissions(args) => environment::permissions(&self.context()?, args).await,
            Command::Plan(args) => environment::plan(&self.opened()?, &args).await,
            Command::Deploy(args) => environment::deploy(&self.context()?, args).await,
            Command::Drift(args) => environment::drift(&self.context()?, &args).await,
            Command::Verify(args) => environment::verify(&self.context()?, &args).await,
            Command::Test(TestCommand::Run(args)) => environment::test(&self.context()?, args).await,
            Command::Promote(args) => environment::promote(&self.context()?, &args).await,
            Command::Approvals(args) => environment::approvals(&self.context()?, &args).await,
            Command::Release(args) => environment::release(&self.context()?, &args).await,
            Command::Rollback(args) => Box::pin(environment::rollback(&self.context()?, args)).await,
            Command::Hold(args) => environment::hold(&self.context()?, &args).await,
            Command::Unhold(args) => environment::unhold(&self.context()?, &args).await,
            Command::Policy(PolicyCommand::Accept(args)) => environment::accept_policy(&self.context()?, &args).await,
            Command::Policy(PolicyCommand::TakeOver(args)) => environment::take_over(&self.context()?, &args).await,
            Command::Status(args) => environment::status(&self.context()?, &args).await,
            Command::History(args) => environment::history(&self.context()?, &args).await,
            Command::Releases(args) => environment::releases(&self.context()?, &args).await,
            Command::Forge(command) => forge::run(&self.context()?, command).await,
            Command::Config(ConfigCommand::Init(args)) => config::init(&self.opened()?, args),
            Command::Config(ConfigCommand::Check(args)) => {
                config::suggest(&self.opened_to_read()?, &args, &self.global).await
            }
            Command::Config(ConfigCommand::Show(_))
            | Command::Schema(_)
            | Command::Reference(_)
            | Command::Demo(_)
            | Command::Completion(_)
            | Command::Version
            | Command::Man(_) => Err(dispatched_earlier()),
        }
    }
}

fn dispatched_earlier() -> Error {
    Error::new(ErrorKind::Bug, "this command is dispatched earlier")
}
