//! The hosts and owners that submodules may come from.

use lock_model::RepositoryUrl;

use crate::Scan;
use crate::finding::{Finding, FindingKind, shown};

/// An allow list of repositories: hosts, owners, and single repositories.
///
/// ```
/// use lock_gen::AllowedSources;
///
/// let allowed = AllowedSources::new(["github.com/shop", "git.shop.example"])?;
/// assert!(allowed.allows(&"https://github.com/shop/cart.git".parse()?));
/// assert!(!allowed.allows(&"https://github.com/sh0p/cart.git".parse()?));
/// assert!(!allowed.allows(&"https://github.com/shop-evil/cart.git".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedSources {
    /// Host in small letters, and the segments that a path starts with.
    entries: Vec<(String, Vec<String>)>,
}

/// An entry of the list that is not one of the three forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is not usable as `HOST`, `HOST/OWNER` or `HOST/OWNER/REPOSITORY`")]
pub struct AllowedSourcesError {
    /// The entry, escaped.
    pub entry: String,
}

impl AllowedSources {
    /// Takes entries such as `HOST`, `HOST:PORT/OWNER` and `HOST/OWNER/REPOSITORY`, with or without `https://`.
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, AllowedSourcesError> {
        let read = |text: &str| {
            let bare = text.strip_prefix("https://").unwrap_or(text);
            let bare = bare.strip_suffix('/').unwrap_or(bare);
            let odd = |c: char| c.is_whitespace() || lock_model::escaping::is_hidden(c) || "@\\?#*".contains(c);
            let (host, path) = split(bare);
            let good = !host.is_empty()
                && !bare.contains(odd)
                && !bare.contains("://")
                && !host.contains('%')
                && path.iter().all(|segment| RepositoryUrl::try_from(format!("https://host/{segment}")).is_ok());
            if good {
                Ok((host, path.into_iter().map(str::to_owned).collect()))
            } else {
                Err(AllowedSourcesError { entry: shown(text.as_bytes()) })
            }
        };
        Ok(Self { entries: entries.into_iter().map(|entry| read(entry.as_ref())).collect::<Result<_, _>>()? })
    }

    /// Whether a repository is on the list. An empty list allows nothing.
    pub fn allows(&self, url: &RepositoryUrl) -> bool {
        let (host, path) = parts(url);
        let allows = |(allowed, prefix): &(String, Vec<String>)| {
            let longer = path.len() >= prefix.len();
            *allowed == host && longer && path.iter().zip(prefix).all(|(segment, allowed)| segment == allowed)
        };
        self.entries.iter().any(allows)
    }

    /// The submodules of a scan that are not on the list.
    pub fn findings(&self, scan: &Scan) -> Vec<Finding> {
        let foreign = scan.submodules.iter().filter(|submodule| !self.allows(&submodule.url));
        foreign
            .map(|submodule| {
                Finding::new(
                    FindingKind::ForeignSource,
                    submodule.path.as_str(),
                    format!("comes from `{}`, which is not on the list of allowed sources", submodule.url),
                    "check every letter of the URL; if it is meant, add its owner to the list",
                )
            })
            .collect()
    }
}

/// Host and owner of a repository: the host in small letters, and the path without its last part.
pub(crate) fn owner(url: &RepositoryUrl) -> (String, Vec<&str>) {
    let (host, mut path) = parts(url);
    path.pop();
    (host, path)
}

fn parts(url: &RepositoryUrl) -> (String, Vec<&str>) {
    let (scheme, rest) = url.as_str().split_once("://").unwrap_or(("https", url.as_str()));
    let (host, mut path) = split(rest);
    // The repository is one with and without the suffix.
    if let Some(last) = path.last_mut() {
        *last = last.strip_suffix(".git").unwrap_or(last);
    }
    // Without TLS the host is not authenticated.
    if scheme == "https" { (host, path) } else { (format!("{scheme}://{host}"), path) }
}

fn split(text: &str) -> (String, Vec<&str>) {
    let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
    let host = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
    (host, path.map_or_else(Vec::new, |path| path.split('/').collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_sources_are_compared_by_whole_names() {
        let allowed = AllowedSources::new([
            "github.com/shop",
            "https://git.shop.example:8443/",
            "h.example/a/b",
            "dev.azure.com/shop/My%20Shop",
            "[::1]",
        ])
        .unwrap();
        for (url, expected) in [
            ("https://github.com/shop/cart", true),
            ("https://GitHub.com/shop/cart.git", true),
            ("https://github.com:443/shop/cart.git", true),
            ("https://github.com:444/shop/cart.git", false),
            ("http://github.com/shop/cart.git", false),
            ("https://github.com/shop-evil/cart.git", false),
            ("https://github.com/evil/shop/cart.git", false),
            ("https://github.com.evil.example/shop/cart.git", false),
            ("https://git.shop.example:8443/any/thing", true),
            ("https://git.shop.example/any/thing", false),
            ("https://evil.git.shop.example:8443/any/thing", false),
            ("https://h.example/a/b", true),
            ("https://h.example/a/b.git", true),
            ("https://h.example/a/bc", false),
            ("https://dev.azure.com/shop/My%20Shop/_git/cart", true),
            ("https://dev.azure.com/shop/My/_git/cart", false),
            ("https://[::1]/a", true),
            ("https://[::2]/a", false),
        ] {
            assert_eq!(allowed.allows(&url.parse().unwrap()), expected, "{url}");
        }
        for bad in ["", "/a", "http://h/a", "h/../a", "h//a", "u@h/a", "h/*", "h\n", "h/%2e", "h/%2b", "h%20/a"] {
            AllowedSources::new([bad]).unwrap_err();
        }
        assert!(!AllowedSources::new([""; 0]).unwrap().allows(&"https://h.example/a".parse().unwrap()));
    }
}
