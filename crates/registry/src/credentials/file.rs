//! The files of docker and podman.
//!
//! ```json
//! { "auths": { "ghcr.io": { "auth": "BASE64 OF USER:PASSWORD" }, "quay.io/team": { "identitytoken": "…" } },
//!   "credHelpers": { "123.dkr.ecr.eu-west-1.amazonaws.com": "ecr-login" },
//!   "credsStore": "secretservice" }
//! ```

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::credential_key::canonical;
use super::error::{CredentialError, CredentialProblem};
use super::helper::HelperName;
use super::login::Login;
use super::work_tree::is_inside;

const SIZE_LIMIT: u64 = 1 << 20;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct AuthFile {
    pub(crate) path: PathBuf,
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) helpers: BTreeMap<String, NamedHelper>,
    pub(crate) store: Option<HelperName>,
}

/// What a file says about one host or repository.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As the file spells it: what the store was told when the login was put there.
    pub(crate) key: String,
    pub(crate) content: EntryContent,
}

#[derive(Debug)]
pub(crate) enum EntryContent {
    Login(Login),
    /// A sign that the store has the login.
    Empty,
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct NamedHelper {
    pub(crate) key: String,
    /// Absent where the name is no plain word, so that it could name a program elsewhere.
    pub(crate) helper: Option<HelperName>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Lenient<WireEntry>>>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, Option<Lenient<String>>>>,
    #[serde(default)]
    creds_store: Option<String>,
}

/// One entry of many: one that is of another shape makes the others no worse.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Known(T),
    Other(IgnoredAny),
}

#[derive(Default, Deserialize)]
struct WireEntry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

impl AuthFile {
    /// Reads a file; `None` when there is none.
    pub(crate) fn read(path: &Path, work_tree: Option<&Path>) -> Result<Option<Self>, CredentialError> {
        let failed = |problem| CredentialError::new(path, [problem]);
        // Through all links: a link in the checkout to a file elsewhere is harmless, the other way round is not.
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(failed(CredentialProblem::Unreadable(error))),
        };
        if let Some(work_tree) = work_tree
            && (is_inside(&real, work_tree) || is_inside(path, work_tree))
        {
            return Err(failed(CredentialProblem::InsideWorkTree { work_tree: work_tree.to_owned() }));
        }
        let bytes = read_capped(&real).map_err(|error| failed(CredentialProblem::Unreadable(error)))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > SIZE_LIMIT) {
            return Err(failed(CredentialProblem::TooLarge { limit: SIZE_LIMIT }));
        }
        Self::parse(path, &bytes).map(Some)
    }

    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CredentialError> {
        // What `touch` leaves, and docker takes for `{}`.
        let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            CredentialError::new(path, [CredentialProblem::NotReadable { line, column }])
        })?;
        // The store is for every host, a helper for its own: only the first is a fault of the whole file.
        let store = match wire.creds_store.filter(|name| !name.is_empty()) {
            Some(name) => Some(HelperName::parse(&name).ok_or_else(|| {
                CredentialError::new(path, [CredentialProblem::HelperName { setting: "credsStore".to_owned(), name }])
            })?),
            None => None,
        };
        let mut helpers = BTreeMap::new();
        for (key, name) in wire.cred_helpers.unwrap_or_default() {
            let helper = match name {
                // As docker takes it: no helper for this host.
                None => continue,
                Some(Lenient::Known(name)) if name.is_empty() => continue,
                Some(Lenient::Known(name)) => HelperName::parse(&name),
                Some(Lenient::Other(_)) => None,
            };
            helpers.insert(canonical(&key), NamedHelper { key, helper });
        }
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for (key, entry) in wire.auths.unwrap_or_default() {
            let content = match entry {
                None => EntryContent::Empty,
                Some(Lenient::Known(entry)) => entry.content(),
                Some(Lenient::Other(_)) => EntryContent::Unreadable,
            };
            let name = canonical(&key);
            // One name in two spellings: the one that holds a login.
            let known = entries.get(&name).is_some_and(|known| matches!(known.content, EntryContent::Login(_)));
            if !known {
                entries.insert(name, Entry { key, content });
            }
        }
        Ok(Self { path: path.to_owned(), entries, helpers, store })
    }
}

impl WireEntry {
    fn content(self) -> EntryContent {
        let present = |secret: Option<SecretString>| secret.filter(|secret| !secret.expose_secret().is_empty());
        if let Some(token) = present(self.identitytoken) {
            return EntryContent::Login(Login::Identity(token));
        }
        if let Some(token) = present(self.registrytoken) {
            return EntryContent::Login(Login::Registry(token));
        }
        if let Some(auth) = present(self.auth) {
            return decode(&auth).map_or(EntryContent::Unreadable, EntryContent::Login);
        }
        match (self.username.filter(|user| !user.is_empty()), present(self.password)) {
            (Some(user), Some(password)) => EntryContent::Login(Login::Password { user, password }),
            _ => EntryContent::Empty,
        }
    }
}

