use super::macros::{is_forbidden, is_host};

/// The characters of [`is_unseen`] that [`is_forbidden`] accepts, for a pattern.
#[cfg(feature = "schema")]
macro_rules! unseen_pattern {
    () => {
        r"[\u200c\u200d\u206a-\u206f]"
    };
}

identifier!(
    /// Full object id of a git commit, in either of git's hash functions.
    CommitId,
    "commit id",
    "40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits",
    at most 64 characters,
    pattern r"^([0-9a-f]{40}|[0-9a-f]{64})$",
    check is_object_id
);

identifier!(
    /// The first digits of a commit id, as a person copies them; all of them are better.
    CommitPrefix,
    "abbreviated commit id",
    "7 to 64 lower-case hexadecimal digits",
    at most 64 characters,
    pattern r"^[0-9a-f]{7,64}$",
    check is_commit_prefix
);

identifier!(
    /// Full object id of a git tree.
    TreeId,
    "tree id",
    "40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits",
    at most 64 characters,
    pattern r"^([0-9a-f]{40}|[0-9a-f]{64})$",
    check is_object_id
);

identifier!(
    /// Address of a git repository as the lock writes it: `https://` (or, with a warning, `http://`), no user,
    /// no password, no query. Of the `%` escapes it takes those of marks that names have, such as `%20`.
    ///
    /// ```
    /// use lock_model::RepositoryUrl;
    ///
    /// assert!(RepositoryUrl::try_from("https://github.com/shop/cart.git").is_ok());
    /// let error = RepositoryUrl::try_from("https://me:secret@github.com/shop/cart.git").unwrap_err();
    /// assert!(!error.to_string().contains("secret"));
    /// ```
    RepositoryUrl,
    "repository URL",
    "`https://HOST/PATH` without user, query or fragment",
    at most 2048 characters,
    pattern concat!(
        r"^https?://(", host_pattern!(), r"|\[[0-9a-f:.]+\](:[0-9]{1,5})?)",
        r"(/(?!\.{1,2}(/|$))([^\s/?#@\\%", forbidden_pattern!(), r"]|%(2[016-9BC]|3[BD]))+)+/?$"
    ),
    check is_repository_url
);

identifier!(
    /// Path of something in a git tree: relative, `/`-separated, without `.`, `..`, `.git` or control characters.
    TreePath,
    "path in a tree",
    "relative, `/` between segments, no `.`, `..` or `.git` segment, no leading `-`, no control or direction character, \
     no backslash",
    at most 4096 characters,
    pattern concat!(
        r"^(?!-)(?!(.*/)?(\.{0,2}|",
        unseen_pattern!(), r"*(\.", unseen_pattern!(), r"*[gG]", unseen_pattern!(), r"*[iI]", unseen_pattern!(), r"*[tT]|[gG]",
        unseen_pattern!(), r"*[iI]", unseen_pattern!(), r"*[tT]", unseen_pattern!(), r"*~", unseen_pattern!(), r"*1)",
        r"([ .]|", unseen_pattern!(), r")*(:[^/]*)?)(/|$))[^\\", forbidden_pattern!(), r"]+$"
    ),
    check is_tree_path
);

impl CommitId {
    /// The first `length` digits, at most all of them.
    pub fn short(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }
}

impl CommitPrefix {
    /// Whether the commit's id begins with these digits.
    pub fn is_of(&self, commit: &CommitId) -> bool {
        commit.as_str().starts_with(&self.0)
    }
}

impl From<&CommitId> for CommitPrefix {
    fn from(commit: &CommitId) -> Self {
        Self(commit.0.clone())
    }
}

impl TreeId {
    /// The first `length` digits, at most all of them.
    pub fn short(&self, length: usize) -> &str {
        self.0.get(..length).unwrap_or(&self.0)
    }
}

