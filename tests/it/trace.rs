//! What a command left behind: on disk, byte by byte, and in meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lock_model::Digest;
use test_support::Repository;

use crate::shop::Shop;
use crate::shop::ledger::LedgerRecord;

/// Everything that others can see, byte by byte: refs and files of the forge.
pub(crate) fn forge_side(shop: &Shop) -> String {
    let mut text = shop.superproject().git(&["for-each-ref"]);
    let mut files = BTreeMap::new();
    read_folder(&shop.join("forge"), "forge", &mut files);
    for (path, bytes) in &files {
        write!(text, "\n{path} {}", Digest::of(bytes)).expect("a string takes any text");
    }
    text
}

/// The lines that only one of two texts has.
pub(crate) fn differences(wanted: &str, found: &str) -> String {
    let (left, right): (BTreeSet<_>, BTreeSet<_>) = (wanted.lines().collect(), found.lines().collect());
    let missing = left.difference(&right).map(|line| format!("- {line}"));
    let extra = right.difference(&left).map(|line| format!("+ {line}"));
    missing.chain(extra).collect::<Vec<_>>().join("\n")
}

/// What a shop has come to, in lines that a run and its recovered twin must share: every ref, every file of the forge,
/// the ledger's good records. Times and record numbers are left out: they tell how often somebody tried.
///
/// On the way it holds what must be true of every shop: an unbroken chain, nothing deployed that is not locked, no
/// release twice.
pub(crate) fn end_state(shop: &Shop) -> String {
    let repository = shop.superproject();
    let names = Names::of(&repository);
    let mut text = String::new();
    for (name, reference) in &names.refs {
        if name == "refs/heads/orchestrator/ledger" {
            continue;
        }
        let (kind, count) = (&reference.kind, names.graph.reachable_from(&reference.commit));
        writeln!(text, "{name}: {count} commits, {kind}").expect("a string takes any text");
        if !name.starts_with("refs/heads/deploy/") {
            writeln!(text, "{name}: tree {}", reference.tree).expect("a string takes any text");
        }
        if name.starts_with("refs/tags/") {
            let message = names.apply(&reference.message).replace('\n', " ");
            writeln!(text, "{name}: {message}").expect("a string takes any text");
        }
    }
    let deployed: Vec<&str> =
        names.refs.keys().filter(|name| name.starts_with("refs/heads/deploy/")).map(String::as_str).collect();
    let lines = lines_of(&repository, &deployed);
    for line in lines.lines() {
        writeln!(text, "{}", names.apply(line)).expect("a string takes any text");
    }
    let mut files = BTreeMap::new();
    read_folder(&shop.join("forge"), "forge", &mut files);
    for (path, bytes) in &files {
        let path = names.apply(path);
        let bytes = String::from_utf8_lossy(bytes);
        for line in bytes.lines() {
            writeln!(text, "{path}: {}", names.apply(line)).expect("a string takes any text");
        }
    }
    for (path, bytes) in rendered(shop) {
        for line in String::from_utf8_lossy(&bytes).lines() {
            writeln!(text, "{path}: {}", names.apply(line)).expect("a string takes any text");
        }
    }
    let records = shop.records();
    assert_chain(&records);
    for good in good_records(&records) {
        writeln!(text, "ledger: {}", names.apply(&good)).expect("a string takes any text");
    }
    assert_only_locked_images(&repository, &lines);
    assert_one_release_each(names.refs.values());
    text
}

/// What the ledger says was done, without repeats and without order: which step, where, for which release.
pub(crate) fn good_records(records: &[LedgerRecord]) -> BTreeSet<String> {
    records
        .iter()
        .map(|record| &record.predicate)
        .filter(|predicate| predicate["result"] == "ok")
        .map(|predicate| {
            let part = |name: &str| predicate[name].as_str().unwrap_or("-").to_owned();
            let suite = predicate["suite"]["name"].as_str().unwrap_or("-").to_owned();
            let names = ["environment", "step", "release", "lock", "commit", "tag", "unreviewed", "proof"];
            format!("{} {suite}", names.map(part).join(" "))
        })
        .collect()
}

/// Every record names the one before it, and none is missing.
pub(crate) fn assert_chain(records: &[LedgerRecord]) {
    let mut previous: Option<&str> = None;
    for (index, record) in records.iter().enumerate() {
        assert_eq!(record.predicate["seq"], index + 1, "{} has its number", record.name);
        assert!(record.name.starts_with(&format!("{:06}-", index + 1)), "{} is number {}", record.name, index + 1);
        assert_eq!(record.predicate["previous"].as_str(), previous, "{} names the record before it", record.name);
        previous = Some(&record.digest);
    }
}

/// Every line of every file of some refs: `REF:PATH:LINE`.
fn lines_of(repository: &Repository, refs: &[&str]) -> String {
    if refs.is_empty() {
        return String::new();
    }
    repository.git(&[&["grep", "--no-color", ""], refs, &["--", "."]].concat())
}

/// Each image of a render branch is one of the lock in the commit that the branch says it was rendered from.
fn assert_only_locked_images(repository: &Repository, lines_of_branches: &str) {
    for environment in ["staging", "production"] {
        let branch = format!("refs/heads/deploy/{environment}:");
        let values = |key: &str| -> Vec<String> {
            let lines = lines_of_branches.lines().filter_map(|line| line.strip_prefix(&branch)?.split_once(':'));
            let lines = lines.map(|(_, line)| line.trim_start_matches([' ', '-']));
            lines.filter_map(|line| Some(line.strip_prefix(key)?.trim().trim_matches('"').to_owned())).collect()
        };
        let (images, commits) = (values("image: "), values("commit: "));
        if images.is_empty() {
            continue;
        }
        let commit = commits.first().expect("what was rendered names its commit");
        let lock = repository.read(commit, "locks/lock.yaml").expect("the commit has a lock");
        let digests: BTreeSet<&str> = lock.lines().filter_map(|line| line.strip_prefix("      digest: ")).collect();
        for image in images {
            let (_, digest) = image.split_once('@').unwrap_or_else(|| panic!("`{image}` has no digest"));
            assert!(digests.contains(digest), "`{image}` is in {environment} and in no lock");
        }
    }
}

