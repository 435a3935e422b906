//! The commits between two locks, a folded list for each service. Subjects and authors are other people's words.

use std::fmt::Write as _;

use lock_model::ServiceName;
use lock_model::escaping::{code_span, escape_markdown, shorten};

use crate::report::v1::{CommitLines, SubmoduleCommits};

/// How many commits a service's list shows, as long as there is room for all services; then fewer.
const LINES: [usize; 4] = [MAX_COMMITS_SHOWN, 8, 3, 1];
/// The most commits in each direction that a comment shows of a service: more need not be read.
pub const MAX_COMMITS_SHOWN: usize = 15;
/// The longest subject, author and reason, in bytes.
const SUBJECT: usize = 100;
const AUTHOR: usize = 40;
const REASON: usize = 200;

/// What happened to a service whose commit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCommits {
    /// The service.
    pub service: ServiceName,
    /// The commits, or why they are not known.
    pub commits: SubmoduleCommits,
}

/// The commits of all services in at most `room` characters: with fewer commits each where many services moved, and
/// without the last services where even that is too much.
pub(super) fn commits(services: &[ServiceCommits], room: usize) -> String {
    for lines in LINES {
        let text: String = services.iter().map(|service| block(service, lines)).collect();
        if text.chars().count() <= room {
            return text;
        }
    }
    let notice =
        |left: usize| format!("\n*{left} more services moved: `orchestrator lock diff --commits` shows them.*\n");
    let mut text = String::new();
    let mut used = notice(services.len()).chars().count();
    for (index, service) in services.iter().enumerate() {
        let line = line(service);
        let length = line.chars().count();
        if used + length > room {
            text.push_str(&notice(services.len() - index));
            // Where there is no room for anything, the rest of the comment says what changes.
            return if index == 0 && text.chars().count() > room { String::new() } else { text };
        }
        used += length;
        text.push_str(&line);
    }
    text
}

/// One service on one line.
fn line(service: &ServiceCommits) -> String {
    let name = code_span(service.service.as_str());
    match &service.commits {
        known @ SubmoduleCommits::Known { .. } => format!("- {name}: {}\n", known.summary()),
        SubmoduleCommits::Unknown { unknown } => {
            format!("- {name}: commits are not known: {}\n", escape_markdown(&shorten(unknown, REASON)))
        }
    }
}

/// One service with its newest commits, folded.
fn block(service: &ServiceCommits, lines: usize) -> String {
    let SubmoduleCommits::Known { added, removed, .. } = &service.commits else {
        // A line of a list must not run into the fold before it.
        return format!("{}\n", line(service));
    };
    // A service's name holds nothing that HTML knows.
    let mut text =
        format!("<details><summary><code>{}</code>: {}</summary>\n\n", service.service, service.commits.summary());
    push_list(&mut text, added, lines);
    if removed.count > 0 {
        text.push_str(if added.count > 0 { "\nGone:\n\n" } else { "" });
        push_list(&mut text, removed, lines);
    }
    text.push_str("\n</details>\n\n");
    text
}

fn push_list(text: &mut String, commits: &CommitLines, lines: usize) {
    let shown = commits.newest.iter().take(lines);
    let count = shown.len();
    for commit in shown {
        let subject = escape_markdown(&shorten(&commit.subject, SUBJECT));
        let author = escape_markdown(&shorten(&commit.author, AUTHOR));
        let (id, day) = (code_span(commit.commit.short(7)), commit.time.date());
        writeln!(text, "- {id} {subject} ({author}, {day})").expect("a string takes everything");
    }
    match commits.count.saturating_sub(count) {
        0 => {}
        more => writeln!(text, "- and {more} more").expect("a string takes everything"),
    }
}
