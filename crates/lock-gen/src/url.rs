//! What a submodule's URL means: for the lock (always a web address) and for fetching (what git would use).

use lock_model::RepositoryUrl;

/// Why a URL of `.gitmodules` cannot be used. The text is read after the URL's subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// A user or password in the URL: it would end in the lock, in logs, in everybody's clone.
    #[error("has a URL with a user or password in it")]
    Credentials,
    /// A folder of some machine.
    #[error("has the URL `{url}`, a folder of one machine")]
    Local {
        /// The URL, escaped.
        url: String,
    },
    /// A scheme that is not spoken, or a remote helper: a program.
    #[error("has the URL `{url}`: `{scheme}` is not allowed")]
    Scheme {
        /// The URL, escaped.
        url: String,
        /// The scheme or helper.
        scheme: String,
    },
    /// A URL that git takes for an option, or that has characters no URL needs.
    #[error("has the URL `{url}`, which is not a plain address of a repository")]
    Hostile {
        /// The URL, escaped.
        url: String,
    },
    /// A relative URL with more `../` than the superproject's address has folders.
    #[error("has the relative URL `{url}`, which climbs above the host of `{base}`")]
    ClimbsTooFar {
        /// The URL, escaped.
        url: String,
        /// The address that it is relative to.
        base: String,
    },
    /// A relative URL of a superproject whose own remote is a relative folder.
    #[error("has the relative URL `{url}`, but the superproject's remote `{base}` is a relative folder")]
    RelativeBase {
        /// The URL, escaped.
        url: String,
        /// The address that it is relative to.
        base: String,
    },
}

impl UrlError {
    /// What fixes the URL.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Credentials => "take the credentials out of the URL; git's credential helpers supply them",
            Self::Local { .. } => {
                "name the repository by `https://HOST/PATH` or relative to the superproject, as `../NAME.git`"
            }
            Self::Scheme { .. } => "use `https://`, ssh, or a URL relative to the superproject",
            Self::Hostile { .. } => {
                "write `https://HOST/PATH` without query, `%` escapes, spaces or control characters"
            }
            Self::ClimbsTooFar { .. } => "use fewer `../`, or the full `https://HOST/PATH`",
            Self::RelativeBase { .. } => "give the superproject's remote an absolute folder or a URL",
        }
    }
}

/// The web address of a submodule, as the lock writes it.
///
/// A relative URL is resolved against the superproject's address as git does. Ssh and `git://` addresses become
/// `https://HOST/PATH`, without user and port.
///
/// ```
/// let shop = "https://forge.example/shop/shop".parse()?;
/// assert_eq!(lock_gen::lock_url("../cart.git", &shop)?.as_str(), "https://forge.example/shop/cart.git");
/// assert_eq!(lock_gen::lock_url("git@host.example:shop/cart.git", &shop)?.as_str(), "https://host.example/shop/cart.git");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lock_url(declared: &str, repository: &RepositoryUrl) -> Result<RepositoryUrl, UrlError> {
    let hostile = || UrlError::Hostile { url: shown(declared) };
    check_characters(declared)?;
    let text = if is_relative(declared) {
        let base = repository.as_str();
        let joined = relative_url(base, declared);
        if joined.as_deref().is_none_or(|joined| origin(joined) != origin(base)) {
            return Err(UrlError::ClimbsTooFar { url: shown(declared), base: base.to_owned() });
        }
        joined.ok_or_else(hostile)?
    } else {
        web_address(declared)?
    };
    RepositoryUrl::try_from(text).map_err(|_| hostile())
}