impl TreePath {
    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_commit_prefix(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_repository_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let path = path.strip_suffix('/').unwrap_or(path);
    (is_host(host) || is_ipv6_host(host))
        && path.split('/').all(|segment| {
            let mut escapes = segment.split('%');
            let begins_plainly = escapes.next().is_some();
            !matches!(segment, "" | "." | "..")
                && begins_plainly
                && escapes.all(|rest| rest.get(..2).is_some_and(is_url_escape))
                && !segment
                    .contains(|c: char| c.is_whitespace() || is_forbidden(c) || matches!(c, '?' | '#' | '@' | '\\'))
        })
}

/// The two digits of a `%` escape: a space, or a mark that means nothing in an address. Not `@`, `[` and `:`: git decodes
/// an ssh address before it looks for the host in it.
fn is_url_escape(digits: &str) -> bool {
    matches!(digits, "20" | "21" | "26" | "27" | "28" | "29" | "2B" | "2C" | "3B" | "3D")
}

/// An IPv6 address in brackets, with or without a port.
fn is_ipv6_host(text: &str) -> bool {
    let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let in_address = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.');
    !address.is_empty() && address.bytes().all(in_address) && port_is_good
}

fn is_tree_path(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains(|c: char| is_forbidden(c) || c == '\\')
        && text.split('/').all(|segment| !matches!(segment, "" | "." | "..") && !is_git_folder(segment))
}

/// Whether a name is git's own folder to some file system: in any capitals, by its short name, with the dots, spaces and
/// streams that NTFS drops (`GIT~1`, `.git. `, `.git::$INDEX_ALLOCATION`), and with the characters that HFS+ does not see.
pub fn is_git_folder(name: &str) -> bool {
    let seen: String = name.chars().filter(|character| !is_unseen(*character)).collect();
    let plain = seen.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
    plain.eq_ignore_ascii_case(".git") || plain.eq_ignore_ascii_case("git~1")
}

/// What HFS+ leaves out when it compares names.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_carry_no_credentials() {
        for good in [
            "https://github.com/Shopifake/shopifake-back",
            "https://host.example:8443/a/b.git",
            "http://host/a",
            "https://dev.azure.com/shop/My%20Shop/_git/cart",
            "https://[::1]:8443/a",
            "https://[2001:db8::1]/a",
        ] {
            assert!(RepositoryUrl::try_from(good).is_ok(), "{good}");
        }
        for bad in [
            "https://user:secret@host/a",
            "ssh://host/a",
            "https:///host",
            "https://host",
            "https://host/../a",
            "https://host/a?b",
            "https://host/%0a",
            "https://host/%2e%2e",
            "https://host/%2F",
            "https://host/%2b",
            "https://host/%",
            "https://host/%2",
            "https://%20host/a",
            "https://host/%40%5Bother.example%5D/a",
            "https://[]/a",
            "https://[::1/a",
            "https://[::1]x/a",
            "https://[::1%25eth0]/a",
            "file:///a",
            "https://host/a\nb",
            "-uhttps://host/a",
        ] {
            assert!(RepositoryUrl::try_from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn t29_t50_no_path_leaves_the_tree_or_reads_as_an_option() {
        for hostile in ["-x", "a/../b", "/a", "a//b", ".git/config", "a/.GIT", "a\r", "a\\b", "", "a/", "a\u{202e}b"] {
            assert!(TreePath::try_from(hostile).is_err(), "{hostile}");
        }
        for spelling in [
            ".git",
            ".GiT",
            "git~1",
            "GIT~1",
            ".git ",
            ".git.",
            ".git . .",
            "git~1.",
            ".git:",
            ".git::$INDEX_ALLOCATION",
            ".git.:x",
            ".g\u{200c}it",
            "\u{200d}.git",
            ".git\u{206f}",
            "\u{206a}g\u{200c}i\u{200d}t~1 .:x",
            ".git\u{200c}. ",
        ] {
            for path in [spelling.to_owned(), format!("a/{spelling}"), format!("{spelling}/config")] {
                assert!(TreePath::try_from(path.as_str()).is_err(), "{path:?}");
            }
        }
        for harmless in
            [".gitignore", ".git-x", "git", "x.git", "git~2", ".github/x", "a.git/b", "\u{200c}git", "..git"]
        {
            assert!(TreePath::try_from(harmless).is_ok(), "{harmless:?}");
        }
        for hostile in ["$(id)", "--post-renderer=x", "a\";DROP", "-u", "a b", "a\n", "../x", ""] {
            assert!(CommitId::try_from(hostile).is_err(), "{hostile}");
            assert!(RepositoryUrl::try_from(hostile).is_err(), "{hostile}");
        }
    }
}