/// Base64 of `user:password`, which some programs fill up with zero bytes.
fn decode(auth: &SecretString) -> Option<Login> {
    let bytes = Zeroizing::new(STANDARD.decode(auth.expose_secret().trim()).ok()?);
    let (user, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    let password = password.trim_matches('\0');
    (!user.is_empty()).then(|| Login::password(user, password))
}

fn read_capped(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // A pipe would be waited for.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path)?.take(SIZE_LIMIT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AuthFile, CredentialError> {
        AuthFile::parse(Path::new("/home/me/config.json"), text.as_bytes())
    }

    #[test]
    fn b3_every_kind_of_entry_is_read() {
        let file = parse(
            r#"{"auths":{
                "https://ghcr.io/v2/":{"auth":"bWU6czpjcmV0"},
                "a.example":{"auth":"bWU6c2VjcmV0AAA="},
                "b.example":{"username":"me","password":"secret"},
                "c.example":{"auth":"bWU6", "identitytoken":"secret"},
                "d.example":{"registrytoken":"secret"},
                "e.example":{},
                "f.example":null,
                "g.example":{"auth":"no base64!"},
                "h.example":{"auth":"bm8gY29sb24="}
            },"HttpHeaders":{"User-Agent":"x"}}"#,
        )
        .unwrap();
        let shown: Vec<String> = file
            .entries
            .iter()
            .map(|(key, entry)| match &entry.content {
                EntryContent::Login(Login::Password { user, password }) => {
                    format!("{key} {user}:{}", password.expose_secret())
                }
                EntryContent::Login(Login::Identity(token)) => format!("{key} identity {}", token.expose_secret()),
                EntryContent::Login(Login::Registry(token)) => format!("{key} registry {}", token.expose_secret()),
                EntryContent::Empty => format!("{key} empty"),
                EntryContent::Unreadable => format!("{key} unreadable"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "a.example me:secret",
                "b.example me:secret",
                "c.example identity secret",
                "d.example registry secret",
                "e.example empty",
                "f.example empty",
                "g.example unreadable",
                "ghcr.io me:s:cret",
                "h.example unreadable",
            ]
        );
        assert!(!format!("{file:?}").contains("secret"), "{file:?}");
    }

    #[test]
    fn t22_helper_names_with_a_path_are_refused() {
        let helpers = r#""credHelpers":{"a":"x/y","b":"good-1.2_3","c":"","d":"$(id)","e":null,"f":7}"#;
        let file = parse(&format!("{{{helpers}}}")).unwrap();
        let named: Vec<(&str, bool)> =
            file.helpers.iter().map(|(key, named)| (key.as_str(), named.helper.is_some())).collect();
        assert_eq!(named, [("a", false), ("b", true), ("d", false), ("f", false)]);

        let errors = parse(&format!(r#"{{"credsStore":"../../evil",{helpers}}}"#)).unwrap_err();
        assert_eq!(errors.problems().len(), 1);
        let first = "`/home/me/config.json` `credsStore` names the credential helper `../../evil`: only letters, digits, `.`, `_` and `-` may be in it";
        assert!(errors.to_string().starts_with(first), "{errors}");
    }

    #[test]
    fn b4_an_entry_of_another_shape_leaves_the_others_as_they_are() {
        let file =
            parse(r#"{"auths":{"a":{"auth":{"canary":1}},"b":"canary","c":["canary"],"d":{"auth":"bWU6c2VjcmV0"}}}"#)
                .unwrap();
        let unreadable = |key: &str| matches!(file.entries[key].content, EntryContent::Unreadable);
        assert!(unreadable("a") && unreadable("b") && unreadable("c"));
        assert!(matches!(file.entries["d"].content, EntryContent::Login(_)));
        assert!(!format!("{file:?}").contains("canary"));
        for empty in ["", " \n\t", "{}"] {
            assert!(parse(empty).unwrap().entries.is_empty(), "{empty:?}");
        }
    }

    #[test]
    fn t22_an_unreadable_file_is_located_and_not_quoted() {
        for text in [r#"{"auths":"canary"}"#, r#"{"auths": canary}"#, r#"{"credsStore":["canary"]}"#] {
            let errors = parse(text).unwrap_err();
            let shown = format!("{errors} {errors:?}");
            assert!(shown.contains("line 1, column ") && !shown.contains("canary"), "{shown}");
        }
    }
}
