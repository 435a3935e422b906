//! The tables of `docs/cases.md`: their last column is made from the names of the tests.
//!
//! A test that shows a case carries its number at the start of its name: `t7_…`, or several, `t7_p27_…`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The page with the tables.
pub(crate) const PAGE: &str = "docs/cases.md";

/// How many cases each letter has. The numbers are stable.
const LAST: [(char, u32); 10] =
    [('P', 30), ('B', 47), ('T', 76), ('F', 30), ('A', 3), ('D', 2), ('H', 2), ('Q', 3), ('R', 2), ('W', 4)];

/// Up to here numbers are given out in blocks to people who work at the same time: a gap is no fault.
const BLOCKS: [(char, u32); 2] = [('T', 99), ('F', 49)];

/// A case such as `T7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Case {
    letter: char,
    number: u32,
}

impl Case {
    /// Reads `T7` or, at the start of a test's name, `t7`.
    fn read(text: &str) -> Option<Self> {
        let mut letters = text.chars();
        let letter = letters.next()?.to_ascii_uppercase();
        let digits = letters.as_str();
        let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        (LAST.iter().any(|(known, _)| *known == letter) && is_number)
            .then(|| Some(Self { letter, number: digits.parse().ok()? }))?
    }

    fn exists(self) -> bool {
        let known = |(letter, last): &(char, u32)| *letter == self.letter && (1..=*last).contains(&self.number);
        LAST.iter().chain(&BLOCKS).any(known)
    }
}

/// Makes the page anew: the text as it is, the last column from the tests. Errors name every problem.
pub(crate) fn page(workspace: &Path) -> Result<String, String> {
    let page = fs::read_to_string(workspace.join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    fill(&page, &tests(workspace)?)
}

fn fill(page: &str, tests: &BTreeMap<Case, Vec<String>>) -> Result<String, String> {
    let mut problems = Vec::new();
    let mut rows: BTreeMap<Case, usize> = BTreeMap::new();
    let mut out = String::with_capacity(page.len());
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        // `| T7 | the case | what is done about it | tests |`
        match (cells.as_slice(), cells.get(1).copied().and_then(Case::read)) {
            (["", id, wrong, answer, _, ""], Some(case)) => {
                *rows.entry(case).or_default() += 1;
                let names = tests.get(&case).map_or_else(|| "not yet".to_owned(), |names| names.join("<br>"));
                for cell in [*id, *wrong, *answer, &names] {
                    out += "| ";
                    out += cell;
                    out.push(' ');
                }
                out.push('|');
            }
            (_, Some(case)) => problems.push(format!("the row of {}{} has not four cells", case.letter, case.number)),
            (_, None) => out += line,
        }
        out.push('\n');
    }
    let repeated = rows.iter().filter(|(_, count)| **count > 1).map(|(case, _)| *case);
    problems.extend(repeated.map(|Case { letter, number }| format!("{letter}{number} has more than one row")));
    let numbered = LAST.iter().flat_map(|(letter, last)| (1..=*last).map(|number| Case { letter: *letter, number }));
    let needed: BTreeSet<Case> = numbered.chain(tests.keys().copied()).collect();
    let missing = needed.into_iter().filter(|case| !rows.contains_key(case));
    problems.extend(missing.map(|Case { letter, number }| format!("{letter}{number} has no row")));
    if problems.is_empty() { Ok(out) } else { Err(problems.join("; ")) }
}

/// All tests of the workspace that name a case, by case.
fn tests(workspace: &Path) -> Result<BTreeMap<Case, Vec<String>>, String> {
    let mut tests: BTreeMap<Case, Vec<String>> = BTreeMap::new();
    for file in sources(workspace) {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let path = file.strip_prefix(workspace).unwrap_or(&file);
        // `crates/registry/…` is shown as `registry`, `tests/…` as `tests`.
        let mut folders = path.iter().map(|part| part.to_string_lossy().into_owned());
        let place = folders.find(|folder| folder != "crates").unwrap_or_default();
        for name in test_names(&text) {
            for case in name.split('_').map_while(Case::read) {
                if !case.exists() {
                    return Err(format!(
                        "`{name}` in {}: there is no case {}{}",
                        path.display(),
                        case.letter,
                        case.number
                    ));
                }
                tests.entry(case).or_default().push(format!("{place}: `{name}`"));
            }
        }
    }
    for names in tests.values_mut() {
        names.sort();
    }
    Ok(tests)
}

/// The functions of a source file that an attribute makes a test.
fn test_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(function) = function {
            let name = function.split(['(', '<']).next().unwrap_or_default();
            if is_test {
                names.push(name);
            }
            is_test = false;
        }
    }
    names
}

/// All Rust sources of the workspace, sorted.
fn sources(workspace: &Path) -> Vec<PathBuf> {
    let mut waiting: Vec<PathBuf> = ["crates", "tests"].iter().map(|folder| workspace.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    /// The cases that the first release must show by a test.
    const REQUIRED: &str = "P1 P2 P3 P4 P5 P7 P8 P9 P10 P11 P12 P13 P17 P21 P23 P25 P26 \
        T1 T5 T7 T10 T13 T14 T29 T36 T39 F1 F3 F5 F9 F10 F16 F17 F23";

    #[test]
    fn the_page_is_up_to_date() {
        let page = page(&workspace()).unwrap();
        let there = fs::read_to_string(workspace().join(PAGE)).unwrap();
        assert!(page == there, "{PAGE} is out of date: run `cargo xtask generate`");
    }

    #[test]
    fn what_must_be_shown_is_shown() {
        let tests = tests(&workspace()).unwrap();
        let missing: Vec<&str> = REQUIRED
            .split_whitespace()
            .filter(|id| Case::read(id).is_none_or(|case| !tests.contains_key(&case)))
            .collect();
        assert!(missing.is_empty(), "no test is named after: {}", missing.join(", "));
    }

    #[test]
    fn names_are_read_from_tests_only() {
        let text = "fn t1_helper() {}\n#[test]\nfn t7_p27_moved() {}\n    #[tokio::test]\n    async fn f1_x() {}\nfn p1_no() {}";
        assert_eq!(test_names(text), ["t7_p27_moved", "f1_x"]);
    }

    #[test]
    fn a_row_is_filled_and_the_rest_is_kept() {
        let case = Case::read("t7").unwrap();
        assert_eq!(Case::read("T7"), Some(case));
        assert_eq!(Case::read("tag"), None);
        let names = BTreeMap::from([(case, vec!["registry: `t7_moved`".to_owned()])]);
        let error = fill("| T7 | a | b | |\n", &names).unwrap_err();
        assert!(error.starts_with("A1 has no row; A2 has no row"), "{error}");
        assert!(error.contains("; P1 has no row; "), "{error}");

        let page: String = LAST
            .iter()
            .flat_map(|(letter, last)| (1..=*last).map(move |number| format!("| {letter}{number} | a | b | old |\n")))
            .collect();
        let filled = fill(&format!("# Title\n{page}"), &names).unwrap();
        assert!(filled.starts_with("# Title\n| P1 | a | b | not yet |\n"), "{filled}");
        assert!(filled.contains("| T7 | a | b | registry: `t7_moved` |\n"));
    }
}
