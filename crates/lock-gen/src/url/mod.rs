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
    let bracketless;
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
        if path.starts_with('-') {
            return Err(hostile());
        }
        bracketless = without_brackets(authority);
        let authority = Authority::parse(&bracketless).ok_or_else(hostile)?;
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

/// The authority of the scp form, in which git takes a port only in brackets: `[USER@HOST:PORT]` and `USER@[HOST:PORT]` are
/// `USER@HOST:PORT`. The brackets of an IPv6 address are its own.
fn without_brackets(authority: &str) -> Cow<'_, str> {
    let opens =
        authority.find('[').filter(|at| *at == 0 || authority.find('@').is_some_and(|account| account + 1 == *at));
    let Some((account, rest)) = opens.map(|at| authority.split_at(at)) else { return authority.into() };
    let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner.filter(|inner| inner.parse::<Ipv6Addr>().is_err() && (account.is_empty() || !inner.contains('@'))) {
        Some(inner) => format!("{account}{inner}").into(),
        None => authority.into(),
    }
}

/// `[USER@]HOST` (or `[[USER@]HOST:PORT]`, `[USER@][HOST:PORT]`, `[USER@][IPV6]`) and path of the scp form; nothing where the
/// brackets do not close before a colon.
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
mod tests;
