//! What comes onto the ledger's branch, and onto the refs that only bots move: real pushes, the real hook.

use forge::ledger::{
    Evidence, Ledger, NewRecord, ProofLevel, Record, RecordDraft, RunIdentity, Step, StepResult, append_rules,
};
use forge::{CommitOutcome, FileChange, LEDGER_BRANCH, NewPullRequest, NewRelease, ReleaseOutcome};
use lock_model::{Digest, LockId, ReleaseId};
use test_support::{GitAnswer, Repository};

use crate::shop::{ACTOR_VARIABLE, Shop, append, at, branch, environment, ledger_of, new_pull};

/// A shop with a ledger of three records, one with a document, and a clone of its branch.
struct Book {
    shop: Shop,
    clone: Repository,
}

const DOCUMENT: &[u8] = b"{\"version\":1}\n";

fn document_path(bytes: &[u8]) -> String {
    format!("evidence/sha256/{}", Digest::of(bytes).hex())
}

fn hold(actor: &str, reason: &str) -> RecordDraft {
    RecordDraft::new(Step::Hold, StepResult::Ok, RunIdentity::new("run-1", actor), at(9))
        .environment(&environment("production"))
        .reason(reason)
}

fn release(word: &str) -> ReleaseId {
    Digest::of(word.as_bytes()).as_str().try_into().unwrap()
}

/// A complete record of a step of one release, by the name of its release.
fn step(actor: &str, step: Step, result: StepResult, word: &str) -> RecordDraft {
    let mut draft =
        RecordDraft::new(step, result, RunIdentity::new("run-1", actor), at(9)).environment(&environment("production"));
    draft.release = Some(release(word));
    draft.lock = Some(LockId::try_from(Digest::of(b"lock").as_str()).unwrap());
    draft.lock_file = Some(Digest::of(b"file"));
    draft.commit = Some("1".repeat(40).try_into().unwrap());
    if result == StepResult::Failed || step == Step::Rollback {
        draft = draft.reason("orders are lost");
    }
    if (step, result) == (Step::Proof, StepResult::Ok) {
        draft.proof = Some(ProofLevel::Stored);
    }
    draft
}

