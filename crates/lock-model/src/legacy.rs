//! Locks of the pipeline before this one: JSON that names tags and has no digests.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Deserialize;

use crate::json::{UniqueMap, locate, parse, text_of};
use crate::parse_error::{ParseError, ParseErrorKind};
use crate::problem::{Position, Problem};
use crate::{CommitId, Digest, ImageRepository, OneLine, Tag, TreePath};

/// The largest such lock has some kilobytes.
const MAX_BYTES: usize = 1 << 20;
/// How many digits of its commit a tag ends with there.
const TAG_DIGITS: usize = 7;

/// A lock of the pipeline before this one: JSON with tags and without digests, so it proves nothing about what runs.
///
/// ```
/// let text = r#"{
///   "metadata": { "commit": "", "generated_at": "2026-01-05T09:00:00Z", "generator": "locks@v1", "source_branch": "HEAD" },
///   "services": {
///     "cart": {
///       "submodule_path": "services/cart",
///       "git_sha": "1111111111111111111111111111111111111111",
///       "image": { "repository": "ghcr.io/shop/cart", "tag": "main-1111111" }
///     }
///   }
/// }"#;
/// let lock = lock_model::LegacyLock::parse(text.as_bytes(), "lock-pr-7.yml")?;
/// assert_eq!(lock.services["services/cart".try_into()?].tag.as_str(), "main-1111111");
/// // The tag of another commit, as a hand edit leaves it.
/// assert!(lock_model::LegacyLock::parse(text.replace("main-1111111", "main-2222222").as_bytes(), "lock.yml").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacyLock {
    /// The commit that it says it was made from: often a temporary merge commit that no branch has. Foreign text.
    pub commit: String,
    /// When it says that it was made. Foreign text.
    pub generated_at: String,
    /// What it pins, by the path of the submodule.
    pub services: BTreeMap<TreePath, LegacyService>,
}

/// One service of a legacy lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LegacyService {
    /// What the lock calls it.
    pub name: OneLine,
    /// The commit of the submodule.
    pub commit: CommitId,
    /// The image's repository.
    pub repository: ImageRepository,
    /// The image's tag; it holds the first digits of the commit.
    pub tag: Tag,
    /// The digest; absent where the lock was made by the pipeline itself.
    pub digest: Option<Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLock {
    metadata: WireMetadata,
    services: UniqueMap<WireService>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are asked for, so that something else is not taken for a lock")]
struct WireMetadata {
    commit: String,
    generated_at: String,
    generator: String,
    source_branch: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireService {
    git_sha: String,
    image: WireImage,
    #[serde(rename = "submodule_path")]
    path: String,
    #[serde(default, rename = "notes")]
    _notes: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireImage {
    repository: String,
    tag: String,
    #[serde(default)]
    digest: Option<String>,
}

impl LegacyLock {
    /// Reads such a lock, as JSON whatever its file is called: broken JSON can be YAML that says something else.
    ///
    /// Every value is checked, and every problem is in the error. A tag must hold the first seven digits of its commit:
    /// one that does not was edited by hand.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self, ParseError> {
        let text = text_of(bytes, name, MAX_BYTES)?;
        let WireLock { metadata, services } = parse(text, name)?;
        let mut problems = Problems { text, list: Vec::new() };
        let mut read: BTreeMap<TreePath, LegacyService> = BTreeMap::new();
        for (key, WireService { git_sha, image, path, _notes }) in services.0 {
            let at = |rest: &[&str]| -> Vec<String> {
                ["services", &key].iter().chain(rest).map(|&key| key.to_owned()).collect()
            };
            let name = problems.check(at(&[]), OneLine::try_from(key.as_str()));
            let path = problems.check(at(&["submodule_path"]), TreePath::try_from(path.as_str()));
            let commit = problems.check(at(&["git_sha"]), CommitId::try_from(git_sha.as_str()));
            let repository =
                problems.check(at(&["image", "repository"]), ImageRepository::try_from(image.repository.as_str()));
            let tag = problems.check(at(&["image", "tag"]), Tag::try_from(image.tag.as_str()));
            let digest =
                image.digest.map(|digest| problems.check(at(&["image", "digest"]), Digest::try_from(digest.as_str())));
            if let (Some(commit), Some(tag)) = (&commit, &tag)
                && !tag.as_str().contains(commit.short(TAG_DIGITS))
            {
                let message = format!("`{tag}` does not name its commit, {}: it was edited by hand", commit.short(12));
                problems.add(at(&["image", "tag"]), &message);
            }
            if let Some(other) = path.as_ref().and_then(|path| read.get(path)) {
                let message = format!("`{}` has this path as well", other.name);
                problems.add(at(&["submodule_path"]), &message);
            }
            if let (Some(name), Some(path), Some(commit), Some(repository), Some(tag)) =
                (name, path, commit, repository, tag)
            {
                read.insert(path, LegacyService { name, commit, repository, tag, digest: digest.flatten() });
            }
        }
        if read.is_empty() && problems.list.is_empty() {
            problems.add(vec!["services".to_owned()], "there is no service to take over");
        }
        if problems.list.is_empty() {
            let WireMetadata { commit, generated_at, .. } = metadata;
            return Ok(Self { commit, generated_at, services: read });
        }
        Err(ParseError { file: name.to_owned(), kind: ParseErrorKind::Invalid, problems: problems.list, hint: None })
    }
}

/// What is wrong, with places.
struct Problems<'a> {
    text: &'a str,
    list: Vec<Problem>,
}

impl Problems<'_> {
    fn check<T, E: Display>(&mut self, keys: Vec<String>, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.add(keys, &error.to_string())).ok()
    }

    fn add(&mut self, keys: Vec<String>, message: &str) {
        let at = locate(self.text, &keys).map(|offset| Position::of(self.text, offset));
        self.list.push(Problem::new(self.text, at, keys, message));
    }
}
