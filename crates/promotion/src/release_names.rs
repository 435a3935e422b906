//! What a release is called, and what its tag says.

use lock_model::{CommitId, ConfigDigest, Date, Digest, EnvironmentName, LockId, ReleaseId, Timestamp};

use ledger::{Ledger, Step};

/// What the message of a release's tag says, besides its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseMessage {
    /// The release: tags are found by it, not by their name.
    pub release: ReleaseId,
    /// Its lock.
    pub lock: LockId,
    /// SHA-256 of the lock file.
    pub lock_file: Digest,
    /// Its configuration.
    pub config: ConfigDigest,
    /// The environment that proved it.
    pub environment: EnvironmentName,
    /// Number of the proof's record.
    pub proof: u64,
    /// The fallback by which fewer people approved than the rules ask for; absent where enough did.
    pub fallback: Option<String>,
}

/// A tag of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFacts {
    /// Its name.
    pub name: String,
    /// Its message; empty for a tag without one.
    pub message: String,
    /// The commit it stands on.
    pub commit: CommitId,
}

/// What becomes of a release's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleasePlan {
    /// A tag carries the release id already: an earlier attempt came so far.
    Exists {
        /// The tag's name.
        name: String,
        /// The commit it stands on.
        commit: CommitId,
    },
    /// There is no tag yet.
    Make {
        /// The tag's name.
        name: String,
    },
    /// Another tag has the name.
    NameTaken {
        /// The name.
        name: String,
        /// What the tag that has it carries, where it carries anything.
        by: Option<ReleaseId>,
    },
}

/// The day, UTC, that a release's name carries: that of its first attempt, however long the last one takes.
pub fn date_of(ledger: &Ledger, environment: &EnvironmentName, release: &ReleaseId, now: Timestamp) -> Date {
    ledger
        .of(environment)
        .find(|record| record.entry.step == Step::Release && record.entry.release.as_ref() == Some(release))
        .map_or(now, |record| record.entry.started)
        .date()
}

/// Decides what to do, given all tags. A tag that carries the release id is the release, whatever it is called; of
/// several the first by name.
pub fn plan_tag(tags: &[TagFacts], release: &ReleaseId, name: &str) -> ReleasePlan {
    let carried = |tag: &TagFacts| ReleaseMessage::parse(&tag.message).map(|message| message.release);
    let mut ours: Vec<&TagFacts> = tags.iter().filter(|tag| carried(tag).as_ref() == Some(release)).collect();
    ours.sort_by(|left, right| left.name.cmp(&right.name));
    if let Some(tag) = ours.first() {
        return ReleasePlan::Exists { name: tag.name.clone(), commit: tag.commit.clone() };
    }
    match tags.iter().find(|tag| tag.name == name) {
        Some(tag) => ReleasePlan::NameTaken { name: name.to_owned(), by: carried(tag) },
        None => ReleasePlan::Make { name: name.to_owned() },
    }
}

impl ReleaseMessage {
    /// The annotated tag's message: a title, an empty line, and one line a fact, as git's trailers are written.
    pub fn write(&self, name: &str) -> String {
        let Self { release, lock, lock_file, config, environment, proof, fallback } = self;
        // A line feed in a reason would begin another fact.
        let fallback = fallback.as_ref().map(|text| format!("Approvals: {}\n", text.replace(['\n', '\r'], " ")));
        format!(
            "{name}\n\nRelease-Id: {release}\nLock-Id: {lock}\nLock-File: {lock_file}\nConfig: {config}\n\
             Environment: {environment}\nProof-Record: {proof}\n{}",
            fallback.unwrap_or_default()
        )
    }

    /// Reads such a message; absent where it is another tag's. A fact that is there twice makes it another tag's too.
    pub fn parse(message: &str) -> Option<Self> {
        let last = message.trim_end().rsplit("\n\n").next()?;
        let value = |key: &str| {
            let mut values = last.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            let first = values.next()?;
            if values.next().is_none() { Some(first) } else { None }
        };
        Some(Self {
            release: value("Release-Id")?.parse().ok()?,
            lock: value("Lock-Id")?.parse().ok()?,
            lock_file: value("Lock-File")?.parse().ok()?,
            config: value("Config")?.parse().ok()?,
            environment: value("Environment")?.parse().ok()?,
            proof: value("Proof-Record")?.parse().ok()?,
            fallback: value("Approvals").map(str::to_owned),
        })
    }
}