impl Book {
    fn new() -> Self {
        let shop = Shop::new();
        let robot = shop.forge("robot");
        append(&robot, "robot", "first");
        append(&robot, "robot", "second");
        let ledger = branch(LEDGER_BRANCH);
        let head = robot.branch_head(&ledger).unwrap();
        let mut draft = hold("robot", "third");
        draft.evidence = vec![Evidence { name: "plan.json".to_owned(), sha256: Digest::of(DOCUMENT) }];
        let new = ledger_of(&robot, head.as_ref()).next(draft).unwrap();
        let file = |path: &str, bytes: &[u8]| FileChange::Write { path: path.try_into().unwrap(), bytes: bytes.into() };
        let changes = [file(&new.file_name, &new.bytes), file(&document_path(DOCUMENT), DOCUMENT)];
        let outcome = robot.commit_files(&ledger, head.as_ref(), &changes, "[ledger] third\n").unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed(_)), "{outcome:?}");
        shop.install_hook();
        let clone = Repository::clone_from(shop.bare.path(), shop.root().join("clone"));
        let book = Self { shop, clone };
        book.reset();
        book
    }

    fn ledger(&self) -> Ledger {
        let robot = self.shop.forge("robot");
        let head = robot.branch_head(&branch(LEDGER_BRANCH)).unwrap();
        ledger_of(&robot, head.as_ref())
    }

    /// The branch as the forge has it, in the work tree.
    fn reset(&self) {
        self.clone.git(&["fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
        self.clone.git(&["checkout", "--quiet", "--force", "--detach", "origin/orchestrator/ledger"]);
        self.clone.git(&["clean", "--quiet", "-ffdx"]);
    }

    /// Commits the record that continues the work tree's ledger.
    fn commit(&self, ledger: &mut Ledger, draft: RecordDraft) -> NewRecord {
        let new = ledger.next(draft).unwrap();
        self.clone.write(&new.file_name, &new.bytes);
        self.clone.commit("[ledger] one more");
        ledger.push(&new).unwrap();
        new
    }

    fn push(&self, actor: &str) -> GitAnswer {
        let arguments = ["push", "--quiet", "origin", "HEAD:refs/heads/orchestrator/ledger"];
        self.clone.try_git_with(&arguments, &[(ACTOR_VARIABLE, actor)])
    }

    /// The push is refused for this reason, and changes nothing.
    #[track_caller]
    fn refuses(&self, actor: &str, what: &str, reason: &str) {
        let before = self.shop.rev("refs/heads/orchestrator/ledger");
        let answer = self.push(actor);
        assert!(!answer.success() && answer.stderr.contains(reason), "{what}: {answer:?}");
        assert_eq!(self.shop.rev("refs/heads/orchestrator/ledger"), before, "{what}");
        self.reset();
    }

    /// A person or bot records this, by one push of one commit.
    #[track_caller]
    fn record(&self, actor: &str, draft: RecordDraft) -> Result<(), String> {
        self.reset();
        self.commit(&mut self.ledger(), draft);
        let answer = self.push(actor);
        if answer.success() { Ok(()) } else { Err(answer.stderr) }
    }
}

type Attack<'a> = Box<dyn Fn() + 'a>;

#[test]
fn t45_a_commit_on_the_ledger_adds_one_record_and_its_documents() {
    let book = Book::new();
    let clone = &book.clone;
    let names: Vec<String> = book.ledger().records().iter().map(Record::file_name).collect();
    let next = || book.ledger().next(hold("ana", "fair")).unwrap();
    let add = || {
        let new = next();
        clone.write(&new.file_name, &new.bytes);
    };
    let name = next().file_name;
    let changed = "was there before and is changed, or is no plain file: the ledger only grows";
    let foreign = "is neither a record nor a document of the ledger";
    let attacks: Vec<(&str, &str, Attack<'_>)> = vec![
        (
            "an edit",
            changed,
            Box::new(|| {
                add();
                clone.write(&names[1], clone.read("HEAD", &names[1]).unwrap().replace("second", "secund"));
            }),
        ),
        (
            "a rename",
            changed,
            Box::new(|| {
                let text = clone.read("HEAD", &names[1]).unwrap();
                clone.remove(&names[1]).write(&names[1].replace("-ok", "-no"), text);
            }),
        ),
        (
            "a record is taken away",
            changed,
            Box::new(|| {
                clone.remove(&names[2]);
            }),
        ),
        (
            "all records are taken away",
            changed,
            Box::new(|| {
                clone.git(&["rm", "--quiet", "-r", "records"]);
            }),
        ),
        (
            "a document is edited",
            changed,
            Box::new(|| {
                add();
                clone.write(&document_path(DOCUMENT), "{\"version\":2}\n");
            }),
        ),
        (
            "a document is taken away",
            changed,
            Box::new(|| {
                add();
                clone.remove(&document_path(DOCUMENT));
            }),
        ),
        (
            "a record becomes executable",
            changed,
            Box::new(|| {
                add();
                clone.write_executable(&names[0], clone.read("HEAD", &names[0]).unwrap());
            }),
        ),
        (
            "a folder becomes a link to itself",
            changed,
            Box::new(|| {
                clone.git(&["rm", "--quiet", "-r", "records/000"]);
                clone.symlink("records/000", "../x");
            }),
        ),
        (
            "a new record is executable",
            changed,
            Box::new(|| {
                clone.write_executable(&name, next().bytes);
            }),
        ),
        (
            "a new record is a link",
            changed,
            Box::new(|| {
                clone.symlink(&name, "000001-production-hold-ok.json");
            }),
        ),
        (
            "a new record is a submodule",
            changed,
            Box::new(|| {
                clone.gitlink(&name, &"1".repeat(40));
            }),
        ),
        (
            "no record",
            "it adds 0 records; each commit adds one",
            Box::new(|| {
                clone.git(&["commit", "--quiet", "--allow-empty", "-m", "nothing"]);
            }),
        ),
        (
            "two records",
            "it adds 2 records; each commit adds one",
            Box::new(|| {
                let mut ledger = book.ledger();
                for reason in ["one", "two"] {
                    let new = ledger.next(hold("ana", reason)).unwrap();
                    clone.write(&new.file_name, &new.bytes);
                    ledger.push(&new).unwrap();
                }
            }),
        ),
        (
            "something else",
            foreign,
            Box::new(|| {
                add();
                clone.write("x/f", "x");
            }),
        ),
        (
            "a document under no digest",
            foreign,
            Box::new(|| {
                add();
                clone.write("evidence/sha256/README", "x");
            }),
        ),
        (
            "a document under a digest in capitals",
            foreign,
            Box::new(|| {
                add();
                clone.write(&format!("evidence/sha256/{}", "A".repeat(64)), "x");
            }),
        ),
        (
            "a folder under a digest",
            foreign,
            Box::new(|| {
                add();
                clone.write(&format!("{}/x", document_path(b"x")), "x");
            }),
        ),
        (
            "a document with another content",
            "has another content than its name says",
            Box::new(|| {
                add();
                clone.write(&document_path(b"x"), "y");
            }),
        ),
        (
            "a document that no record names",
            "the record does not name",
            Box::new(|| {
                add();
                clone.write(&document_path(b"x"), "x");
            }),
        ),
        (
            "a record in the flat folder",
            "should be named `records/000/",
            Box::new(|| {
                clone.write(&name.replace("records/000/", "records/"), next().bytes);
            }),
        ),
        (
            "a record in another folder",
            "should be named `records/000/",
            Box::new(|| {
                clone.write(&name.replace("records/000/", "records/001/"), next().bytes);
            }),
        ),
        (
            "a record under another name",
            "should be named",
            Box::new(|| {
                clone.write(&name.replace("-hold-", "-unhold-"), next().bytes);
            }),
        ),
        (
            "a file under records that is none",
            "is no record",
            Box::new(|| {
                clone.write("records/000/README.md", "x");
            }),
        ),
        (
            "a record that is written differently",
            "is not in the form that is written",
            Box::new(|| {
                let text = String::from_utf8(next().bytes).unwrap();
                clone.write(&name, text.replace("\":", "\": "));
            }),
        ),
        (
            "a record with a field of its own",
            "is no record",
            Box::new(|| {
                let text = String::from_utf8(next().bytes).unwrap();
                clone.write(&name, text.replace("\"step\"", "\"sign\":1,\"step\""));
            }),
        ),
        (
            "a record that leaves a number out",
            "has the number 5, and 4 is the next",
            Box::new(|| {
                let mut record = next().record;
                record.seq = 5;
                clone.write(&record.file_name(), record.to_json());
            }),
        ),
        (
            "a number that is there already",
            "has the number 3, and 4 is the next",
            Box::new(|| {
                let mut record = next().record;
                (record.seq, record.entry.step) = (3, Step::Unhold);
                clone.write(&record.file_name(), record.to_json());
            }),
        ),
        (
            "a record that does not continue the chain",
            "does not continue the record before it",
            Box::new(|| {
                let mut record = next().record;
                record.previous = Some(Digest::of(b"another history"));
                clone.write(&record.file_name(), record.to_json());
            }),
        ),
        (
            "a record without a predecessor",
            "does not continue the record before it",
            Box::new(|| {
                let mut record = next().record;
                record.previous = None;
                clone.write(&record.file_name(), record.to_json());
            }),
        ),
        (
            "a document that is nowhere",
            "which is not there",
            Box::new(|| {
                let mut draft = hold("ana", "fair");
                draft.evidence = vec![Evidence { name: "plan.json".to_owned(), sha256: Digest::of(b"nowhere") }];
                let new = book.ledger().next(draft).unwrap();
                clone.write(&new.file_name, new.bytes);
            }),
        ),
    ];
    for (what, reason, attack) in &attacks {
        for actor in ["ana", "robot", "root"] {
            attack();
            if !clone.git(&["status", "--porcelain"]).is_empty() {
                clone.commit("[ledger] tidy");
            }
            book.refuses(actor, what, reason);
        }
    }
    // The same files through the port.
    let ledger = branch(LEDGER_BRANCH);
    let head = book.shop.rev("refs/heads/orchestrator/ledger");
    let removal = FileChange::Remove { path: names[2].as_str().try_into().unwrap() };
    for actor in ["ana", "robot", "root"] {
        let outcome =
            book.shop.forge(actor).commit_files(&ledger, Some(&head), std::slice::from_ref(&removal), "x\n").unwrap();
        let CommitOutcome::Refused { reasons } = outcome else { panic!("{outcome:?}") };
        assert!(reasons.iter().any(|reason| reason.contains(changed)), "{reasons:?}");
    }
    // What is in order goes through, with a document that is there already and one that is new.
    let mut draft = hold("ana", "fair");
    draft.evidence =
        [DOCUMENT, b"new"].map(|bytes| Evidence { name: "plan.json".to_owned(), sha256: Digest::of(bytes) }).into();
    clone.write(&document_path(b"new"), "new");
    book.commit(&mut book.ledger(), draft);
    let answer = book.push("ana");
    assert!(answer.success(), "{answer:?}");
    assert_eq!(book.ledger().records().len(), 4);
}

/// Writes a folder as it stands, whether git would write it or not; entries are mode, name and id.
fn raw_folder(repository: &Repository, entries: &[(&str, &str, &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let pairs = id.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()));
    }
    std::fs::write(repository.path().join(".git/folder"), bytes).unwrap();
    repository.git(&["hash-object", "-w", "-t", "tree", "--literally", ".git/folder"])
}

