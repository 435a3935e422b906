//! A suite of any kind.

use crate::command::CommandSuite;
use crate::container::ContainerSuite;
use crate::http::HttpRun;
use crate::report::SuiteReport;

/// What is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Suite {
    /// One program.
    Command(CommandSuite),
    /// The requests of a file.
    Http(HttpRun),
    /// A Job in a cluster.
    Container(Box<ContainerSuite>),
}

/// Runs a suite to its end or its deadline; `name` is its name in the report.
///
/// Dropping the future cancels requests; a program ends at its deadline or interrupt, and a Job goes on until its own end.
pub async fn run(name: &str, suite: &Suite) -> SuiteReport {
    match suite {
        Suite::Command(suite) => suite.run(name).await,
        Suite::Http(suite) => suite.run(name).await,
        Suite::Container(suite) => suite.run(name).await,
    }
}
