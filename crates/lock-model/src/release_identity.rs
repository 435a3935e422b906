//! Identities of a release, a configuration and a suite: what is hashed, and how.
//!
//! Each is a SHA-256 over canonical JSON ([RFC 8785]); equal contents have equal identities on every machine.
//!
//! [RFC 8785]: https://www.rfc-editor.org/rfc/rfc8785

use std::collections::BTreeMap;

use serde_json::json;

use crate::{ConfigDigest, Digest, LockId, ReleaseId, SuiteDigest, TreePath, canonical_json, tagged_digest};

crate::words! {
    /// The mode of a file in a git tree, as git writes it.
    FileMode, "file mode" {
        /// A plain file.
        Plain = "100644",
        /// A file that can be executed.
        Executable = "100755",
    }
}

/// Digest of a configuration: over the map from each file's path to its mode and the digest of its bytes.
///
/// The map holds the declared inputs of a release: `orchestrator.yaml`, every file that it names, and the manifests that
/// lie in the superproject.
pub fn config_digest(files: &BTreeMap<TreePath, (FileMode, Digest)>) -> ConfigDigest {
    digest_of(files).into()
}

/// The release id of a configuration and a lock: over the line `orchestrator.release.v2` and both digests.
///
/// ```
/// use lock_model::{ConfigDigest, release_id};
/// let lock = "sha256:faa0e272113ea0460f931dac82b59d0e7bffc663e33a80d8fa512896fa7ef92e".parse()?;
/// let config: ConfigDigest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse()?;
/// assert_eq!(release_id(&config, &lock).id8(), "333d4d9e");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn release_id(config: &ConfigDigest, lock: &LockId) -> ReleaseId {
    let identity = json!({ "config": config, "lock": lock });
    tagged_digest("orchestrator.release.v2", &identity).expect("two strings have a canonical form").into()
}

/// The digest of a suite: over its kind, its definition before variables are filled in, the digests of its files, and
/// the locked digest of its image where it has one.
pub fn suite_digest(
    kind: &str,
    definition: &serde_json::Value,
    files: &BTreeMap<TreePath, Digest>,
    image: Option<&Digest>,
) -> SuiteDigest {
    let mut identity = json!({ "kind": kind, "definition": definition, "files": files });
    if let Some(image) = image {
        identity["image"] = json!(image);
    }
    digest_of(&identity).into()
}

fn digest_of<T: serde::Serialize>(value: &T) -> Digest {
    Digest::of(&canonical_json(value).expect("strings and JSON values have a canonical form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &[u8])]) -> BTreeMap<TreePath, Digest> {
        list.iter().map(|(path, bytes)| (TreePath::try_from(*path).unwrap(), Digest::of(bytes))).collect()
    }

    fn plain(list: &[(&str, &[u8])]) -> BTreeMap<TreePath, (FileMode, Digest)> {
        files(list).into_iter().map(|(path, digest)| (path, (FileMode::Plain, digest))).collect()
    }

    #[test]
    fn p13_a_readme_edit_makes_no_new_release_and_a_changed_file_does() {
        let lock = LockId::from(Digest::of(b"lock"));
        let before = config_digest(&plain(&[("orchestrator.yaml", b"a"), ("tests/smoke.yaml", b"b")]));
        let same = config_digest(&plain(&[("tests/smoke.yaml", b"b"), ("orchestrator.yaml", b"a")]));
        let changed = config_digest(&plain(&[("orchestrator.yaml", b"a"), ("tests/smoke.yaml", b"c")]));
        assert_eq!(release_id(&before, &lock), release_id(&same, &lock));
        assert_ne!(release_id(&before, &lock), release_id(&changed, &lock));
        assert_ne!(release_id(&before, &lock), release_id(&before, &LockId::from(Digest::of(b"other"))));
        let mut executable = plain(&[("orchestrator.yaml", b"a"), ("tests/smoke.yaml", b"b")]);
        for (mode, _) in executable.values_mut() {
            *mode = FileMode::Executable;
        }
        assert_ne!(release_id(&before, &lock), release_id(&config_digest(&executable), &lock));
    }

    #[test]
    fn identities_are_the_documented_bytes() {
        let mut inputs = plain(&[("orchestrator.yaml", b"a")]);
        inputs.insert(TreePath::try_from("tests/check").unwrap(), (FileMode::Executable, Digest::of(b"b")));
        let config = config_digest(&inputs);
        let (own, check) = (Digest::of(b"a"), Digest::of(b"b"));
        let text = format!(r#"{{"orchestrator.yaml":["100644","{own}"],"tests/check":["100755","{check}"]}}"#);
        assert_eq!(config.as_str(), Digest::of(text.as_bytes()).as_str());
        let lock = LockId::from(Digest::of(b"lock"));
        assert_eq!(config.as_str(), "sha256:6ea796fca03c1c5bc1c3f763644a4a1381f0f93a11e3c08eb63970dcf580f50a");
        let text = format!("orchestrator.release.v2\n{{\"config\":\"{config}\",\"lock\":\"{lock}\"}}");
        assert_eq!(release_id(&config, &lock).as_str(), Digest::of(text.as_bytes()).as_str());
    }

    #[test]
    fn a_suite_is_its_definition_files_and_image() {
        let definition = serde_json::json!({"command": ["./tests/system", "{url}"]});
        let one = suite_digest("command", &definition, &files(&[("tests/system", b"x")]), None);
        assert_eq!(one, suite_digest("command", &definition, &files(&[("tests/system", b"x")]), None));
        assert_ne!(one, suite_digest("command", &definition, &files(&[("tests/system", b"y")]), None));
        assert_ne!(one, suite_digest("http", &definition, &files(&[("tests/system", b"x")]), None));
        assert_ne!(
            one,
            suite_digest("command", &definition, &files(&[("tests/system", b"x")]), Some(&Digest::of(b"")))
        );
    }
}
