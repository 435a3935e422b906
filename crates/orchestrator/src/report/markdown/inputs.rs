//! The files of the superproject that a release reads and that change, one row a file.

use lock_model::escaping::{code_span, shorten};

use super::blocks::table;
use crate::report::v1::{ChangeKind, InputChange, InputChanges};

/// The longest path that is shown, in bytes, so that many long ones leave room for the rest of the page.
const PATH: usize = 150;
/// How many services of one file are named.
const SERVICES: usize = 5;

/// The table; nothing where no input changes.
pub(super) fn inputs(changes: &InputChanges) -> String {
    let rows: Vec<Vec<String>> = changes.files.iter().map(row).collect();
    let table = table(&["file", "services", "lines", ""], &rows);
    match changes.count.saturating_sub(changes.files.len()) {
        0 => table,
        1 => format!("{table}\n1 more file changes.\n"),
        more => format!("{table}\n{more} more files change.\n"),
    }
}

fn row(file: &InputChange) -> Vec<String> {
    let lines = file.lines.map_or_else(|| "binary".to_owned(), |lines| format!("+{} −{}", lines.added, lines.removed));
    let what = match (file.change, file.executable) {
        (ChangeKind::Added, _) => "new",
        (ChangeKind::Removed, _) => "**removed**",
        (ChangeKind::Changed, Some(true)) => "**can be executed now**",
        (ChangeKind::Changed, Some(false)) => "**cannot be executed any more**",
        (ChangeKind::Changed, None) => "",
    };
    vec![code_span(&shorten(file.path.as_str(), PATH)), services(file), lines, what.to_owned()]
}

fn services(file: &InputChange) -> String {
    if file.services.is_empty() {
        return "all".to_owned();
    }
    let mut names: Vec<String> = file.services.iter().take(SERVICES).map(|name| code_span(name.as_str())).collect();
    match file.services.len().saturating_sub(SERVICES) {
        0 => {}
        more => names.push(format!("and {more} more")),
    }
    names.join(", ")
}
