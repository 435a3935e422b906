//! What a command says: one report, shown for people, for machines or for GitHub Actions.

mod github;
mod progress;
mod report;
mod table;

pub use progress::Progress;
pub use report::{Report, print_error, print_report};
pub use table::Table;

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text for people.
    Human,
    /// Exactly one JSON document on stdout, in success and in failure.
    Json,
    /// Text with annotations for GitHub Actions, and the report in the step summary.
    Github,
}
