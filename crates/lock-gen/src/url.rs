//! What a submodule's URL means: for the lock (always a web address) and for fetching (what git would use).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use lock_model::RepositoryUrl;
use lock_model::escaping::is_hidden;

/// Why a URL of `.gitmodules` cannot be used. The text is read after the URL's subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// A password in the URL: it is in everybody's clone already.
    #[error("has a URL with a password in it")]
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
                "write `https://HOST/PATH` without query, spaces or control characters; of the `%` escapes only those of \
                 marks in names, such as `%20`"
            }
            Self::ClimbsTooFar { .. } => "use fewer `../`, or the full `https://HOST/PATH`",
            Self::RelativeBase { .. } => "give the superproject's remote an absolute folder or a URL",
        }
    }
}

/// The web address of a submodule, as the lock writes it.
///
/// A relative URL is resolved against the superproject's address as git does. Ssh and `git://` addresses become
/// `https://HOST/PATH`, without user and port; those of Azure DevOps the address of the same repository on the web. A host
/// is written in small letters, and without the port that its scheme has anyway.
///
/// ```
/// let shop = "https://forge.example/shop/shop".parse()?;
/// assert_eq!(lock_gen::lock_url("../cart.git", &shop)?.as_str(), "https://forge.example/shop/cart.git");
/// assert_eq!(lock_gen::lock_url("git@host.example:shop/cart.git", &shop)?.as_str(), "https://host.example/shop/cart.git");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lock_url(declared: &str, repository: &RepositoryUrl) -> Result<RepositoryUrl, UrlError> {
    check_characters(declared)?;
    if !is_relative(declared) {
        return web_address(declared);
    }
    let base = repository.as_str();
    let joined = relative_url(base, declared);
    match joined.filter(|joined| origin(joined) == origin(base)) {
        Some(joined) => web_address(&joined),
        None => Err(UrlError::ClimbsTooFar { url: shown(declared), base: base.to_owned() }),
    }
}

/// The web address of a repository that git is led to, without the user and password in it.
pub fn source_url(address: &str) -> Result<RepositoryUrl, UrlError> {
    // A password may hold anything; what follows it may not.
    let bare = address.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_once('/')?;
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{host}/{path}"))
    });
    let bare = bare.as_deref().unwrap_or(address);
    check_characters(bare)?;
    web_address(bare)
}

/// Whether a URL for https names a user, which may be a token: the lock leaves it out.
pub(crate) fn names_user(declared: &str) -> bool {
    let rest = declared.strip_prefix("https://").or_else(|| declared.strip_prefix("http://"));
    rest.is_some_and(|rest| rest.split('/').next().is_some_and(|authority| authority.contains('@')))
}

