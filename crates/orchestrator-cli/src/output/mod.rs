//! What a command says: one report, shown for people, for machines or for GitHub Actions.

mod github;
pub(crate) mod markdown;
mod printer;
mod progress;
mod shown;
mod table;
mod text;

pub(crate) use printer::Printer;
pub(crate) use progress::Progress;
pub(crate) use shown::Shown;
pub(crate) use table::Table;
pub(crate) use text::Text;

/// A number of things: `1 case`, `2 cases`.
pub(crate) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// Exactly one JSON document on stdout, in success and in failure.
    Json,
    /// Text with annotations for GitHub Actions, and the report in the step summary.
    Github,
}