/// What git fetches a submodule from: the declared URL, or a relative one resolved against the real remote of the
/// superproject's clone, which may be a folder.
pub fn fetch_url(declared_url: &str, superproject_remote: &str) -> Result<String, UrlError> {
    check_characters(declared_url)?;
    if !is_relative(declared_url) {
        let address = web_address(declared_url)?;
        // Unencrypted and unauthenticated: the same host speaks https, as the lock says.
        return Ok(if declared_url.starts_with("git://") { address } else { declared_url.to_owned() });
    }
    let base = superproject_remote;
    if base.is_empty() || base.starts_with('-') || base.contains(lock_model::escaping::is_hidden) {
        return Err(UrlError::Hostile { url: shown(base) });
    }
    let climbs = || UrlError::ClimbsTooFar { url: shown(declared_url), base: shown(base) };
    let joined = relative_url(base, declared_url).ok_or_else(climbs)?;
    if names_helper(&joined) {
        return Err(UrlError::Hostile { url: shown(declared_url) });
    }
    if is_local(base) {
        if !base.starts_with('/') {
            return Err(UrlError::RelativeBase { url: shown(declared_url), base: shown(base) });
        }
        if !joined.starts_with('/') {
            return Err(climbs());
        }
        return Ok(joined);
    }
    if origin(&joined) != origin(base) {
        return Err(climbs());
    }
    Ok(joined)
}

/// The URL for people: without user, password and query, whatever it is.
pub(crate) fn shown(url: &str) -> String {
    lock_model::escaping::escape_short(lock_model::escaping::mask_address(url), 200)
}

fn is_relative(url: &str) -> bool {
    url.starts_with("./") || url.starts_with("../")
}

/// What no part of a URL may hold: what a terminal acts on, what git decodes, what a shell or option parser takes.
fn check_characters(url: &str) -> Result<(), UrlError> {
    let bad = |c: char| lock_model::escaping::is_hidden(c) || c.is_whitespace() || matches!(c, '%' | '\\' | '?' | '#');
    if (is_relative(url) && url.contains("::"))
        || url.is_empty()
        || url.starts_with('-')
        || url.len() > 2048
        || url.contains(bad)
    {
        return Err(UrlError::Hostile { url: shown(url) });
    }
    Ok(())
}

/// An absolute URL as `https://HOST/PATH` (or `http://`).
fn web_address(url: &str) -> Result<String, UrlError> {
    let hostile = || UrlError::Hostile { url: shown(url) };
    if let Some((scheme, rest)) = url.split_once("://") {
        // `ext::sh -c …://` and the like: the helper's name comes before the scheme.
        if let Some((helper, _)) = url.split_once("::").filter(|(helper, _)| !helper.contains("://")) {
            return Err(UrlError::Scheme { url: shown(url), scheme: shown(&format!("{helper}::")) });
        }
        let (authority, path) = rest.split_once('/').ok_or_else(hostile)?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        return match scheme {
            "https" | "http" if user.is_some() => Err(UrlError::Credentials),
            "https" | "http" => Ok(format!("{scheme}://{host}/{path}")),
            "ssh" | "git+ssh" | "ssh+git" | "git" => {
                if user.is_some_and(|user| user.contains(':')) {
                    return Err(UrlError::Credentials);
                }
                let option = |text: &str| text.starts_with('-');
                if option(host) || user.is_some_and(option) {
                    return Err(hostile());
                }
                let host = host.split_once(':').map_or(host, |(host, _port)| host);
                Ok(format!("https://{host}/{path}"))
            }
            "file" => Err(UrlError::Local { url: shown(url) }),
            _ => Err(UrlError::Scheme { url: shown(url), scheme: shown(scheme) }),
        };
    }
    if let Some((helper, _)) = url.split_once("::") {
        return Err(UrlError::Scheme { url: shown(url), scheme: shown(&format!("{helper}::")) });
    }
    if is_local(url) {
        return Err(UrlError::Local { url: shown(url) });
    }
    // The scp form, `[USER@]HOST:PATH`.
    let (authority, path) = url.split_once(':').ok_or_else(hostile)?;
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let path = path.strip_prefix('/').unwrap_or(path);
    if host.starts_with('-') || user.starts_with('-') || path.starts_with('-') {
        return Err(hostile());
    }
    Ok(format!("https://{host}/{path}"))
}

/// Whether git takes an address for a folder: no colon before the first slash, and no scheme.
fn is_local(url: &str) -> bool {
    match (url.find(':'), url.find('/')) {
        (None, _) => true,
        (Some(colon), Some(slash)) => slash < colon,
        (Some(_), None) => false,
    }
}