#[test]
fn t66_no_folder_that_readers_would_see_differently_comes_onto_the_ledger() {
    let book = Book::new();
    let clone = &book.clone;
    let new = book.commit(&mut book.ledger(), hold("ana", "fair"));
    let tip = clone.rev("origin/orchestrator/ledger");
    let [evidence, records, numbers] =
        ["evidence", "records", "records/000"].map(|path| clone.rev(&format!("HEAD:{path}")));
    let blob = clone.rev(&format!("HEAD:{}", new.file_name));
    let empty = raw_folder(clone, &[]);
    let twice = raw_folder(clone, &[("40000", "000", &numbers), ("40000", "000", &empty)]);
    let hollow = raw_folder(clone, &[("40000", "000", &numbers), ("40000", "001", &empty)]);
    let top = |records: &str| raw_folder(clone, &[("40000", "evidence", &evidence), ("40000", "records", records)]);
    let usual = top(&records);
    assert_eq!(usual, clone.tree("HEAD"), "the same bytes as git's");
    let e = ("40000", "evidence", evidence.as_str());
    let r = ("40000", "records", records.as_str());
    for (what, folder, tree) in [
        ("a name twice", "folder `records`", top(&twice)),
        ("an empty folder", "folder `records/001`", top(&hollow)),
        ("a second folder of records", "the top folder", raw_folder(clone, &[e, r, ("40000", "records", &empty)])),
        ("the empty one first", "the top folder", raw_folder(clone, &[e, ("40000", "records", &empty), r])),
        ("a file in front of the folder", "the top folder", raw_folder(clone, &[e, ("100644", "records", &blob), r])),
        ("out of order", "the top folder", raw_folder(clone, &[r, e])),
        ("a mode with a zero", "the top folder", raw_folder(clone, &[("040000", "evidence", &evidence), r])),
        ("git's own folder", "folder `.git`", raw_folder(clone, &[("40000", ".git", &empty), e, r])),
    ] {
        let commit = clone.git(&["commit-tree", &tree, "-p", &tip, "-m", what]);
        clone.git(&["update-ref", "--no-deref", "HEAD", &commit]);
        book.refuses("ana", what, &format!("{folder} is not as git writes folders"));
    }
    std::fs::write(clone.path().join(".git/message"), "x".repeat(64 * 1024)).unwrap();
    let commit = clone.git(&["commit-tree", &usual, "-p", &tip, "-F", ".git/message"]);
    clone.git(&["update-ref", "--no-deref", "HEAD", &commit]);
    book.refuses("ana", "a long message", "bytes; at most 65536 are allowed");
    let commit = clone.git(&["commit-tree", &usual, "-p", &tip, "-m", "as usual"]);
    clone.git(&["update-ref", "--no-deref", "HEAD", &commit]);
    let answer = book.push("ana");
    assert!(answer.success(), "{answer:?}");
}

