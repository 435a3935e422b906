//! Names that git and a forge know.

/// The rules of `git check-ref-format`, and no leading hyphen: a program would take such a name for an option.
const REF_NAME: &str = "at most 200 characters, no leading `-`, no trailing `.`, and none of what git refuses (space, \
                        control character, `..`, `@{`, `~^:?*[\\`, an empty segment, a segment that begins with `.` or \
                        ends with `.lock`)";

identifier!(
    /// Short name of a branch, such as `staging` or `orchestrator/ledger`: what follows `refs/heads/`.
    BranchName,
    "branch name",
    REF_NAME,
    at most 200 characters,
    pattern r"^(?!-)(?!@$)(?!.*(\.\.|@\{|\.$))(?!(.*/)?(/|$|\.|[^/]*\.lock(/|$)))[^\x00-\x20\x7f~^:?*\[\\]+$",
    check is_ref_name
);

identifier!(
    /// Name of the tag that a release carries, such as `release-2025-11-20-6c1f90ab`.
    ReleaseTag,
    "tag name",
    REF_NAME,
    at most 200 characters,
    pattern r"^(?!-)(?!@$)(?!.*(\.\.|@\{|\.$))(?!(.*/)?(/|$|\.|[^/]*\.lock(/|$)))[^\x00-\x20\x7f~^:?*\[\\]+$",
    check is_ref_name
);

identifier!(
    /// Login of a person or a program on the forge.
    UserName,
    "user name",
    "letters, digits, `.`, `_`, `-`, starting with a letter or digit, at most 64",
    at most 64 characters,
    pattern r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    check is_user_name
);

impl BranchName {
    /// The full name of the ref: `refs/heads/…`.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl ReleaseTag {
    /// The full name of the ref: `refs/tags/…`.
    pub fn full(&self) -> String {
        format!("refs/tags/{}", self.0)
    }
}

fn is_user_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_ref_name(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('.')
        && text != "@"
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(|c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\'))
        && text
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !part.as_bytes().ends_with(b".lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_names_are_what_git_accepts() {
        for good in ["dev", "orchestrator/ledger", "deploy/staging", "zzz\";echo${IFS}x;#", "été", "a@b"] {
            assert_eq!(BranchName::try_from(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "a b",
            "a..b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "@",
            "a@{1}",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a\nb",
            "a\u{7f}",
        ] {
            BranchName::try_from(bad).unwrap_err();
        }
        ReleaseTag::try_from("x".repeat(201)).unwrap_err();
    }

    #[test]
    fn t29_hostile_user_names_are_refused_and_shown_escaped() {
        for bad in ["", "-as", "a/b", "..", "$(id)", "a b", "a\u{1b}[31m"] {
            UserName::try_from(bad).unwrap_err();
        }
        let error = UserName::try_from("a\u{1b}[31m").unwrap_err().to_string();
        assert_eq!(
            error,
            "`a\\u{1b}[31m` is not a valid user name: letters, digits, `.`, `_`, `-`, starting with a letter or \
             digit, at most 64"
        );
    }
}
