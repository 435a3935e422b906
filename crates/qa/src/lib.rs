//! Test suites against an environment, and their reports.
//!
//! A suite is a program or a file of HTTP requests. Its [verdict](Verdict) is "passed" only when it ran to its end,
//! had at least one case, and every case passed; what gave no answer is unknown, never passed.

mod command;
mod expectation;
mod http;
mod http_file;
mod junit;
mod markdown;
mod report;
mod suite;
mod template;
mod text;

pub use command::CommandSuite;
pub use expectation::Expectation;
pub use http::HttpRun;
pub use http_file::{HttpRequest, HttpSuite, HttpSuiteError, HttpSuiteProblem};
pub use junit::to_junit;
pub use markdown::to_markdown;
pub use report::{Case, SuiteReport, Verdict};
pub use suite::{Suite, run};
pub use template::{Template, Variables};