/// No two tags carry one release.
fn assert_one_release_each<'a>(refs: impl Iterator<Item = &'a Reference>) {
    let lines = refs.filter(|reference| reference.kind == "tag").flat_map(|tag| tag.message.lines());
    let releases: Vec<&str> = lines.filter(|line| line.to_lowercase().starts_with("release-id: ")).collect();
    let different: BTreeSet<&&str> = releases.iter().collect();
    assert_eq!(releases.len(), different.len(), "a release has two tags: {releases:?}");
}

/// Commits by the names of what points to them: their ids hold the time at which they were made.
struct Names {
    refs: BTreeMap<String, Reference>,
    commits: BTreeMap<String, String>,
    graph: Graph,
}

struct Reference {
    /// `tag` for one with a message of its own.
    kind: String,
    commit: String,
    tree: String,
    message: String,
}

/// The parents of every commit that a ref reaches.
struct Graph(BTreeMap<String, Vec<String>>);

impl Graph {
    fn of(repository: &Repository) -> Self {
        let lines = repository.git(&["rev-list", "--all", "--parents"]);
        let commits = lines.lines().map(|line| {
            let mut ids = line.split(' ').map(str::to_owned);
            (ids.next().expect("a line begins with a commit"), ids.collect())
        });
        Self(commits.collect())
    }

    /// How many commits there are from this one on, itself included.
    fn reachable_from(&self, commit: &str) -> usize {
        let (mut seen, mut open) = (BTreeSet::new(), vec![commit]);
        while let Some(commit) = open.pop() {
            if seen.insert(commit) {
                open.extend(self.0[commit].iter().map(String::as_str));
            }
        }
        seen.len()
    }

    /// The commit and its first parents, the oldest first.
    fn first_parents<'a>(&'a self, commit: &'a str) -> Vec<&'a str> {
        let next = |commit: &&'a str| self.0[*commit].first().map(String::as_str);
        let mut line: Vec<&str> = std::iter::successors(Some(commit), next).collect();
        line.reverse();
        line
    }
}

impl Names {
    fn of(repository: &Repository) -> Self {
        let mut refs = BTreeMap::new();
        let mut commits = BTreeMap::new();
        let graph = Graph::of(repository);
        // A tag with a message of its own says its commit and tree behind the star. A message can hold any character but NUL.
        let format = "--format=%(refname)%00%(objecttype)%00%(*objectname)%(if)%(*objectname)%(then)%(else)%(objectname)%(end)%00%(*tree)%(tree)%00%(contents)%00";
        let listed = repository.git(&["for-each-ref", format]);
        for fields in listed.split('\0').collect::<Vec<_>>().chunks_exact(5) {
            let [name, kind, commit, tree, message] = *<&[&str; 5]>::try_from(fields).expect("chunks of five");
            let [kind, commit, tree, message] = [kind, commit, tree, message].map(str::to_owned);
            refs.insert(name.trim_start().to_owned(), Reference { kind, commit, tree, message });
        }
        // Named by the branch and the way back along its first parents, so that every merge and lock commit has one.
        for branch in ["main", "staging", "dev", "deploy/staging", "deploy/production"] {
            let Some(reference) = refs.get(&format!("refs/heads/{branch}")) else { continue };
            for (index, commit) in graph.first_parents(&reference.commit).into_iter().enumerate() {
                commits.entry(commit.to_owned()).or_insert_with(|| format!("<{branch}+{index}>"));
            }
        }
        for (name, reference) in &refs {
            commits.entry(reference.commit.clone()).or_insert_with(|| format!("<{name}>"));
        }
        Self { refs, commits, graph }
    }

    /// Replaces ids of commits by their names, and takes out times and numbers of records.
    fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (commit, name) in &self.commits {
            // YAML quotes an id that could be read as a number.
            text = text.replace(&format!("\"{commit}\""), name);
            for length in [40, 12] {
                text = text.replace(&commit[..length], name);
            }
        }
        without_records(&without_times(&text))
    }
}

/// `2026-01-05T09:00:07Z` → `[TIME]`.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("2026-01-05T") {
        out.push_str(&rest[..at]);
        out.push_str("[TIME]");
        rest = &rest[at..];
        rest = rest.split_once('Z').map_or("", |(_, after)| after);
    }
    out + rest
}

/// `record 17` → `record [N]`.
fn without_records(text: &str) -> String {
    ["record ", "Proof-Record: "].iter().fold(text.to_owned(), |text, word| {
        let mut parts = text.split(word);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            out.push_str(word);
            out.push_str(if rest.len() == part.len() { "" } else { "[N]" });
            out.push_str(rest);
        }
        out
    })
}

/// The rendered folders as people see them: what lies beside them during a swap is no part of them.
pub(crate) fn swapped_folders(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    rendered(shop).into_iter().filter(|(path, _)| !path.starts_with("rendered/.")).collect()
}

/// Everything below the folder of the rendered folders.
fn rendered(shop: &Shop) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    if shop.join("shop/rendered").is_dir() {
        read_folder(&shop.join("shop/rendered"), "rendered", &mut files);
    }
    files
}

fn read_folder(folder: &Path, name: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("the entry is there").is_dir() {
            read_folder(&entry.path(), &name, files);
        } else {
            files.insert(name, fs::read(entry.path()).expect("the file can be read"));
        }
    }
}