#[test]
fn t45_every_commit_of_a_push_is_judged() {
    let book = Book::new();
    let mut ledger = book.ledger();
    book.commit(&mut ledger, hold("ana", "one"));
    book.clone.write("x/f", "x");
    let new = book.commit(&mut ledger, hold("ana", "two"));
    // What the middle one adds is gone at the end.
    book.clone.remove("x/f");
    book.commit(&mut ledger, hold("ana", "three"));
    book.refuses("ana", "the one in the middle is bad", "is neither a record nor a document");

    let mut ledger = book.ledger();
    book.commit(&mut ledger, hold("ana", "one"));
    book.clone.git(&["branch", "--force", "side", "HEAD~1"]);
    book.clone.git(&[
        "merge",
        "--quiet",
        "--no-ff",
        "-m",
        "merge",
        "-s",
        "ours",
        "origin/main",
        "--allow-unrelated-histories",
    ]);
    book.refuses("ana", "a merge", "is a merge: the ledger's branch has one line");

    let mut ledger = book.ledger();
    for reason in ["one", "two", "three"] {
        book.commit(&mut ledger, hold("ana", reason));
    }
    let answer = book.push("ana");
    assert!(answer.success(), "three good commits: {answer:?}");
    assert_eq!(new.record.seq, 5);
    assert_eq!(book.ledger().records().len(), 6);
}

#[test]
fn t45_the_ledger_begins_with_its_first_record_and_is_never_begun_again() {
    let shop = Shop::new();
    shop.install_hook();
    let target = "HEAD:refs/heads/orchestrator/ledger";
    let answer = shop.push_as("robot", &[target]);
    assert!(!answer.success() && answer.stderr.contains("is neither a record nor a document"), "{answer:?}");
    shop.work.git(&["switch", "--quiet", "--orphan", "book"]);
    let second = {
        let mut ledger = Ledger::empty();
        let first = ledger.next(hold("ana", "one")).unwrap();
        shop.work.write(&first.file_name, &first.bytes);
        ledger.push(&first).unwrap();
        ledger.next(hold("ana", "two")).unwrap()
    };
    shop.work.commit("[ledger] one");
    assert!(shop.push_as("ana", &[target]).success());
    shop.work.write(&second.file_name, &second.bytes);
    shop.work.commit("[ledger] two");
    assert!(shop.push_as("ana", &[target]).success());
    shop.work.git(&["switch", "--quiet", "--orphan", "again"]);
    let first = Ledger::empty().next(hold("ana", "another one")).unwrap();
    shop.work.write(&first.file_name, &first.bytes);
    shop.work.git(&["add", &first.file_name]);
    shop.work.git(&["commit", "--quiet", "-m", "[ledger] one"]);
    for actor in ["ana", "robot", "root"] {
        let answer = shop.push_as(actor, &["--force", target]);
        assert!(!answer.success() && answer.stderr.contains("its history is not rewritten"), "{answer:?}");
        let answer = shop.push_as(actor, &["--delete", "refs/heads/orchestrator/ledger"]);
        assert!(!answer.success() && answer.stderr.contains("it is not deleted"), "{answer:?}");
    }
}

