//! Parses `.gitmodules` so that nothing is merged, guessed, or left out without a finding.

use std::collections::BTreeMap;

use gix::bstr::{BStr, BString};
use gix::config::parse::{EventRef, Events, SectionRef};

use crate::finding::{Finding, FindingKind, shown};

/// Ten thousand submodules take about a megabyte.
const LARGEST: usize = 8 * 1024 * 1024;

/// One `[submodule "NAME"]` section, safe by name and path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Declared {
    /// The name in the header of the section.
    pub name: String,
    /// The value of `path`.
    pub path: lock_model::TreePath,
    /// The value of `url`, not yet checked: see [`lock_url`](crate::lock_url).
    pub url: Option<String>,
    /// The line of the section's header, counted from 1.
    pub line: usize,
    /// The line of `url`; the header's where there is none.
    pub url_line: usize,
}

/// The content of a `.gitmodules`. [`Superproject::scan`](crate::Superproject::scan) joins it with the gitlinks of a tree.
///
/// ```
/// let text = b"[submodule \"cart\"]\n\tpath = ../cart\n\turl = ../cart.git\n";
/// let read = lock_gen::Gitmodules::parse(text);
/// assert!(read.declared.is_empty());
/// assert_eq!(read.problems[0].kind, lock_gen::FindingKind::UnsafePath);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gitmodules {
    /// The sections without problems of their own, in the order of the file.
    pub declared: Vec<Declared>,
    /// The paths of refused sections: a gitlink there is not undeclared.
    pub(crate) claimed: Vec<String>,
    /// Findings that do no harm, such as sections without a meaning.
    pub warnings: Vec<Finding>,
    /// All findings for which the file cannot be used.
    pub problems: Vec<Finding>,
}

fn unreadable(message: impl Into<String>, hint: &str) -> Finding {
    Finding::new(FindingKind::UnreadableGitmodules, lock_model::GITMODULES_FILE, message, hint)
}

