use std::fmt;

use serde::{Deserialize, Serialize};

/// Which branches or tags only bots move: `deploy/**`, or `tag:release-*`.
///
/// `*` stands for any characters but `/`, `**` for any characters. What such a pattern covers only goes forward and is
/// never deleted; a tag is made once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefPattern(String);

/// What marks a pattern of tags. No branch has a colon in its name.
const TAG: &str = "tag:";

impl RefPattern {
    /// What is reserved where nothing else is said: the branches that orchestrator writes, and the tags that it makes.
    pub fn defaults() -> Vec<Self> {
        ["deploy/**", "orchestrator/**", "tag:release-*", "tag:migrated-*"].map(|text| Self(text.to_owned())).into()
    }

    /// Whether it covers a branch, by its short name.
    pub fn covers_branch(&self, branch: &str) -> bool {
        !self.0.starts_with(TAG) && covers(self.0.as_bytes(), branch.as_bytes())
    }

    /// Whether it covers a tag, by its short name.
    pub fn covers_tag(&self, tag: &str) -> bool {
        self.0.strip_prefix(TAG).is_some_and(|pattern| covers(pattern.as_bytes(), tag.as_bytes()))
    }
}

impl TryFrom<String> for RefPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let name = text.strip_prefix(TAG).unwrap_or(&text);
        let bad = |c: char| c.is_control() || c.is_whitespace() || "?[]{}:\\^~".contains(c);
        if name.is_empty() || name.starts_with(['/', '-']) || name.contains(bad) || name.starts_with("refs/") {
            let shown = lock_model::escaping::escape_short(&text, 80);
            return Err(format!(
                "`{shown}` is no pattern of refs: write `deploy/**` for branches, `tag:release-*` for tags"
            ));
        }
        Ok(Self(text))
    }
}

impl std::str::FromStr for RefPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<RefPattern> for String {
    fn from(pattern: RefPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn covers(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|start| covers(rest, &text[start..])),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|&byte| byte == b'/').unwrap_or(text.len());
            (0..=end).any(|start| covers(rest, &text[start..]))
        }
        [byte, rest @ ..] => text.first() == Some(byte) && covers(rest, &text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_names_of_their_kind() {
        let covered = |pattern: &str, name: &str| {
            let pattern: RefPattern = pattern.parse().unwrap();
            (pattern.covers_branch(name), pattern.covers_tag(name))
        };
        for (pattern, name, expected) in [
            ("deploy/**", "deploy/staging", (true, false)),
            ("deploy/**", "deploy/eu/west", (true, false)),
            ("deploy/**", "deploy", (false, false)),
            ("deploy/**", "my/deploy/staging", (false, false)),
            ("deploy/*", "deploy/staging", (true, false)),
            ("deploy/*", "deploy/eu/west", (false, false)),
            ("*-render", "staging-render", (true, false)),
            ("**", "anything/at/all", (true, false)),
            ("staging", "staging", (true, false)),
            ("staging", "staging2", (false, false)),
            ("tag:release-*", "release-1", (false, true)),
            ("tag:release-*", "release-", (false, true)),
            ("tag:release-*", "my-release-1", (false, false)),
            ("tag:v*.*", "v1.2", (false, true)),
        ] {
            assert_eq!(covered(pattern, name), expected, "{pattern} {name}");
        }
        for bad in ["", "tag:", "refs/heads/x", "a b", "x?", "a{b,c}", "/x", "-x", "a:b", "tag:tag:x"] {
            bad.parse::<RefPattern>().unwrap_err();
        }
    }
}
