//! The shop at the stops of its way, each made once for all tests that run at the same time; every test gets a copy.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use lock_model::Digest;
use serde_json::Value;

use crate::shop::Shop;

/// A copy of a shop at a stop. It keeps the original alive, whose objects it shares.
#[derive(Debug)]
pub(crate) struct AtStop {
    shop: Shop,
    _original: Arc<Original>,
}

impl Deref for AtStop {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.shop
    }
}

/// A shop that nobody works in.
#[derive(Debug)]
struct Original {
    shop: Shop,
    _before: Option<Arc<Self>>,
}

/// One stop: kept as long as a test holds a copy, so that nothing is left behind when the last one ends.
type Stop = Mutex<Weak<Original>>;

static LOCKED: Stop = Mutex::new(Weak::new());
static PROVEN: Stop = Mutex::new(Weak::new());
static RELEASED: Stop = Mutex::new(Weak::new());

/// Pull request 1, from `dev` to `staging`, is locked and tested, and waits to be merged.
pub(crate) fn locked() -> AtStop {
    at(&locked_original())
}

/// Pull request 1 is merged, deployed to staging and proven there; pull request 2, the promotion, is open.
pub(crate) fn proven() -> AtStop {
    at(&proven_original())
}

/// Pull request 2 is approved by four and merged; the first release is out.
pub(crate) fn released() -> AtStop {
    at(&released_original())
}

fn locked_original() -> Arc<Original> {
    original(&LOCKED, || {
        let shop = Shop::new();
        assert_eq!(shop.open(), 1);
        shop.check(1);
        Original { shop, _before: None }
    })
}

fn proven_original() -> Arc<Original> {
    original(&PROVEN, || {
        let before = locked_original();
        let shop = before.shop.copy();
        shop.ok("--as dana forge pr merge 1");
        shop.ok("run staging");
        Original { shop, _before: Some(before) }
    })
}

fn released_original() -> Arc<Original> {
    original(&RELEASED, || {
        let before = proven_original();
        let shop = before.shop.copy();
        shop.approve_and_merge(2);
        shop.ok("run production");
        Original { shop, _before: Some(before) }
    })
}

fn original(stop: &Stop, make: impl FnOnce() -> Original) -> Arc<Original> {
    // Whoever could not make it has failed already; the next test tries again.
    let mut kept = stop.lock().unwrap_or_else(PoisonError::into_inner);
    kept.upgrade().unwrap_or_else(|| {
        let made = Arc::new(make());
        *kept = Arc::downgrade(&made);
        made
    })
}

fn at(original: &Arc<Original>) -> AtStop {
    AtStop { shop: original.shop.copy(), _original: Arc::clone(original) }
}

/// What these tests read of a shop, past the product: files of the forge and objects of git.
impl Shop {
    /// Runs a command with `--format json`; gives its result, or the whole document where it failed.
    #[track_caller]
    pub(crate) fn json(&self, line: &str, code: i32) -> Value {
        let finished = self.ends(&format!("--format json {line}"), code);
        let document: Value = serde_json::from_str(finished.stdout())
            .unwrap_or_else(|error| panic!("`{line}` gives one document ({error}):\n{finished}"));
        assert_eq!(document["exit_code"], code, "the document says how the command ended: {document:#}");
        follows_the_schema(&document);
        if document.get("error").is_some() { document } else { document["result"].clone() }
    }