fn events(bytes: &[u8]) -> Result<Events, Finding> {
    if bytes.len() > LARGEST {
        return Err(unreadable(format!("is larger than {LARGEST} bytes"), "take out what is no submodule"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count() + 1;
        unreadable("is not UTF-8", "write it in UTF-8").at(line)
    })?;
    // Nearly every file is of these bytes only, and need not be looked at letter by letter.
    let plain = |&byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
    let lines = if bytes.iter().all(plain) { "" } else { text };
    for (number, line) in (1..).zip(lines.split('\n')) {
        // Git drops a carriage return only at the very end of a line, and keeps others in paths and URLs.
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(character) = line.chars().find(|&c| c != '\t' && lock_model::escaping::is_hidden(c)) {
            let character = character.escape_unicode();
            let message = format!("has a hidden character ({character})");
            return Err(unreadable(message, "delete it; names, paths and URLs need none").at(number));
        }
    }
    Events::from_bytes(bytes, Some(counts)).map_err(|error| {
        let rest = error.remaining_data();
        let line = rest.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
        unreadable(
            format!("is not in git's configuration syntax at `{}`", shown(line.trim_ascii())),
            "a section is `[submodule \"NAME\"]` and lines such as `path = services/cart`; a merge conflict leaves lines that \
             are none",
        )
        .at(error.line_number())
    })
}

/// What has a meaning, and what lines are counted by: comments and space have none.
fn counts(event: EventRef<'_>) -> bool {
    !matches!(event, EventRef::Comment { .. } | EventRef::Whitespace(_))
}

fn newlines(event: EventRef<'_>) -> usize {
    match event {
        EventRef::Newline(text) => String::from_utf8_lossy(text).matches('\n').count(),
        _ => 0,
    }
}

/// The values of the keys that count in one section, in order, each with the line of its key.
#[derive(Debug, Default)]
struct Values {
    path: Vec<(usize, String)>,
    url: Vec<(usize, String)>,
    update: Vec<(usize, String)>,
}

impl Values {
    /// `line` is that of the header.
    fn of(section: SectionRef<'_>, mut line: usize) -> Self {
        let mut values = Self::default();
        let mut key = (line, BStr::new(b""));
        let mut parts = BString::default();
        for event in section.body() {
            line += newlines(event);
            match event {
                EventRef::SectionValueName(name) => key = (line, name),
                EventRef::Value(value) => values.add(key, value),
                EventRef::ValueNotDone(part) => parts.extend_from_slice(part),
                EventRef::ValueDone(part) => {
                    parts.extend_from_slice(part);
                    values.add(key, parts.as_ref());
                    parts.clear();
                }
                EventRef::Comment { .. }
                | EventRef::SectionHeader { .. }
                | EventRef::Newline(_)
                | EventRef::Whitespace(_)
                | EventRef::KeyValueSeparator => {}
            }
        }
        values
    }

    fn add(&mut self, (line, key): (usize, &BStr), value: &BStr) {
        let of_key = if key.eq_ignore_ascii_case(b"path") {
            &mut self.path
        } else if key.eq_ignore_ascii_case(b"url") {
            &mut self.url
        } else if key.eq_ignore_ascii_case(b"update") {
            &mut self.update
        } else {
            return;
        };
        of_key.push((line, gix::config::value::normalize(value).to_string()));
    }
}

impl Gitmodules {
    /// Parses the bytes of a `.gitmodules`. What is wrong with them is in [`problems`](Self::problems).
    pub fn parse(text: &[u8]) -> Self {
        let mut read = Self::default();
        match events(text) {
            Err(finding) => read.problems.push(finding),
            Ok(file) => {
                read.sections(&file);
                read.duplicates();
            }
        }
        read
    }

    fn problem(&mut self, line: usize, kind: FindingKind, subject: &str, message: impl Into<String>, hint: &str) {
        self.problems.push(Finding::new(kind, subject, message, hint).at(line));
    }

    fn sections(&mut self, file: &Events) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut next = 1 + file.frontmatter().map(newlines).sum::<usize>();
        for section in file.sections() {
            let line = next;
            next += section.body().map(newlines).sum::<usize>();
            let EventRef::SectionHeader { name: kind, subsection_name, .. } = section.header() else { continue };
            let kind = kind.to_string().to_ascii_lowercase();
            let name = subsection_name.map(ToString::to_string);
            match (kind.as_str(), name) {
                ("include" | "includeif", _) => self.problem(
                    line,
                    FindingKind::Include,
                    lock_model::GITMODULES_FILE,
                    "includes another file",
                    "write the submodules into `.gitmodules` itself; git follows no include there",
                ),
                ("submodule", Some(name)) => {
                    let count = seen.entry(name.clone()).or_default();
                    *count += 1;
                    if *count == 2 {
                        self.problem(
                            line,
                            FindingKind::Duplicate,
                            &name,
                            "has two sections in `.gitmodules`",
                            "keep one section; which one counts depends on who reads",
                        );
                    }
                    self.section(line, name, Values::of(section, line));
                }
                (_, name) => {
                    let name = name.map_or_else(|| kind.clone(), |name| format!("{kind} \"{name}\""));
                    let (message, hint) = ("has no meaning in `.gitmodules`", "delete the section");
                    self.warnings.push(Finding::new(FindingKind::Ignored, format!("[{name}]"), message, hint).at(line));
                }
            }
        }
    }

    fn section(&mut self, line: usize, name: String, values: Values) {
        let before = self.problems.len();
        // A name becomes a folder below `.git/modules`, and part of configuration keys.
        if lock_model::TreePath::try_from(name.as_str()).is_err() {
            self.problem(
                line,
                FindingKind::UnsafeName,
                &name,
                "is not usable as a submodule's name",
                "rename the section, for example to the submodule's path",
            );
        }
        let mut single = |key: &str, values: Vec<(usize, String)>| {
            if let [_, (second, _), ..] = values.as_slice() {
                self.problem(
                    *second,
                    FindingKind::Duplicate,
                    &name,
                    format!("has {} `{key}` lines in `.gitmodules`", values.len()),
                    "keep one line; which one counts depends on who reads",
                );
            }
            values.into_iter().next_back().filter(|(_, value)| !value.is_empty())
        };
        let path = single("path", values.path);
        let url = single("url", values.url);
        let update = single("update", values.update);

        if let Some((line, _)) = update.filter(|(_, update)| update.starts_with('!')) {
            self.problem(
                line,
                FindingKind::UpdateCommand,
                &name,
                "has an `update` command in `.gitmodules`",
                "delete the `update` line; a repository must not name commands",
            );
        }
        let Some((path_line, path)) = path else {
            self.problem(
                line,
                FindingKind::Incomplete,
                &name,
                "has no `path` in `.gitmodules`",
                "add `path = …`, or delete the section",
            );
            return;
        };
        match lock_model::TreePath::try_from(path.as_str()) {
            Ok(tree_path) if self.problems.len() == before => {
                let url_line = url.as_ref().map_or(line, |(line, _)| *line);
                self.declared.push(Declared { name, path: tree_path, url: url.map(|(_, url)| url), line, url_line });
            }
            Ok(_) => self.claimed.push(path),
            Err(_) => {
                self.problem(
                    path_line,
                    FindingKind::UnsafePath,
                    &path,
                    format!("is not usable as the path of submodule `{}`", shown(name.as_bytes())),
                    "use a relative path without `..`, `.git`, control characters, backslashes or a leading `-`",
                );
                self.claimed.push(path);
            }
        }
    }

    /// Two sections on one path, and a name inside of another one's folder below `.git/modules`.
    fn duplicates(&mut self) {
        let mut by_path: BTreeMap<&str, Vec<&Declared>> = BTreeMap::new();
        let mut findings = Vec::new();
        for declared in &self.declared {
            by_path.entry(declared.path.as_str()).or_default().push(declared);
        }
        for (path, sections) in by_path.iter().filter(|(_, sections)| sections.len() > 1) {
            let distinct: std::collections::BTreeSet<_> = sections.iter().map(|section| &section.name).collect();
            let Some(last) = sections.last().filter(|_| distinct.len() > 1) else {
                // The section itself is there twice, which is a finding already.
                continue;
            };
            let names: Vec<String> =
                sections.iter().map(|section| format!("`{}` (line {})", section.name, section.line)).collect();
            let message = format!("is the path of {} submodules: {}", names.len(), names.join(", "));
            let hint = "delete the section that is left over from another name, or give each submodule its own path";
            findings.push(Finding::new(FindingKind::Duplicate, path, message, hint).at(last.line));
        }
        let lines: BTreeMap<&str, usize> = self.declared.iter().map(|one| (one.name.as_str(), one.line)).collect();
        for (name, line) in &lines {
            let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            for parent in parents.filter(|parent| lines.contains_key(parent)) {
                let message = format!("lies inside of submodule `{parent}`'s own git folder");
                let hint = "rename one of the two sections so that no name starts with another one and a `/`";
                findings.push(Finding::new(FindingKind::UnsafeName, name, message, hint).at(*line));
            }
        }
        self.problems.extend(findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<FindingKind> {
        Gitmodules::parse(text.as_bytes()).problems.into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn t9_hostile_sections_are_problems() {
        use FindingKind::{
            Duplicate, Include, Incomplete, UnreadableGitmodules, UnsafeName, UnsafePath, UpdateCommand,
        };
        let url = "url = ../a.git";
        for (text, expected) in [
            (format!("[submodule \"a\"]\n\tpath = a\n\t{url}\n"), vec![]),
            (format!("[submodule \"a\"]\r\n\tpath = a\r\n\t{url}\r\n"), vec![]),
            ("[Submodule \"a\"]\n\tPath = a # why\n\tURL = \"../a.git\"\n".to_owned(), vec![]),
            (format!("[submodule \"a\"]\npath = \"a\r\"\n{url}\n"), vec![UnreadableGitmodules]),
            (format!("[submodule \"a\"]\npath = \"a\\n\"\n{url}\n"), vec![UnsafePath]),
            (format!("[submodule \"../../x\"]\npath = a\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"a/../b\"]\npath = a\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"\"]\npath = a\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"-c\"]\npath = a\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"x\\\\..\\\\y\"]\npath = a\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"a\"]\npath = ../a\n{url}\n"), vec![UnsafePath]),
            (format!("[submodule \"a\"]\npath = /a\n{url}\n"), vec![UnsafePath]),
            (format!("[submodule \"a\"]\npath = .git/hooks\n{url}\n"), vec![UnsafePath]),
            (format!("[submodule \"a\"]\npath = -a\n{url}\n"), vec![UnsafePath]),
            (format!("[submodule \"a\"]\n{url}\n"), vec![Incomplete]),
            (format!("[submodule \"a\"]\npath\n{url}\n"), vec![Incomplete]),
            (format!("[submodule \"a\"]\npath = a\n{url}\n[submodule \"a\"]\npath = a\n{url}\n"), vec![Duplicate]),
            (
                format!("[submodule \"a\"]\npath = a\n{url}\n[submodule \"a\"]\nurl = ../evil\n"),
                vec![Duplicate, Incomplete],
            ),
            (format!("[submodule \"a\"]\npath = a\npath = b\n{url}\n"), vec![Duplicate]),
            (format!("[submodule \"a\"]\npath = a\n{url}\nURL = ../evil\n"), vec![Duplicate]),
            (format!("[submodule \"a\"]\npath = x\n{url}\n[submodule \"b\"]\npath = x\n{url}\n"), vec![Duplicate]),
            (format!("[submodule \"a\"]\npath = x\n{url}\n[submodule \"a/b\"]\npath = y\n{url}\n"), vec![UnsafeName]),
            (format!("[submodule \"a\"]\npath = a\n{url}\nupdate = !canary\n"), vec![UpdateCommand]),
            ("[include]\npath = ../evil\n".to_owned(), vec![Include]),
            ("[includeIf \"gitdir:/\"]\npath = ../evil\n".to_owned(), vec![Include]),
            ("[submodule \"a\"\n".to_owned(), vec![UnreadableGitmodules]),
            ("[submodule \"a\"]\npath = \"a\n".to_owned(), vec![UnreadableGitmodules]),
            ("<<<<<<< HEAD\n[submodule \"a\"]\n".to_owned(), vec![UnreadableGitmodules]),
            ("[submodule \"a\u{202e}b\"]\n".to_owned(), vec![UnreadableGitmodules]),
            ("\u{1b}[31m".to_owned(), vec![UnreadableGitmodules]),
        ] {
            assert_eq!(problems(&text), expected, "{text:?}");
        }
        assert_eq!(Gitmodules::parse(b"[submodule \"\xff\"]\n").problems[0].sentence(), "is not UTF-8 (.gitmodules:1)");
        assert_eq!(Gitmodules::parse(&vec![b'#'; LARGEST + 1]).problems.len(), 1);
        let ignored = Gitmodules::parse(b"[core]\nfsmonitor = canary\n[submodule]\nrecurse = true\n");
        assert_eq!((ignored.problems.len(), ignored.warnings.len()), (0, 2));
    }

    #[test]
    fn t9_each_problem_names_its_line() {
        use FindingKind::{
            Duplicate, Ignored, Incomplete, UnreadableGitmodules, UnsafeName, UnsafePath, UpdateCommand,
        };
        let lines = |text: &str| {
            let read = Gitmodules::parse(text.as_bytes());
            let all = [read.problems, read.warnings].concat();
            all.into_iter().map(|finding| (finding.kind, finding.line)).collect::<Vec<_>>()
        };
        let url = "url = ../a.git";
        for (text, kind, line) in [
            (format!("# why\n\n[submodule \"a\"]\n\n{url}\n"), Incomplete, 3),
            (format!("[submodule \"a\"]\r\n\t{url}\r\n\tpath = ../a\r\n"), UnsafePath, 3),
            ("[submodule \"a\"]\nurl = a\\\nb\npath = a\npath = b\n".to_owned(), Duplicate, 5),
            (format!("[submodule \"a\"] path = a\n{url}\n# no\nupdate = !x\n"), UpdateCommand, 4),
            (format!("[submodule \"a\"]\npath = a\n{url}\n[submodule \"b\"]\npath = a\n"), Duplicate, 4),
            (format!("[submodule \"a\"]\npath = a\n{url}\n\n[submodule \"a\"]\npath = a\n"), Duplicate, 5),
            ("[submodule \"a\"]\npath = a\n[submodule \"a/b\"]\npath = b\n".to_owned(), UnsafeName, 3),
            ("\n[core]\nfsmonitor = x\n".to_owned(), Ignored, 2),
            (format!("[submodule \"a\"]\npath = a\n<<<<<<< HEAD\n{url}\n"), UnreadableGitmodules, 3),
            ("\n\n[submodule \"a\u{202e}b\"]\n".to_owned(), UnreadableGitmodules, 3),
        ] {
            assert_eq!(lines(&text), [(kind, Some(line))], "{text:?}");
        }
        let conflict = Gitmodules::parse(b"[submodule \"a\"]\npath = a\n<<<<<<< HEAD\n").problems.remove(0);
        assert_eq!(conflict.message, "is not in git's configuration syntax at `<<<<<<< HEAD`");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = "[submodule \"../x\"]\npath = ../a\nupdate = !x\n[submodule \"b\"]\n[include]\npath = c\n";
        assert_eq!(problems(text).len(), 5);
    }
}
