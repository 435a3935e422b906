//! `submodules:` where their code may come from, and which of their commits may be locked.

use super::hosts::{is_host, is_host_port};
use lock_model::{BranchName, RepositoryUrl, identifier};

identifier!(
    /// A host, an owner on it, or one repository: `github.com`, `github.com/shop`, `github.com/shop/cart`.
    AllowedSource,
    "source of submodules",
    "`HOST`, `HOST/OWNER` or `HOST/OWNER/REPOSITORY`, without scheme, user, `*` and `.git`",
    at most 300 characters,
    pattern "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/(?!\\.{1,2}(/|$))([A-Za-z0-9._~+-]|%(2[016-9BC]|3[BD]))+)*(?<!\\.git)$",
    check is_source
);

identifier!(
    /// A branch, a tag by its full name, or a pattern of them with one `*`: `main`, `release/*`, `refs/tags/v*`.
    AcceptedRef,
    "branch or tag of submodules",
    "a branch, or a tag as `refs/tags/NAME`; one `*` stands for anything, slashes too",
    at most 200 characters,
    pattern "^(refs/(heads|tags)/)?(?!refs/)(?!.*\\*.*\\*)(?![-/])(?!.*(//|\\.\\.|@\\{|/\\.|\\./|\\.lock(/|$)))[^\\s\\x00-\\x20\\x7f~^:?\\[\\\\.][^\\s\\x00-\\x20\\x7f~^:?\\[\\\\]*(?<![/.])$",
    check is_accepted_ref
);

/// `submodules:`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submodules {
    /// Where submodules may come from; `None`: from everywhere, but none may change its owner.
    pub allow: Option<Vec<AllowedSource>>,
    /// The branches and tags on one of which a locked commit must be; `None`: any of the submodule's repository.
    pub branches: Option<Vec<AcceptedRef>>,
    /// Whether the remotes are asked each time that a lock is made.
    pub pushed: PushedPolicy,
}

lock_model::words! {
    /// `submodules.pushed`: the strictest first.
    PushedPolicy, "rule for pushed commits" {
        /// Making a lock asks the remotes whether every commit is on a branch that counts.
        Require = "require",
        /// The remotes are asked only with `--check-pushed`.
        Off = "off",
    }
}

impl AllowedSource {
    /// The one repository of an address; `None` for one without encryption, which none allows.
    pub(super) fn of(address: &RepositoryUrl) -> Option<Self> {
        let name = address.as_str().strip_prefix("https://")?;
        Self::try_from(name.strip_suffix(".git").unwrap_or(name)).ok()
    }

    /// Whether everything that the other one allows is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let (host, path) = self.parts();
        let (other_host, other_path) = other.parts();
        host == other_host && path.len() <= other_path.len() && path.iter().zip(&other_path).all(|(a, b)| a == b)
    }

    fn parts(&self) -> (String, Vec<&str>) {
        let mut segments = self.as_str().split('/');
        let host = segments.next().unwrap_or_default();
        (host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase(), segments.collect())
    }
}

impl AcceptedRef {
    /// Whether everything that the other one accepts is accepted by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let (own, other) = (self.full_name(), other.full_name());
        match own.split_once('*') {
            None => own == other,
            Some((start, end)) => {
                let (other_start, other_end) = other.split_once('*').unwrap_or((&other, &other));
                let long_enough = other.contains('*') || other.len() > start.len() + end.len();
                long_enough && other_start.starts_with(start) && other_end.ends_with(end)
            }
        }
    }

    fn full_name(&self) -> String {
        let name = self.as_str();
        if name.starts_with("refs/") { name.to_owned() } else { format!("refs/heads/{name}") }
    }
}

fn is_source(text: &str) -> bool {
    let mut segments = text.split('/');
    let host = segments.next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '+' | '-' | '%');
    // The escapes of an address, such as `%20`, in the one spelling that they have there.
    let good = |segment: &str| {
        segment.chars().all(plain) && RepositoryUrl::try_from(format!("https://host/{segment}")).is_ok()
    };
    // A repository has one name, with and without the suffix.
    (is_host(host) || is_host_port(host)) && segments.all(good) && text.strip_suffix(".git").is_none()
}

fn is_accepted_ref(text: &str) -> bool {
    let name = text.strip_prefix("refs/heads/").or_else(|| text.strip_prefix("refs/tags/")).unwrap_or(text);
    // What a pull request's ref holds is anybody's.
    !name.starts_with("refs/")
        && name.matches('*').count() < 2
        && !name.split('/').any(|segment| segment.ends_with('.'))
        && BranchName::try_from(name.replace('*', "x")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> AllowedSource {
        AllowedSource::try_from(text).unwrap()
    }

    fn accepted(text: &str) -> AcceptedRef {
        AcceptedRef::try_from(text).unwrap()
    }

    #[test]
    fn t8_sources_are_whole_names() {
        for good in [
            "github.com",
            "github.com/shop",
            "git.shop.example:8443/a/b/c",
            "[::1]:3000/x",
            "h/~me",
            "h:443/a",
            "dev.azure.com/shop/My%20Shop",
        ] {
            source(good);
        }
        for bad in [
            "",
            "/a",
            "https://h/a",
            "h/",
            "h//a",
            "h/../a",
            "h/.",
            "u@h/a",
            "h/*",
            "*.h/a",
            "h/a b",
            "h/a.git",
            "h\n",
            "-h/a",
            "h:0/a",
            "h:x/a",
            "h/%2e",
            "h/%2b",
            "h/%",
            "h%20/a",
            "h/é",
        ] {
            AllowedSource::try_from(bad).unwrap_err();
        }
        for (wide, narrow, expected) in [
            ("github.com", "github.com/shop", true),
            ("GitHub.com:443/shop", "github.com/shop/cart", true),
            ("github.com/shop", "github.com/shop-evil", false),
            ("github.com/shop", "github.com", false),
            ("github.com/shop", "github.com/Shop", false),
            ("h:8443", "h", false),
        ] {
            assert_eq!(source(wide).covers(&source(narrow)), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn t8_refs_are_branches_and_tags() {
        for good in ["main", "release/*", "*", "refs/heads/main", "refs/tags/v*-stable", "a/b.c", "+main"] {
            accepted(good);
        }
        for bad in [
            "",
            "refs/pull/*",
            "refs/heads/",
            "refs/notes/x",
            "a b",
            "a..b",
            "-x",
            "*/*",
            "**",
            "a:b",
            "a\n",
            "a/.b",
            "a.",
            "a./b",
            "x.lock",
            "@",
            "@{u}",
            "/a",
            "a/",
            "a//b",
            "refs/heads/refs/pull/1",
        ] {
            AcceptedRef::try_from(bad).unwrap_err();
        }
        for (wide, narrow, expected) in [
            ("main", "refs/heads/main", true),
            ("release/*", "release/1", true),
            ("release/*", "release/2026-*", true),
            ("release/*", "release/", false),
            ("*", "anything/at/all", true),
            ("*", "refs/tags/v1", false),
            ("a*a", "a", false),
            ("a*a", "aa", false),
            ("a*a", "aba", true),
            ("release/1", "release/*", false),
            ("refs/tags/v*", "refs/tags/v1-*", true),
            ("v*-x", "v*", false),
        ] {
            let (wide, narrow) = (wide, narrow.trim_end_matches('/'));
            let got = accepted(wide).covers(&accepted(narrow));
            assert_eq!(got, expected, "{wide} {narrow}");
        }
    }
}
