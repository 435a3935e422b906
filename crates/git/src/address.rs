/// How git reaches an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// By http or https.
    Web,
    /// By ssh: a URL, or `[USER@]HOST:PATH`.
    Ssh,
    /// A folder of this machine.
    Local,
    /// By a program: `NAME::ADDRESS`, or a scheme that is none of these.
    Helper,
}

/// Reads an address as git's `connect.c` and `transport.c` do.
pub(crate) fn address_of(address: &str) -> Address {
    let name_character = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if address.split_once("::").is_some_and(|(name, _)| !name.is_empty() && name.chars().all(name_character)) {
        return Address::Helper;
    }
    match address.split_once("://") {
        Some(("https" | "http", _)) => Address::Web,
        Some(("ssh" | "git+ssh" | "ssh+git", _)) => Address::Ssh,
        Some(("file", _)) => Address::Local,
        Some((scheme, _)) if scheme.chars().all(name_character) => Address::Helper,
        Some(_) | None => match (address.find(':'), address.find('/')) {
            (Some(colon), Some(slash)) if slash < colon => Address::Local,
            (Some(_), _) => Address::Ssh,
            (None, _) => Address::Local,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t9_addresses_are_read_as_git_reads_them() {
        for (address, expected) in [
            ("https://h/a", Address::Web),
            ("http://h/a", Address::Web),
            ("ssh://git@h:22/a", Address::Ssh),
            ("git@h:a/b", Address::Ssh),
            ("[git@h:22]:a", Address::Ssh),
            ("git@[::1]:a", Address::Ssh),
            ("/srv/a", Address::Local),
            ("../a", Address::Local),
            ("a", Address::Local),
            ("./a:b", Address::Local),
            ("file:///srv/a", Address::Local),
            ("ext::sh -c x", Address::Helper),
            ("fd::17", Address::Helper),
            ("https::https://h/a", Address::Helper),
            ("git://h/a", Address::Helper),
            ("HTTPS://h/a", Address::Helper),
            ("codecommit://repo", Address::Helper),
        ] {
            assert_eq!(address_of(address), expected, "{address}");
        }
    }
}