/// What git fetches a submodule from: the declared URL, or a relative one resolved against the real remote of the
/// superproject's clone, which may be a folder.
pub fn fetch_url(declared_url: &str, superproject_remote: &str) -> Result<String, UrlError> {
    check_characters(declared_url)?;
    if !is_relative(declared_url) {
        let address = web_address(declared_url)?;
        // Unencrypted and unauthenticated: the same host speaks https, as the lock says.
        return Ok(if declared_url.starts_with("git://") { address.to_string() } else { declared_url.to_owned() });
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

/// What no part of a URL may hold: what a terminal acts on, what a shell or option parser takes.
fn check_characters(url: &str) -> Result<(), UrlError> {
    let bad = |c: char| lock_model::escaping::is_hidden(c) || c.is_whitespace() || matches!(c, '\\' | '?' | '#' | ';');
    if (is_relative(url) && url.contains("::"))
        || url.is_empty()
        || url.starts_with('-')
        || url.len() > 2048
        || url.contains(bad)
        || plain_escapes(url).is_none()
    {
        return Err(UrlError::Hostile { url: shown(url) });
    }
    Ok(())
}

/// An absolute URL as `https://HOST/PATH` (or `http://`).
fn web_address(url: &str) -> Result<RepositoryUrl, UrlError> {
    let hostile = || UrlError::Hostile { url: shown(url) };
    let helper = |name: &str| UrlError::Scheme { url: shown(url), scheme: shown(&format!("{name}::")) };
    let (scheme, authority, path) = if let Some((scheme, rest)) = url.split_once("://") {
        // `ext::sh -c …://` and the like: the helper's name comes before the scheme.
        if let Some((name, _)) = url.split_once("::").filter(|(name, _)| !name.contains("://")) {
            return Err(helper(name));
        }
        let (authority, path) = rest.split_once('/').ok_or_else(hostile)?;
        match scheme {
            "https" | "http" => (scheme, Authority::parse(authority).ok_or_else(hostile)?, path),
            "ssh" | "git+ssh" | "ssh+git" | "git" => {
                let authority = Authority::parse(authority).ok_or_else(hostile)?;
                ("https", Authority { port: None, ..authority }, path)
            }
            "file" => return Err(UrlError::Local { url: shown(url) }),
            _ => return Err(UrlError::Scheme { url: shown(url), scheme: shown(scheme) }),
        }
    } else {
        if names_helper(url) {
            return Err(helper(url.split_once("::").map_or(url, |(name, _)| name)));
        }
        if is_local(url) {
            return Err(UrlError::Local { url: shown(url) });
        }
        let (authority, path) = split_scp(url).ok_or_else(hostile)?;
        // Git keeps the account and the port in the brackets of `[USER@HOST:PORT]`; those of an IPv6 address are its own.
        let inner = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let inner = inner.filter(|inner| inner.parse::<Ipv6Addr>().is_err()).unwrap_or(authority);
        if path.starts_with('-') {
            return Err(hostile());
        }
        let authority = Authority::parse(inner).ok_or_else(hostile)?;
        ("https", Authority { port: None, ..authority }, path.strip_prefix('/').unwrap_or(path))
    };
    if authority.user.is_some_and(|user| user.contains(':')) {
        return Err(UrlError::Credentials);
    }
    let host = authority.host.to_ascii_lowercase();
    let default_port = if scheme == "https" { 443 } else { 80 };
    let port = authority.port.filter(|port| *port != default_port).map(|port| format!(":{port}")).unwrap_or_default();
    let path = plain_escapes(path).ok_or_else(hostile)?;
    let address = azure_address(&host, &path).unwrap_or_else(|| format!("{scheme}://{host}{port}/{path}"));
    RepositoryUrl::try_from(address).map_err(|_| hostile())
}

/// `[USER@]HOST[:PORT]`, where an IPv6 address stands in brackets.
struct Authority<'a> {
    user: Option<&'a str>,
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
        let (host, port) = if let Some((address, port)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            (Cow::Owned(format!("[{}]", address.parse::<Ipv6Addr>().ok()?)), port)
        } else {
            let (host, port) = rest.find(':').map_or((rest, ""), |colon| rest.split_at(colon));
            (Cow::Borrowed(host), port)
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => {
                Some(digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?)
            }
            None if port.is_empty() => None,
            None => return None,
        };
        let is_option = |text: &str| text.starts_with('-');
        let odd_user = user.is_some_and(|user| user.is_empty() || is_option(user) || user.contains('%'));
        (!host.is_empty() && !is_option(&host) && !odd_user).then_some(Self { user, host, port })
    }
}

/// `[USER@]HOST` (or `[[USER@]HOST:PORT]`, or `[USER@][IPV6]`) and path of the scp form; nothing where the brackets do not
/// close before a colon.
fn split_scp(url: &str) -> Option<(&str, &str)> {
    let before_bracket = url.split('[').next().unwrap_or_default();
    let in_brackets =
        before_bracket.is_empty() || (before_bracket.ends_with('@') && !before_bracket.contains([':', '/']));
    if !in_brackets || before_bracket.len() == url.len() {
        return url.split_once(':');
    }
    let close = url.find("]:")?;
    let (authority, path) = url.split_at(close + 1);
    Some((authority, path.get(1..)?))
}

