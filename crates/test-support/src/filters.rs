//! What differs from run to run, replaced by fixed words, so that whole outputs can be compared.
//!
//! Order matters. Paths come first, the longest first, since the sandbox may lie inside another replaced folder
//! and a path may hold digits that the later filters would touch. Ports follow, then times taken; both look at
//! numbers only. Commits, digests and dates are *not* filtered: fixed clocks and identities make them equal.

use std::path::Path;

/// The replacements of one test.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    paths: Vec<(String, String)>,
}

impl Filters {
    /// Replaces a path, for instance the sandbox by `[SANDBOX]`.
    pub fn path(&mut self, path: &Path, word: &str) -> &mut Self {
        let path = path.to_str().expect("test paths are UTF-8").to_owned();
        self.paths.push((path, word.to_owned()));
        self.paths.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        self
    }

    /// Applies all of them.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, word) in &self.paths {
            text = text.replace(path, word);
        }
        times(&ports(&text))
    }
}

/// `127.0.0.1:43783` → `127.0.0.1:[PORT]`.
fn ports(text: &str) -> String {
    const LOOPBACK: &str = "127.0.0.1:";
    let mut parts = text.split(LOOPBACK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str(LOOPBACK);
        out.push_str(if rest.len() == part.len() { "" } else { "[PORT]" });
        out.push_str(rest);
    }
    out
}

/// `12ms`, `12 ms`, `1.23s` and `1.23 s` → `[TIME]`; whole seconds stay, since they are settings.
fn times(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let inside_word = before.chars().next_back().or(out.chars().next_back()).is_some_and(is_word);
        let length = from.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(from.len());
        let (number, after) = from.split_at(length);
        out.push_str(before);
        let unit = after.strip_prefix(' ').unwrap_or(after);
        let end = unit.strip_prefix("ms").or_else(|| unit.strip_prefix('s').filter(|_| number.contains('.')));
        match end {
            Some(end) if !inside_word && !end.starts_with(is_word) => {
                out.push_str("[TIME]");
                rest = end;
            }
            _ => {
                out.push_str(number);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_longest_first() {
        let mut filters = Filters::default();
        filters.path(Path::new("/tmp/x"), "[SANDBOX]").path(Path::new("/tmp/x/home"), "[HOME]");
        assert_eq!(filters.apply("/tmp/x/home/a /tmp/x/b"), "[HOME]/a [SANDBOX]/b");
    }

    #[test]
    fn ports_and_times() {
        let table = [
            ("http://127.0.0.1:43783/v2/", "http://127.0.0.1:[PORT]/v2/"),
            ("127.0.0.1:none", "127.0.0.1:none"),
            ("done in 1.23 s", "done in [TIME]"),
            ("done in 12ms, then 7 ms", "done in [TIME], then [TIME]"),
            ("deadline 60s stays", "deadline 60s stays"),
            ("sha 12ab 1.5.0 stays", "sha 12ab 1.5.0 stays"),
            ("main-12ms stays", "main-12ms stays"),
            ("3 services, 2 sixes", "3 services, 2 sixes"),
        ];
        for (input, wanted) in table {
            assert_eq!(Filters::default().apply(input), wanted);
        }
    }
}