    /// The commit of a branch, or none.
    pub(crate) fn head(&self, branch: &str) -> Option<String> {
        let answer =
            self.superproject().try_git(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]);
        answer.success().then(|| answer.stdout.trim().to_owned())
    }

    /// A file of a branch's newest commit.
    pub(crate) fn file(&self, branch: &str, path: &str) -> Option<String> {
        self.superproject().read(branch, path)
    }

    /// The statuses of a commit: context → state and text.
    pub(crate) fn statuses(&self, commit: &str) -> BTreeMap<String, (String, String)> {
        let mut statuses = BTreeMap::new();
        for entry in fs::read_dir(self.join(&format!("forge/statuses/{commit}"))).into_iter().flatten() {
            let status = read_json(&entry.expect("the folder can be read").path());
            let text = |key: &str| status[key].as_str().expect("a status is complete").to_owned();
            statuses.insert(text("context"), (text("state"), text("description")));
        }
        statuses
    }

    /// The state of one status of a commit, or `none`.
    pub(crate) fn status(&self, commit: &str, context: &str) -> String {
        self.statuses(commit).remove(context).map_or_else(|| "none".to_owned(), |(state, _)| state)
    }

    /// A pull request as the forge keeps it.
    pub(crate) fn pull_request(&self, number: u64) -> Value {
        read_json(&self.join(&format!("forge/pulls/{number}.json")))
    }

    /// The bodies of a pull request's comments.
    pub(crate) fn comments(&self, number: u64) -> Vec<String> {
        let folder = self.join(&format!("forge/pulls/{number}/comments"));
        let files = fs::read_dir(folder).into_iter().flatten();
        let files = files.map(|entry| read_json(&entry.expect("the folder can be read").path()));
        files
            .flat_map(|file| file["comments"].as_array().expect("a marker has its comments").clone())
            .map(|comment| comment["body"].as_str().expect("a comment has a body").to_owned())
            .collect()
    }

    /// The image of a service that an environment's branch holds: `repository:tag@digest`.
    pub(crate) fn deployed_image(&self, mode: &str, service: &str) -> Option<String> {
        let manifest = self.file(&format!("deploy/{mode}"), &format!("services/{service}/app.yaml"))?;
        let line =
            manifest.lines().find_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("image: "))?;
        Some(line.to_owned())
    }

    /// Every record of the ledger as `ENVIRONMENT STEP RESULT`.
    pub(crate) fn story(&self) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap_or("_").to_owned();
        self.records()
            .iter()
            .map(|record| {
                let said = &record.predicate;
                format!("{} {} {}", word(&said["environment"]), word(&said["step"]), word(&said["result"]))
            })
            .collect()
    }

    /// What a run must leave as it was when it refuses: the environments' branches, the tags, the forge's releases.
    pub(crate) fn untouched(&self) -> BTreeMap<String, String> {
        let refs = self.superproject().git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
        refs.lines()
            .filter(|line| {
                ["refs/heads/deploy/", "refs/heads/staging", "refs/heads/main", "refs/tags/"]
                    .iter()
                    .any(|prefix| line.starts_with(prefix))
            })
            .map(|line| line.split_once(' ').expect("a ref has an object"))
            .map(|(name, object)| (name.to_owned(), object.to_owned()))
            .collect()
    }

    /// Puts a branch of the forge where the clone's `HEAD` is, past every rule: a fetch asks no hook.
    pub(crate) fn force(&self, branch: &str) {
        self.superproject().git(&["fetch", "--quiet", "../shop", &format!("+HEAD:refs/heads/{branch}")]);
    }

    /// Moves gitlinks on `dev` and pushes, as a developer does. Gives the commit.
    pub(crate) fn push_to_dev(&self, gitlinks: &[(&str, &str)], subject: &str) -> String {
        let clone = self.work_on("dev");
        for (path, commit) in gitlinks {
            clone.gitlink(path, commit);
        }
        self.commit_and_push("dev", subject)
    }
}

/// A file of JSON.
pub(crate) fn read_json(path: &std::path::Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// SHA-256 as registries and locks write it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string()
}

/// Whatever a command prints as JSON is what the committed schema says.
#[track_caller]
pub(crate) fn follows_the_schema(document: &Value) {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let path = test_support::workspace().join("schemas/report.schema.json");
        let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    });
    assert!(SCHEMA.is_valid(document), "not what `schemas/report.schema.json` says: {document:#}");
}