#[test]
fn t47_what_a_commit_adds_is_capped_before_it_is_read() {
    let book = Book::new();
    let large = |bytes: u64, byte: u8| vec![byte; usize::try_from(bytes).unwrap()];
    let with = |documents: &[Vec<u8>]| {
        let mut draft = hold("robot", "fair");
        for bytes in documents {
            book.clone.write(&document_path(bytes), bytes);
            draft.evidence.push(Evidence { name: "plan.json".to_owned(), sha256: Digest::of(bytes) });
        }
        book.commit(&mut book.ledger(), draft);
    };
    with(&[large(append_rules::MAX_DOCUMENT_BYTES + 1, b'a')]);
    book.refuses("robot", "a large document", "has 4194305 bytes; at most 4194304 are allowed");
    with(&[b'a', b'b', b'c', b'd'].map(|byte| large(append_rules::MAX_DOCUMENT_BYTES, byte)));
    book.refuses("robot", "many documents", "at most 16777216 are allowed");
    let next = book.ledger().next(hold("robot", "fair")).unwrap();
    book.clone.write(&next.file_name, large(70_000, b' '));
    book.clone.commit("[ledger] large");
    book.refuses("robot", "a large record", "has 70000 bytes; at most 65536 are allowed");
    with(&[b'a', b'b', b'c'].map(|byte| large(append_rules::MAX_DOCUMENT_BYTES, byte)));
    assert!(book.push("robot").success());
}

#[test]
fn t46_a_person_records_decisions_under_their_own_name_and_bots_the_rest() {
    let book = Book::new();
    let production = environment("production");
    let decision = |step: Step, actor: &str| {
        let mut draft = RecordDraft::new(step, StepResult::Ok, RunIdentity::new("run-1", actor), at(9)).reason("fair");
        if step == Step::Reject {
            draft.lock = Some(LockId::try_from(Digest::of(b"lock").as_str()).unwrap());
        } else {
            draft = draft.environment(&production);
        }
        draft
    };
    for decided in [Step::Hold, Step::Unhold, Step::Reject] {
        book.record("ana", decision(decided, "ana")).unwrap();
        let refused = book.record("ana", decision(decided, "ben")).unwrap_err();
        assert!(refused.contains("the record names `ben`, and `ana` brings it"), "{refused}");
        let refused = book.record("root", decision(decided, "ana")).unwrap_err();
        assert!(refused.contains("the record names `ana`, and `root` brings it"), "{refused}");
    }
    for made_up in [Step::Gates, Step::Health, Step::Deploy, Step::Verify, Step::Proof, Step::Rollback] {
        for actor in ["ana", "root"] {
            let refused = book.record(actor, step(actor, made_up, StepResult::Ok, "evil")).unwrap_err();
            assert!(refused.contains("no rollback holds the environment"), "{refused}");
        }
    }
    for made_up in [Step::LockCommit, Step::Promote] {
        let refused = book.record("root", step("root", made_up, StepResult::Ok, "evil")).unwrap_err();
        assert!(refused.contains("comes from a bot"), "{refused}");
    }
    // A bot brings what others asked for.
    book.record("robot", step("ana", Step::Deploy, StepResult::Ok, "good")).unwrap();
    let mut policy = decision(Step::Policy, "root");
    policy.accepts = Some(forge::ledger::Accepts::Place("deploy/production".to_owned()));
    let by = |actor: &str| {
        let mut draft = policy.clone();
        draft.run.actor = actor.to_owned();
        draft
    };
    for (pusher, actor, reason) in [
        ("ana", "ana", "is no administrator of the forge"),
        ("ana", "root", "is no administrator of the forge"),
        ("robot", "robot", "is a bot"),
        ("robot", "root", "is a bot"),
        ("root", "ana", "the record names `ana`, and `root` brings it"),
    ] {
        let refused = book.record(pusher, by(actor)).unwrap_err();
        assert!(refused.contains(reason), "{pusher} {actor}: {refused}");
    }
    book.record("root", by("root")).unwrap();
    let refused = book.record("rita", decision(Step::Hold, "rita")).unwrap_err();
    assert!(refused.contains("`rita` has the role read, and this needs write"), "{refused}");
}