/// A path with its `%` escapes in one spelling: letters of other scripts as they are, marks as a [`RepositoryUrl`]
/// has them. Nothing where an escape hides what would be refused if it were written.
fn plain_escapes(path: &str) -> Option<String> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, escaped)) = rest.split_once('%') {
        plain.push_str(before);
        let digits = escaped.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let first = u8::from_str_radix(digits, 16).ok()?;
        if first.is_ascii() {
            let escape = format!("%{}", digits.to_ascii_uppercase());
            RepositoryUrl::try_from(format!("https://h/{escape}")).ok()?;
            plain.push_str(&escape);
            rest = escaped.get(2..)?;
            continue;
        }
        let length = first.leading_ones() as usize;
        let whole = format!("%{escaped}");
        let bytes = (0..length).map(|at| {
            let escape = whole.get(3 * at..3 * at + 3)?.strip_prefix('%')?;
            u8::from_str_radix(escape, 16).ok()
        });
        let character = String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()?;
        if character.chars().count() != 1 || character.contains(|c: char| is_hidden(c) || c.is_whitespace()) {
            return None;
        }
        plain.push_str(&character);
        rest = escaped.get(3 * length - 1..)?;
    }
    plain.push_str(rest);
    Some(plain)
}

/// The web address of a repository that Azure DevOps names by ssh: `v3/ORGANISATION/PROJECT/REPOSITORY`.
fn azure_address(host: &str, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    match (host, parts.as_slice()) {
        ("ssh.dev.azure.com", ["v3", organisation, project, repository]) => {
            Some(format!("https://dev.azure.com/{organisation}/{project}/_git/{repository}"))
        }
        ("vs-ssh.visualstudio.com", ["v3", organisation, project, repository]) => {
            Some(format!("https://{organisation}.visualstudio.com/{project}/_git/{repository}"))
        }
        _ => None,
    }
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
    match url.split_once("://") {
        Some((scheme, rest)) => url.get(..scheme.len() + 3 + rest.find('/').unwrap_or(rest.len())).unwrap_or(url),
        None => split_scp(url).map_or(url, |(authority, _)| authority),
    }
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
            ("https://H.Example:443/A/b", "https://h.example/A/b"),
            ("http://H.example:80/a/b", "http://h.example/a/b"),
            ("https://h.example:80/a/b", "https://h.example:80/a/b"),
            ("https://token@h.example/a/b", "https://h.example/a/b"),
            ("https://shop@dev.azure.com/shop/My%20Shop/_git/cart", "https://dev.azure.com/shop/My%20Shop/_git/cart"),
            ("git@ssh.dev.azure.com:v3/shop/My%20Shop/cart", "https://dev.azure.com/shop/My%20Shop/_git/cart"),
            ("ssh://git@ssh.dev.azure.com:22/v3/shop/P/cart", "https://dev.azure.com/shop/P/_git/cart"),
            ("shop@vs-ssh.visualstudio.com:v3/shop/P/cart", "https://shop.visualstudio.com/P/_git/cart"),
            ("https://h.example/R%26D/C%2b%2b/caf%C3%A9", "https://h.example/R%26D/C%2B%2B/caf\u{e9}"),
            ("[git@h.example:2222]:a/b.git", "https://h.example/a/b.git"),
            ("[h.example:2222]:/a/b.git", "https://h.example/a/b.git"),
            ("[git@h.example]:a", "https://h.example/a"),
            ("[2001:DB8::1]:a/b", "https://[2001:db8::1]/a/b"),
            ("git@[::1]:a/b", "https://[::1]/a/b"),
            ("ssh://git@[::1]:22/a/b", "https://[::1]/a/b"),
            ("https://[0:0::1]:8443/a", "https://[::1]:8443/a"),
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
            "https://h/a%",
            "https://h/a%2",
            "https://h/%zz",
            "https://h/%2e%2e/a",
            "https://h/%41",
            "https://h/a%2fb",
            "https://h/a%5cb",
            "https://h/a%2520b",
            // Decoded, git would take `evil.example` for the host.
            "ssh://git@h.example/%40%5Bevil.example%5D:22/a",
            "ssh://git@h.example/@[evil.example]:22/a",
            "git@h.example:a@[evil.example]:b",
            "git@h@[evil.example]:b",
            "[git@[::1]:22]:a",
            "git@[h:22]:a",
            "https://h/%e2%80%ae",
            "https://h/%c3%28",
            "https://h/%c3",
            "https://h/%ff",
            "https://h%20/a",
            "https://us%0aer@h/a",
            "https://@h/a",
            "https://h:/a",
            "https://h:+1/a",
            "https://h:65536/a",
            "https://h:1:2/a",
            "https://[::1/a",
            "https://[::g]/a",
            "https://[h]/a",
            "ssh://git:secret@h/a",
            "ssh://-oProxyCommand=canary/a",
            "ssh://-x@h/a",
            "-oProxyCommand=canary:a",
            "git@-oProxyCommand=canary:a",
            "h:-a",
            "[h:22:a",
            "[h:22]a",
            "[]:a",
            "[-oProxyCommand=canary]:a",
            "[git@h:22]:-a",
            "a@[b@[::1]]:c",
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
            "https://bob:S3CRET@h/a/b%20c.git",
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
    fn t8_where_git_is_led_is_compared_without_its_credentials() {
        for (address, expected) in [
            ("https://x-access-token:gh%2F%0a@github.com/shop/cart", Some("https://github.com/shop/cart")),
            ("https://mirror.example:8443/github/shop/cart", Some("https://mirror.example:8443/github/shop/cart")),
            ("git@github.com:shop/cart", Some("https://github.com/shop/cart")),
            ("ssh://git:x@github.com/shop/cart", Some("https://github.com/shop/cart")),
            ("file:///srv/cart", None),
            ("ext::sh -c canary", None),
        ] {
            let source = source_url(address);
            assert_eq!(source.ok().as_ref().map(RepositoryUrl::as_str), expected, "{address}");
        }
    }

    #[test]
    fn fetching_uses_the_real_remote() {
        for (declared, remote, expected) in [
            ("../cart.git", "/srv/git/shop.git", "/srv/git/cart.git"),
            ("../cart.git", "/srv/git/shop.git/", "/srv/git/cart.git"),
            ("../cart.git", "git@h.example:shop/shop.git", "git@h.example:shop/cart.git"),
            ("../cart.git", "git@h.example:shop.git", "git@h.example:cart.git"),
            ("../cart.git", "ssh://git@h.example:22/shop/shop", "ssh://git@h.example:22/shop/cart.git"),
            ("../cart.git", "[git@h.example:2222]:shop/shop.git", "[git@h.example:2222]:shop/cart.git"),
            ("../cart.git", "[git@h.example:2222]:shop.git", "[git@h.example:2222]:cart.git"),
            ("../cart.git", "git@[::1]:shop/shop.git", "git@[::1]:shop/cart.git"),
            (
                "../cart",
                "https://shop@dev.azure.com/shop/My%20Shop/_git/shop",
                "https://shop@dev.azure.com/shop/My%20Shop/_git/cart",
            ),
            ("../cart", "git@ssh.dev.azure.com:v3/shop/P/shop", "git@ssh.dev.azure.com:v3/shop/P/cart"),
            ("https://me@h.example/a", "/srv/git/shop.git", "https://me@h.example/a"),
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
            ("../../../x", "[git@h.example:2222]:shop/shop"),
            ("../../x", "[git@h.example:2222]:shop"),
            ("../../x", "git@[::1]:shop"),
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
