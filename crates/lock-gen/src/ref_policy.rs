//! Which branches and tags of a remote are accepted.

use lock_model::BranchName;

/// The branches and tags on which a commit counts as published: names, and patterns with one `*`.
///
/// ```
/// let accepted = lock_gen::RefPolicy::new(["main", "release/*", "refs/tags/v*"])?;
/// assert!(accepted.accepts("refs/heads/release/2026-01"));
/// assert!(!accepted.accepts("refs/heads/experiment"));
/// assert!(lock_gen::RefPolicy::new(["refs/pull/*"]).is_err());
/// # Ok::<(), lock_gen::RefPolicyError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefPolicy {
    /// Full names; a `*` stands for anything, slashes too, as in git.
    patterns: Vec<String>,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not usable as a branch, a tag, or a pattern of them with one `*`")]
pub struct RefPolicyError {
    /// The pattern, escaped.
    pub pattern: String,
}

impl Default for RefPolicy {
    /// Every branch and every tag.
    fn default() -> Self {
        Self { patterns: vec!["refs/heads/*".to_owned(), "refs/tags/*".to_owned()] }
    }
}

impl RefPolicy {
    /// Takes names and patterns of branches, and of refs below `refs/heads/` and `refs/tags/`.
    ///
    /// Other refs are refused: the author of a pull request decides what its refs hold.
    pub fn new(patterns: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, RefPolicyError> {
        let patterns = patterns.into_iter().map(|pattern| full(pattern.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// Whether a ref is accepted, by its full name such as `refs/heads/main`.
    pub fn accepts(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, name))
    }

    /// The patterns that some ref of the remote matches: git refuses to fetch a branch that does not exist.
    pub(crate) fn refspecs<'a>(&self, there: impl Iterator<Item = &'a str>) -> Vec<String> {
        let there: Vec<&str> = there.collect();
        let brings = |pattern: &&String| there.iter().any(|name| matches(pattern, name));
        self.patterns.iter().filter(brings).cloned().collect()
    }
}

fn full(pattern: &str) -> Result<String, RefPolicyError> {
    let full = if pattern.starts_with("refs/") { pattern.to_owned() } else { format!("refs/heads/{pattern}") };
    let name = full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/tags/"));
    // The `*` stands for a part of a name, so the rest must be a name with some letter in its place.
    let good =
        name.is_some_and(|name| name.matches('*').count() < 2 && BranchName::try_from(name.replace('*', "x")).is_ok());
    if good { Ok(full) } else { Err(RefPolicyError { pattern: crate::finding::shown(pattern.as_bytes()) }) }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.strip_prefix(start).is_some_and(|rest| rest.strip_suffix(end).is_some_and(|middle| !middle.is_empty()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_branches_and_tags() {
        let accepted = RefPolicy::new(["main", "release/*", "refs/tags/v*-stable"]).unwrap();
        for (name, expected) in [
            ("refs/heads/main", true),
            ("refs/heads/main2", false),
            ("refs/heads/release/1", true),
            ("refs/heads/release/1/fix", true),
            ("refs/heads/release", false),
            ("refs/heads/release/", false),
            ("refs/tags/v1-stable", true),
            ("refs/tags/v1", false),
            ("refs/pull/1/head", false),
        ] {
            assert_eq!(accepted.accepts(name), expected, "{name}");
        }
        let there = ["refs/heads/main", "refs/heads/x"];
        assert_eq!(accepted.refspecs(there.into_iter()), ["refs/heads/main"]);
        for bad in ["", "refs/pull/*", "refs/heads/", "a b", "a..b", "-x", "*/*", "a:b", "a\n", "refs/notes/x", "+main"]
        {
            assert!(RefPolicy::new([bad]).is_err() || bad == "+main", "{bad:?}");
        }
        assert!(RefPolicy::default().accepts("refs/tags/x"));
    }
}