#[test]
fn t46_a_person_takes_the_steps_of_their_own_rollback_until_the_hold_is_lifted() {
    let book = Book::new();
    let begin = |actor: &str, word: &str| book.record(actor, step(actor, Step::Rollback, StepResult::Started, word));
    book.record("robot", step("robot", Step::Proof, StepResult::Ok, "good")).unwrap();
    begin("ana", "good").unwrap();
    let steps = [Step::Gates, Step::Deploy, Step::Verify, Step::Proof];
    for taken in steps {
        book.record("ana", step("ana", taken, StepResult::Ok, "good")).unwrap();
    }
    // A hold by hand meanwhile does not leave it half done.
    book.record("ben", hold("ben", "wait for me")).unwrap();
    book.record("ana", step("ana", Step::Rollback, StepResult::Ok, "good")).unwrap();
    for (actor, word, reason) in [
        ("ben", "good", "`ana` began the one of record 5"),
        ("ana", "evil", "the one of record 5 is to another release"),
    ] {
        let refused = book.record(actor, step(actor, Step::Deploy, StepResult::Ok, word)).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    let mut elsewhere = step("ana", Step::Deploy, StepResult::Ok, "good");
    elsewhere.environment = Some(environment("staging"));
    let refused = book.record("ana", elsewhere).unwrap_err();
    assert!(refused.contains("no rollback holds the environment"), "{refused}");
    let mut lifted = hold("ben", "it was the network");
    lifted.step = Step::Unhold;
    book.record("ben", lifted).unwrap();
    let refused = book.record("ana", step("ana", Step::Deploy, StepResult::Ok, "good")).unwrap_err();
    assert!(refused.contains("no rollback holds the environment"), "{refused}");
}

#[test]
fn t46_a_persons_rollback_proves_nothing_that_was_not_proven() {
    let book = Book::new();
    let begin = |word: &str| step("ana", Step::Rollback, StepResult::Started, word);
    let refused = |draft: RecordDraft, reason: &str| {
        let refused = book.record("ana", draft).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    };
    let unproven = "only to a release and commit that the environment has proven";
    refused(begin("evil"), unproven);
    // Gates and a deployment of the bot are no proof; nor is one of another environment, or of another commit.
    book.record("robot", step("robot", Step::Gates, StepResult::Ok, "evil")).unwrap();
    book.record("robot", step("robot", Step::Deploy, StepResult::Ok, "evil")).unwrap();
    let mut elsewhere = step("robot", Step::Proof, StepResult::Ok, "evil");
    elsewhere.environment = Some(environment("staging"));
    book.record("robot", elsewhere).unwrap();
    refused(begin("evil"), unproven);
    book.record("robot", step("robot", Step::Proof, StepResult::Ok, "good")).unwrap();
    let mut moved = begin("good");
    moved.commit = Some("2".repeat(40).try_into().unwrap());
    refused(moved, unproven);
    book.record("ana", begin("good")).unwrap();
    // A rollback is judged by no rules, so it puts none in force.
    let mut passed = step("ana", Step::Gates, StepResult::Ok, "good");
    passed.policy =
        Some(forge::ledger::Policy { source: forge::ledger::PolicySource::Passed, commit: passed.commit.clone() });
    refused(passed, "its records name none");
    book.record("ana", step("ana", Step::Gates, StepResult::Ok, "good")).unwrap();
}

#[test]
fn t45_no_pull_request_goes_into_the_ledger_or_a_reserved_branch() {
    let book = Book::new();
    let (shop, robot) = (&book.shop, book.shop.forge("robot"));
    shop.work.write("news.txt", "news\n");
    shop.work.commit("News");
    assert!(shop.push_as("ana", &["HEAD:refs/heads/dev"]).success());
    let (dev, main) = (shop.rev("refs/heads/dev"), shop.rev("refs/heads/main"));
    shop.bare.git(&["update-ref", "refs/heads/deploy/production", main.as_str()]);
    for (base, reason) in [
        (LEDGER_BRANCH, "is the ledger: records are appended, not merged"),
        ("deploy/production", "is reserved: only bots move it, and no pull request does"),
    ] {
        let error = robot.open_pull_request(&NewPullRequest::new(branch("dev"), branch(base), "x")).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    // One that was open before the branch was reserved.
    let rules = shop.file("branches.json");
    let reserved = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, reserved.replace("deploy/**", "other/**")).unwrap();
    robot.open_pull_request(&new_pull("dev", "deploy/production")).unwrap();
    std::fs::write(&rules, reserved).unwrap();
    let outcome = shop.forge("root").simulator().merge(1, &dev, forge::simulator::Bypass::Yes).unwrap();
    assert!(format!("{outcome:?}").contains("is reserved: only bots move it"), "{outcome:?}");
    assert_eq!(shop.rev("refs/heads/deploy/production"), main);
}

#[test]
fn t46_reserved_refs_are_moved_by_bots_alone() {
    let shop = Shop::new();
    shop.install_hook();
    let refused = |actor: &str, arguments: &[&str], reason: &str| {
        let answer = shop.push_as(actor, arguments);
        assert!(!answer.success() && answer.stderr.contains(reason), "{actor} {arguments:?}: {answer:?}");
    };
    for actor in ["ana", "root"] {
        refused(actor, &["HEAD:refs/heads/deploy/production"], "is reserved for bots");
        refused(actor, &["HEAD:refs/heads/orchestrator/state"], "is reserved for bots");
        refused(actor, &["HEAD:refs/tags/release-1"], "tag `release-1` is reserved: only bots make it");
        refused(actor, &["HEAD:refs/tags/migrated-1"], "tag `migrated-1` is reserved: only bots make it");
        let new = NewRelease::new("release-1".try_into().unwrap(), shop.rev("refs/heads/main"), "First");
        let outcome = shop.forge(actor).create_release(&new).unwrap();
        assert!(matches!(&outcome, ReleaseOutcome::Refused { .. }), "{outcome:?}");
    }
    for reference in ["heads/deploy/production", "heads/deploy/eu/west", "tags/release-1"] {
        assert!(shop.push_as("robot", &[&format!("HEAD:refs/{reference}")]).success());
    }
    shop.work.write("x.txt", "x\n");
    shop.work.commit("A change");
    assert!(shop.push_as("robot", &["HEAD:refs/heads/deploy/production"]).success());
    refused("ana", &["HEAD:refs/heads/deploy/eu/west"], "is reserved for bots");
    for actor in ["ana", "root", "robot"] {
        refused(actor, &["--force", "HEAD:refs/tags/release-1"], "it is neither moved nor deleted");
        refused(actor, &["--delete", "refs/tags/release-1"], "it is neither moved nor deleted");
        refused(actor, &["--force", "HEAD~1:refs/heads/deploy/production"], "its history is not rewritten");
        refused(actor, &["--delete", "refs/heads/deploy/production"], "it is not deleted");
    }
}

#[test]
fn t46_a_persons_rollback_sets_a_branch_to_what_it_has_held_of_that_release() {
    let book = Book::new();
    let shop = &book.shop;
    let work = &shop.work;
    let target = "HEAD:refs/heads/deploy/production";
    let render = |word: &str| {
        work.git(&["rm", "--quiet", "-r", "--force", "--ignore-unmatch", "."]);
        work.write("release.yaml", release_file("production", word));
        work.commit(&format!("render {word}"));
    };
    work.git(&["switch", "--quiet", "--orphan", "render"]);
    for word in ["older", "good", "bad"] {
        render(word);
        assert!(shop.push_as("robot", &[target]).success());
    }
    let refused = |actor: &str, reason: &str| {
        let answer = shop.push_as(actor, &[target]);
        assert!(!answer.success() && answer.stderr.contains(reason), "{answer:?}");
        work.git(&["reset", "--quiet", "--hard"]);
        work.git(&["fetch", "--quiet", "origin", "deploy/production"]);
        work.git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
    };
    render("good");
    refused("ana", "`ana` has begun none that is in force");
    book.record("robot", step("robot", Step::Proof, StepResult::Ok, "good")).unwrap();
    book.record("ana", step("ana", Step::Rollback, StepResult::Started, "good")).unwrap();
    render("evil");
    refused("ana", "the branch has never held this tree");
    render("older");
    refused("ana", "this tree is not of the environment and release of record 5");
    render("evil");
    render("good");
    refused("ana", "it must be one commit on top of the branch");
    render("good");
    refused("ben", "`ben` has begun none that is in force");
    render("good");
    let answer = shop.push_as("ana", &[target]);
    assert!(answer.success(), "{answer:?}");
}

/// What a rendered tree says of itself.
fn release_file(name: &str, word: &str) -> String {
    format!("data:\n  environment: \"{name}\"\n  release: {}\n", release(word))
}

#[test]
fn t69_a_rollback_of_ones_own_sets_back_no_other_environment_and_nothing_that_was_rejected() {
    let book = Book::new();
    let shop = &book.shop;
    let work = &shop.work;
    let push = |actor: &str, name: &str| shop.push_as(actor, &[&format!("HEAD:refs/heads/deploy/{name}")]);
    let back = |name: &str, word: &str| {
        work.git(&["fetch", "--quiet", "origin", &format!("deploy/{name}")]);
        work.git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"]);
        work.write("release.yaml", release_file(name, word));
        work.commit(&format!("back to {word}"));
    };
    let of = |name: &str, mut draft: RecordDraft| {
        draft.environment = Some(environment(name));
        draft
    };
    for name in ["production", "staging"] {
        work.git(&["switch", "--quiet", "--orphan", name]);
        for word in ["good", "bad"] {
            work.write("release.yaml", release_file(name, word));
            work.commit(&format!("render {word}"));
            assert!(push("robot", name).success());
        }
        book.record("robot", of(name, step("robot", Step::Proof, StepResult::Ok, "good"))).unwrap();
    }
    let begin = |name: &str| of(name, step("ana", Step::Rollback, StepResult::Started, "good"));
    book.record("ana", begin("staging")).unwrap();
    back("production", "good");
    let answer = push("ana", "production");
    let said = "this tree is not of the environment and release of record 6";
    assert!(!answer.success() && answer.stderr.contains(said), "{answer:?}");

    // Two of one's own at once: each sets its own branch.
    book.record("ana", begin("production")).unwrap();
    back("staging", "good");
    assert!(push("ana", "staging").success());
    back("production", "good");
    assert!(push("ana", "production").success());

    let steps_of_another_lock = |step_of: Step, result| {
        let mut draft = step("ana", step_of, result, "good");
        draft.lock = Some(LockId::try_from(Digest::of(b"another lock").as_str()).unwrap());
        book.record("ana", draft).unwrap_err()
    };
    assert!(steps_of_another_lock(Step::Deploy, StepResult::Ok).contains("the one of record 7 is to another lock"));
    assert!(steps_of_another_lock(Step::Rollback, StepResult::Started).contains("only to a release and commit"));

    let mut reject = step("ben", Step::Reject, StepResult::Ok, "good").reason("it loses orders");
    reject.environment = None;
    book.record("ben", reject).unwrap();
    let refused = book.record("ana", begin("production")).unwrap_err();
    assert!(refused.contains("the lock of this release was rejected (record 8)"), "{refused}");
    back("production", "bad");
    assert!(push("robot", "production").success());
    back("production", "good");
    let answer = push("ana", "production");
    assert!(!answer.success() && answer.stderr.contains("`ana` has begun none that is in force"), "{answer:?}");
}

#[test]
fn t46_the_port_appends_from_memory_what_a_push_may_bring_and_nothing_else() {
    let book = Book::new();
    let ledger = branch(LEDGER_BRANCH);
    let head = book.shop.rev("refs/heads/orchestrator/ledger");
    let with = |mut draft: RecordDraft, documents: &[&[u8]]| {
        draft.evidence =
            documents.iter().map(|bytes| Evidence { name: "x".to_owned(), sha256: Digest::of(bytes) }).collect();
        draft
    };
    let large = vec![b'x'; 4 * 1024 * 1024 + 1];
    let proof = || step("robot", Step::Proof, StepResult::Ok, "a");
    let attempts: [(&str, RecordDraft, Vec<&[u8]>, &str); 8] = [
        ("ana", hold("ben", "fair"), vec![], "the record names `ben`, and `ana` brings it"),
        ("ana", proof(), vec![], "the record names `robot`, and `ana` brings it"),
        ("ana", step("ana", Step::Proof, StepResult::Ok, "a"), vec![], "no rollback holds the environment"),
        ("ana", step("ana", Step::Promote, StepResult::Ok, "a"), vec![], "`promote` comes from a bot"),
        ("robot", with(proof(), &[b"x"]), vec![b"y"], "has another content than its name says"),
        ("robot", with(proof(), &[b"x"]), vec![], "which is not there"),
        ("robot", with(proof(), &[&large]), vec![&large], "has 4194305 bytes; at most 4194304 are allowed"),
        ("eve", hold("eve", "fair"), vec![], "eve"),
    ];
    for (actor, draft, documents, reason) in attempts {
        let new = book.ledger().next(draft).unwrap();
        let outcome = book.shop.forge(actor).append_record(&book.ledger(), Some(&head), &new, &documents).unwrap();
        let CommitOutcome::Refused { reasons } = outcome else { panic!("{reason}: {outcome:?}") };
        assert!(reasons.iter().any(|found| found.contains(reason)), "{reason}: {reasons:?}");
        assert_eq!(book.shop.rev("refs/heads/orchestrator/ledger"), head, "{reason}");
    }
    // What continues another ledger than the branch holds: the tip decides.
    let mut other = book.ledger();
    let ours = other.next(hold("ana", "fair")).unwrap();
    append(&book.shop.forge("robot"), "robot", "meanwhile");
    let outcome = book.shop.forge("ana").append_record(&other, Some(&head), &ours, &[]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Moved { .. }), "{outcome:?}");
    other.push(&ours).unwrap();
    let after = other.next(hold("ana", "later")).unwrap();
    let tip = book.shop.rev("refs/heads/orchestrator/ledger");
    let outcome = book.shop.forge("ana").append_record(&book.ledger(), Some(&tip), &after, &[]).unwrap();
    assert!(matches!(outcome, CommitOutcome::Refused { .. }), "{outcome:?}");
    // Every append is one that the hook takes too, and the same again is there already.
    let documents: [&[u8]; 2] = [DOCUMENT, b"new"];
    let mut read = book.ledger();
    let mut tip = tip;
    for (actor, draft) in [
        ("robot", with(proof(), &documents)),
        ("ana", step("ana", Step::Rollback, StepResult::Started, "a")),
        ("ana", with(step("ana", Step::Deploy, StepResult::Started, "a"), &documents[..1])),
    ] {
        let new = read.next(draft).unwrap();
        let given = &documents[..new.record.entry.evidence.len()];
        let forge = book.shop.forge(actor);
        let outcome = forge.append_record(&read, Some(&tip), &new, given).unwrap();
        let CommitOutcome::Committed(commit) = outcome else { panic!("{outcome:?}") };
        let again = forge.append_record(&read, Some(&tip), &new, given).unwrap();
        assert!(matches!(&again, CommitOutcome::AlreadyThere(there) if *there == commit), "{again:?}");
        read.push(&new).unwrap();
        book.reset();
        book.shop.bare.git(&["update-ref", "refs/heads/orchestrator/ledger", tip.as_str()]);
        let pushed = book.push(actor);
        assert!(pushed.success(), "{pushed:?}");
        tip = commit;
    }
    assert_eq!(book.ledger(), read);
    assert_eq!(book.shop.forge("robot").branch_head(&ledger).unwrap(), Some(tip));
}
