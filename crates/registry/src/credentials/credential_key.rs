//! The names under which a login for a repository may stand.

/// How Docker Hub's logins have been called since its first registry.
pub(crate) const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How images call Docker Hub.
const HUB: &str = "docker.io";

/// The repository that is asked, at the host that is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CredentialKey {
    pub(crate) host: String,
    pub(crate) path: String,
}

impl CredentialKey {
    /// `host` may have a port; `path` is the repository's path below it.
    pub(crate) fn new(host: &str, path: &str) -> Self {
        Self { host: canonical_host(host), path: path.to_owned() }
    }

    /// Every name that it has in files, the longest first: the repository, the folders above it, the host.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> {
        let whole = format!("{}/{}", self.host, self.path);
        let host_length = self.host.len();
        std::iter::successors(Some(whole), move |key| {
            let (above, _) = key.rsplit_once('/')?;
            (above.len() >= host_length).then(|| above.to_owned())
        })
    }

    /// What a helper program is asked for when nothing in the file spells the host otherwise.
    pub(crate) fn helper_key(&self) -> &str {
        if self.host == HUB { HUB_KEY } else { &self.host }
    }
}

/// Reads a key as docker and podman write them: `ghcr.io`, `https://ghcr.io/v2/`, `quay.io/team/app`.
pub(crate) fn canonical(key: &str) -> String {
    let key = key.trim();
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (rest, is_url) = bare.map_or((key, false), |rest| (rest, true));
    let mut rest = rest.trim_end_matches('/');
    if is_url {
        rest = rest.strip_suffix("/v1").or_else(|| rest.strip_suffix("/v2")).unwrap_or(rest);
    }
    match rest.split_once('/') {
        Some((host, path)) => format!("{}/{path}", canonical_host(host)),
        None => canonical_host(rest),
    }
}

fn canonical_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" | HUB => HUB.to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_the_repository_comes_before_its_host() {
        let names: Vec<String> = CredentialKey::new("Quay.io:8443", "team/shop/cart").names().collect();
        assert_eq!(
            names,
            ["quay.io:8443/team/shop/cart", "quay.io:8443/team/shop", "quay.io:8443/team", "quay.io:8443"]
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        /// However a file spells a name, the repository is found under one of its own names, and no other one is.
        #[test]
        fn b4_a_name_is_found_however_it_is_spelled(
            host in "[a-zA-Z0-9.-]{1,12}(:[0-9]{1,5})?",
            path in "[a-z0-9]{1,4}(/[a-z0-9]{3,4}){0,3}",
            scheme in "(https?://)?",
            end in "/{0,2}",
        ) {
            let key = CredentialKey::new(&host, &path);
            let names: Vec<String> = key.names().collect();
            for name in &names {
                proptest::prop_assert_eq!(&canonical(name), name);
                let spelled = canonical(&format!("{scheme}{name}{end}"));
                proptest::prop_assert!(names.contains(&spelled), "{}", spelled);
            }
            let spelled = canonical(&format!("{scheme}{host}{end}"));
            proptest::prop_assert_eq!(&spelled, &key.host);
            let longer = canonical(&format!("{scheme}{host}/{path}x"));
            proptest::prop_assert!(!names.contains(&longer), "{}", longer);
        }
    }

    #[test]
    fn b4_docker_hub_has_its_historic_key() {
        let key = CredentialKey::new("registry-1.docker.io", "library/redis");
        assert_eq!(key.helper_key(), HUB_KEY);
        for name in [HUB_KEY, "index.docker.io", "docker.io", "https://registry-1.docker.io/v2/"] {
            assert_eq!(canonical(name), key.host);
        }
    }

    #[test]
    fn b4_keys_are_read_as_docker_and_podman_write_them() {
        for (key, meant) in [
            ("ghcr.io", "ghcr.io"),
            ("https://GHCR.io/", "ghcr.io"),
            ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000"),
            ("quay.io/team/app", "quay.io/team/app"),
            // Without a scheme it is a repository, even with such a name.
            ("quay.io/team/v2", "quay.io/team/v2"),
            ("docker.io/shop/cart", "docker.io/shop/cart"),
        ] {
            assert_eq!(canonical(key), meant);
        }
    }
}
