//! Short ways to say what the tests are about.

use ledger::{
    Accepts, Ledger, Policy, PolicySource, ProofLevel, RecordDraft, RunIdentity, Step, StepKey, StepResult, SuiteRef,
};
use lock_model::{
    CommitId, ConfigDigest, Content, CreatedFrom, Digest, EnvironmentName, Exception, GitSource, Lock, LockId,
    LockParts, LockedImage, Platform, ReleaseId, Revision, Service, ServiceName, Source, SuiteDigest, Timestamp,
    TreeId, release_id,
};

pub(crate) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::try_from(name).unwrap()
}

pub(crate) fn staging() -> EnvironmentName {
    environment("staging")
}

pub(crate) fn production() -> EnvironmentName {
    environment("production")
}

pub(crate) fn commit(word: &str) -> CommitId {
    CommitId::try_from(Digest::of(word.as_bytes()).hex().get(..40).unwrap()).unwrap()
}

pub(crate) fn tree(word: &str) -> TreeId {
    TreeId::try_from(Digest::of(word.as_bytes()).hex().get(..40).unwrap()).unwrap()
}

pub(crate) fn now(second: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_764_000_000 + second)
}

pub(crate) fn run(id: &str) -> RunIdentity {
    RunIdentity { id: id.to_owned(), attempt: 1, actor: "robot".to_owned(), nonce: None }
}

pub(crate) fn suite(name: &str, content: &str) -> SuiteRef {
    SuiteRef {
        name: name.try_into().unwrap(),
        digest: SuiteDigest::try_from(Digest::of(content.as_bytes()).as_str()).unwrap(),
    }
}

/// A lock with one service, whose commit and image are made from `word`.
pub(crate) fn lock(word: &str) -> Lock {
    lock_of(&[("cart", word)], Vec::new())
}

pub(crate) fn lock_of(services: &[(&str, &str)], exceptions: Vec<Exception>) -> Lock {
    let services = services.iter().map(|(name, word)| (ServiceName::try_from(*name).unwrap(), service(name, word)));
    let source = Source::new(
        "https://forge.example/shop/shop".try_into().unwrap(),
        commit("head"),
        commit("base"),
        tree("merged"),
    );
    let mut parts = LockParts::new(source.with_pull_request(7)).with_services(services);
    parts.exceptions = exceptions;
    Lock::new(parts).unwrap()
}

pub(crate) fn service(name: &str, word: &str) -> Service {
    let git = GitSource::new(format!("https://forge.example/shop/{name}.git").try_into().unwrap(), commit(word));
    Service::new(format!("services/{name}").try_into().unwrap(), git, Content::Image(image(name, word)))
}

pub(crate) fn image(name: &str, word: &str) -> LockedImage {
    LockedImage::new(
        format!("registry.example/shop/{name}").try_into().unwrap(),
        format!("main-{}", commit(word).short(7)).try_into().unwrap(),
        Digest::of(word.as_bytes()),
        now(0),
        CreatedFrom::Config,
    )
    .with_platforms([(Platform::try_from("linux/amd64").unwrap(), Digest::of(word.as_bytes()))])
    .with_revision(Revision::SelfAsserted)
}

/// One release: a lock, a configuration, a commit, all made from one word.
#[derive(Clone, Debug)]
pub(crate) struct Freight {
    pub(crate) release: ReleaseId,
    pub(crate) lock: LockId,
    pub(crate) lock_file: Digest,
    pub(crate) config: ConfigDigest,
    pub(crate) commit: CommitId,
    pub(crate) tree: TreeId,
}

pub(crate) fn freight(word: &str) -> Freight {
    let lock = lock(word).id().clone();
    let config = ConfigDigest::try_from(Digest::of(b"config").as_str()).unwrap();
    Freight {
        release: release_id(&config, &lock),
        lock_file: Digest::of(format!("file of {word}").as_bytes()),
        lock,
        config,
        commit: commit(word),
        tree: tree(word),
    }
}

/// A draft that has everything that its step must have.
pub(crate) fn draft(
    environment: &EnvironmentName,
    freight: &Freight,
    key: &StepKey,
    result: StepResult,
) -> RecordDraft {
    let mut draft = RecordDraft::new(key.step(), result, run("run-1"), now(0)).environment(environment);
    draft.release = Some(freight.release.clone());
    draft.lock = Some(freight.lock.clone());
    draft.lock_file = Some(freight.lock_file.clone());
    draft.config = Some(freight.config.clone());
    draft.commit = Some(freight.commit.clone());
    draft.tree = Some(freight.tree.clone());
    draft.suite = key.suite().cloned();
    match (key.step(), result) {
        (Step::Proof, StepResult::Ok) => draft.proof = Some(ProofLevel::Stored),
        (Step::Policy, _) => draft.accepts = Some(Accepts::Release(freight.release.clone())),
        (Step::Gates, _) => draft.policy = Some(Policy { source: PolicySource::Parent, commit: None }),
        (Step::Release, _) => draft.tag = Some(format!("release-2025-11-24-{}", freight.release.id8())),
        (Step::Rollback, _) => draft = draft.reason("production is broken"),
        _ => {}
    }
    match result {
        StepResult::Failed | StepResult::Refused => draft.reason("it did not work"),
        StepResult::Started | StepResult::Ok | StepResult::Superseded => draft,
    }
}

pub(crate) fn note(step: Step, environment: Option<&EnvironmentName>, reason: &str) -> RecordDraft {
    let draft = RecordDraft::new(step, StepResult::Ok, run("by-hand"), now(0)).reason(reason);
    match environment {
        Some(environment) => draft.environment(environment),
        None => draft,
    }
}

pub(crate) fn reject(freight: &Freight, reason: &str) -> RecordDraft {
    let mut draft = note(Step::Reject, None, reason);
    draft.lock = Some(freight.lock.clone());
    draft
}

pub(crate) fn append(ledger: &mut Ledger, draft: RecordDraft) -> u64 {
    let new = ledger.next(draft).unwrap();
    ledger.push(&new).unwrap();
    new.record.seq
}

/// Appends `STEP:RESULT` words, separated by spaces: `deploy:started deploy:ok suite(system):ok`.
pub(crate) fn tell(ledger: &mut Ledger, environment: &EnvironmentName, freight: &Freight, story: &str) {
    tell_as(ledger, "robot", environment, freight, story);
}

/// The same, recorded by this actor; the gates of people are judged by no rules.
pub(crate) fn tell_as(ledger: &mut Ledger, actor: &str, environment: &EnvironmentName, freight: &Freight, story: &str) {
    for word in story.split_whitespace() {
        let (step, result) = word.split_once(':').unwrap();
        let key = match step.strip_prefix("suite(").and_then(|rest| rest.strip_suffix(')')) {
            Some(name) => StepKey::Suite(suite(name, name)),
            None => StepKey::Step(step.parse().unwrap()),
        };
        let mut draft = draft(environment, freight, &key, result.parse().unwrap());
        actor.clone_into(&mut draft.run.actor);
        if actor != "robot" {
            draft.policy = None;
        }
        if draft.step == Step::Unhold {
            draft = draft.reason("over");
        }
        append(ledger, draft);
    }
}

pub(crate) const STAGED: &str = "lock-commit:started lock-commit:ok gates:ok health:ok deploy:started deploy:ok \
                                 verify:ok suite(system):started suite(system):ok proof:ok promote:started promote:ok";

pub(crate) const RELEASED: &str = "gates:ok health:ok deploy:started deploy:ok verify:ok suite(smoke):started \
                                   suite(smoke):ok proof:ok release:started release:ok";