/// Scheme and host of a URL, or what stands before the colon of an scp-like address.
fn origin(url: &str) -> &str {
    let end = match url.split_once("://") {
        Some((scheme, rest)) => scheme.len() + 3 + rest.find('/').unwrap_or(rest.len()),
        None => url.find([':', '/']).unwrap_or(url.len()),
    };
    url.get(..end).unwrap_or(url)
}

/// Whether git takes an address for one of a remote helper, a program: `NAME::ADDRESS`.
fn names_helper(url: &str) -> bool {
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    url.split_once("::").is_some_and(|(helper, _)| helper.chars().all(scheme))
}

/// Joins as `git submodule` does (`relative_url` in git's `remote.c`); nothing where git gives up.
///
/// Git knows nothing of hosts here: the caller must check that host and scheme are those of the base.
fn relative_url(base: &str, relative: &str) -> Option<String> {
    let mut base = base.strip_suffix('/').unwrap_or(base).to_owned();
    let base_is_relative = is_local(&base) && !base.starts_with('/');
    if base_is_relative && !is_relative(&base) {
        base.insert_str(0, "./");
    }
    let mut rest = relative;
    let mut separator = '/';
    loop {
        if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            if let Some(slash) = base.rfind('/') {
                base.truncate(slash);
            } else if let Some(colon) = base.rfind(':') {
                base.truncate(colon);
                separator = ':';
            } else {
                // Git goes on with `.` for an absolute base; that is never the folder that was meant.
                return None;
            }
        } else if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else {
            break;
        }
    }
    let joined = format!("{base}{separator}{rest}");
    let joined = if rest.ends_with('/') { joined.strip_suffix('/').unwrap_or(&joined) } else { &joined };
    Some(joined.strip_prefix("./").unwrap_or(joined).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> RepositoryUrl {
        "https://forge.example/shop/shop".parse().unwrap()
    }

    #[test]
    fn urls_become_web_addresses() {
        for (declared, expected) in [
            ("https://h.example/a/b.git", "https://h.example/a/b.git"),
            ("https://h.example:8443/a/b", "https://h.example:8443/a/b"),
            ("http://h.example/a/b", "http://h.example/a/b"),
            ("ssh://git@h.example/a/b.git", "https://h.example/a/b.git"),
            ("ssh://git@h.example:2222/a/b.git", "https://h.example/a/b.git"),
            ("git+ssh://h.example/a", "https://h.example/a"),
            ("git://h.example/a/b.git", "https://h.example/a/b.git"),
            ("git@h.example:a/b.git", "https://h.example/a/b.git"),
            ("h.example:/a/b.git", "https://h.example/a/b.git"),
            ("../cart.git", "https://forge.example/shop/cart.git"),
            ("../cart/", "https://forge.example/shop/cart"),
            ("./cart", "https://forge.example/shop/shop/cart"),
            (".././../other/cart", "https://forge.example/other/cart"),
        ] {
            assert_eq!(lock_url(declared, &shop()).unwrap().as_str(), expected, "{declared}");
        }
    }

    #[test]
    fn t9_hostile_urls_are_refused() {
        let long = format!("https://h/{}", "a".repeat(3000));
        for declared in [
            "",
            "-u./payload",
            "--upload-pack=touch x",
            "ext::sh -c touch% canary",
            "ext::sh",
            "fd::17",
            "foo::https://h/a",
            "https:///host",
            "https://",
            "https://h",
            "https://h/a%0ahost=evil",
            "https://h/a\nb",
            "https://h/a\r",
            "https://h/a b",
            "https://h/a?x=y",
            "https://h/a#b",
            "https://h\\@evil/a",
            "https://h/../../a",
            "https://user:secret@h/a",
            "https://token@h/a",
            "ssh://git:secret@h/a",
            "ssh://-oProxyCommand=canary/a",
            "ssh://-x@h/a",
            "-oProxyCommand=canary:a",
            "git@-oProxyCommand=canary:a",
            "h:-a",
            "[h:22]:a",
            "ftp://h/a",
            "file:///a/b",
            "/a/b",
            "a/b",
            "C:\\a",
            "https://h/\u{202e}a",
            "../../../evil.example/a",
            "../../../../x",
            "../../../../../../x",
            "../..",
            long.as_str(),
        ] {
            let refused = lock_url(declared, &shop());
            let error = refused.expect_err(declared);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            if !is_relative(declared) && declared != "https://h" {
                assert!(
                    fetch_url(declared, "https://forge.example/shop/shop").is_err()
                        || lock_url(declared, &shop()).is_err(),
                    "{declared}"
                );
            }
        }
    }

    #[test]
    fn t49_no_error_shows_credentials() {
        let shop = shop();
        for declared in [
            "https://h/a/b.git?token=S3CRET",
            "https://S3CRET@h/a/b%20c.git",
            "https://bob:S3CRET@h",
            "https://S3CRET@h",
            "https://bob:pa/S3CRET@h/a/b",
            "ftp://bob:S3CRET@h/x",
            "file://bob:S3CRET@h/x",
            "HTTPS://bob:S3CRET@h/a/b",
            "ext::https://bob:S3CRET@h/x",
            "bob:S3CRET@h:a/b",
            "//bob:S3CRET@h/a/b",
            "ssh://bob:S3CRET@h",
            "git://bob:S3CRET@h/a",
            "S3CRET::https://h/a@b",
            "../a.git?token=S3CRET",
            "../../../../bob:S3CRET@h/x",
            "https://bob:pa S3CRET@h/a/b",
            "-bob:S3CRET@h",
        ] {
            for refused in [lock_url(declared, &shop).map(drop), fetch_url(declared, "https://h.example/a").map(drop)] {
                if let Err(error) = refused {
                    let text = format!("{error} {error:?} {}", error.hint());
                    assert!(!text.contains("S3CRET@") && !text.contains("=S3CRET"), "{declared}: {text}");
                }
            }
            assert!(lock_url(declared, &shop).is_err(), "{declared}");
        }
        let base = "https://bob:S3CRET@h/a";
        let error = fetch_url("../../../x", base).unwrap_err().to_string();
        assert!(!error.contains("S3CRET"), "{error}");
    }

    #[test]
    fn fetching_uses_the_real_remote() {
        for (declared, remote, expected) in [
            ("../cart.git", "/srv/git/shop.git", "/srv/git/cart.git"),
            ("../cart.git", "/srv/git/shop.git/", "/srv/git/cart.git"),
            ("../cart.git", "git@h.example:shop/shop.git", "git@h.example:shop/cart.git"),
            ("../cart.git", "git@h.example:shop.git", "git@h.example:cart.git"),
            ("../cart.git", "ssh://git@h.example:22/shop/shop", "ssh://git@h.example:22/shop/cart.git"),
            ("../cart.git", "https://user@h.example/shop/shop", "https://user@h.example/shop/cart.git"),
            ("../../x/cart.git", "file:///srv/git/shop.git", "file:///srv/x/cart.git"),
            ("../cart.git", "ssh://git@[::1]:22/shop/shop", "ssh://git@[::1]:22/shop/cart.git"),
            ("https://h.example/a", "/srv/git/shop.git", "https://h.example/a"),
            ("git@h.example:a/b", "/srv/git/shop.git", "git@h.example:a/b"),
            ("git://h.example/a", "/srv/git/shop.git", "https://h.example/a"),
        ] {
            assert_eq!(fetch_url(declared, remote).unwrap(), expected, "{declared} {remote}");
        }
        for (declared, remote) in [
            ("../cart.git", "../shop.git"),
            ("../cart.git", "shop.git"),
            ("../cart.git", ""),
            ("../cart.git", "-x"),
            ("../../../../cart.git", "/srv/shop.git"),
            ("../../../evil/a", "https://h/shop/shop"),
            ("../../evil:a", "h.example:shop"),
            // After the join it would be the helper `git-remote-ext`.
            ("../:sh -c x", "ext:shop"),
            ("../:x", "ext:shop"),
            ("../cart::", "git@h.example:shop/shop"),
            ("/srv/git/cart.git", "/srv/git/shop.git"),
            ("file:///srv/git/cart.git", "/srv/git/shop.git"),
        ] {
            assert!(fetch_url(declared, remote).is_err(), "{declared} {remote}");
        }
    }
}
