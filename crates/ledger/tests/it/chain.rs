use ledger::{
    Broken, DraftProblem, Evidence, Ledger, LockFile, Record, RecordDraft, RecordError, Seen, Segment, Step, StepKey,
    StepResult, record_schema,
};

use crate::builders::*;

fn story() -> Ledger {
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &freight("a"), STAGED);
    append(&mut ledger, note(Step::Hold, Some(&production()), "fair"));
    append(&mut ledger, reject(&freight("x"), "leaks memory"));
    tell(&mut ledger, &production(), &freight("a"), "rollback:started rollback:ok release:ok");
    ledger
}

#[test]
fn a_ledger_is_read_as_it_was_written() {
    let ledger = story();
    let mut files = files(&ledger);
    files.reverse();
    files.push(("evidence/sha256/aa".to_owned(), b"not looked at".to_vec()));
    files.push(("README.md".to_owned(), b"not looked at".to_vec()));
    assert_eq!(Ledger::parse(files, ledger.seen().as_ref()).unwrap(), ledger);
    assert_eq!(Ledger::parse(Vec::<(String, Vec<u8>)>::new(), None).unwrap(), Ledger::empty());
}

#[test]
fn file_names_say_what_is_inside() {
    let names: Vec<String> = story().records().iter().map(Record::file_name).collect();
    assert_eq!(names[0], "records/000/000001-staging-lock-commit-started.json");
    assert_eq!(names[7], "records/000/000008-staging-suite-started.json");
    assert_eq!(names[13], "records/000/000014-_-reject-ok.json");
}

#[test]
fn t47_a_folder_holds_the_records_of_one_thousand_numbers() {
    let mut record = story().records().first().unwrap().clone();
    let folders = [(999, "records/000/000999-"), (1000, "records/001/001000-"), (1_234_567, "records/1234/1234567-")];
    for (seq, start) in folders {
        record.seq = seq;
        assert!(record.file_name().starts_with(start), "{}", record.file_name());
    }
    // The flat form is no ledger.
    let mut files = files(&story());
    files[0].0 = files[0].0.replace("records/000/", "records/");
    let broken = Ledger::parse(files, None).unwrap_err();
    assert!(matches!(broken.what, Broken::FileName { .. }), "{}", broken.what);
}

#[test]
fn a_record_is_an_in_toto_statement() {
    let mut ledger = Ledger::empty();
    let mut hold = note(Step::Hold, Some(&production()), "fair");
    hold.evidence = vec![Evidence { name: "why.txt".to_owned(), sha256: lock_model::Digest::of(b"") }];
    append(&mut ledger, hold);
    let text = String::from_utf8(ledger.records().first().unwrap().to_json()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"environment":"production","evidence":"#,
            r#"[{"name":"why.txt","sha256":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]"#,
            r#","finished":"2025-11-24T16:00:00Z","reason":"fair","result":"ok","run":{"actor":"robot","attempt":1,"#,
            r#""id":"by-hand"},"seq":1,"started":"2025-11-24T16:00:00Z","step":"hold","version":1},"predicateType":"#,
            r#""https://github.com/Shopifake/orchestrator/ledger-record/v1","subject":[]}"#,
            "\n"
        )
    );
    let subject = String::from_utf8(story().records().first().unwrap().to_json()).unwrap();
    let hex = freight("a").lock_file.hex().to_owned();
    assert!(
        subject
            .ends_with(&format!(r#""subject":[{{"digest":{{"sha256":"{hex}"}},"name":"locks/lock.yaml"}}]}}{}"#, '\n')),
        "{subject}"
    );
}

/// What somebody does to the files, and where the break is found.
#[test]
fn t10_every_change_of_the_past_is_found() {
    type Change = fn(&mut Vec<(String, Vec<u8>)>);
    let cases: [(&str, u64, Change); 9] = [
        ("a record in the middle is dropped", 5, |files| drop(files.remove(4))),
        ("the first record is dropped", 1, |files| drop(files.remove(0))),
        ("two records change places", 4, |files| {
            let (left, right) = (files[3].1.clone(), files[4].1.clone());
            files[3].1 = right;
            files[4].1 = left;
        }),
        ("a record is there twice", 3, |files| {
            let copy = files[2].clone();
            files.push(copy);
        }),
        ("a record is there twice, under another name", 3, |files| {
            let (_, bytes) = files[2].clone();
            files.push(("records/000/000003-staging-gates-failed.json".to_owned(), bytes));
        }),
        ("a result is changed", 4, |files| {
            edit(files, 3, r#""result":"ok""#, r#""result":"failed","reason":"x""#);
        }),
        ("a word is changed in place", 5, |files| edit(files, 3, "robot", "rabot")),
        ("a file is renamed", 4, |files| "records/000/000004-production-health-ok.json".clone_into(&mut files[3].0)),
        ("a record is written differently", 6, |files| {
            let text = String::from_utf8(files[5].1.clone()).unwrap();
            files[5].1 = text.replace("\":", "\": ").into_bytes();
        }),
    ];
    for (name, at, change) in cases {
        let ledger = story();
        let mut files = files(&ledger);
        change(&mut files);
        let broken = Ledger::parse(files, None).expect_err(name);
        assert_eq!(broken.at, at, "{name}: {}", broken.what);
        assert_eq!(broken.to_string(), format!("ledger broken at {at}"));
    }
}

fn edit(files: &mut [(String, Vec<u8>)], index: usize, from: &str, to: &str) {
    let text = String::from_utf8(files[index].1.clone()).unwrap();
    assert!(text.contains(from));
    files[index].1 = text.replace(from, to).into_bytes();
}

#[test]
fn t47_a_ledger_is_joined_of_segments_that_were_kept() {
    let whole = story();
    let files = files(&whole);
    let mut joined = Ledger::empty();
    for part in files.chunks(5) {
        let segment = Segment::parse(part.iter().map(|(name, bytes)| (name, bytes))).unwrap().unwrap();
        let kept = Segment::from_kept(&segment.to_kept()).unwrap();
        assert_eq!(kept, segment);
        joined.join(kept).unwrap();
    }
    assert_eq!(joined, whole);
    joined.check_seen(whole.seen().as_ref()).unwrap();
    for bad in [&b""[..], b"{}", b"{\"head\":\"x\",\"records\":[]}"] {
        assert_eq!(Segment::from_kept(bad), None);
    }
    // A segment of another ledger, one too early and one too late do not fit.
    let segment = |range: std::ops::Range<usize>| Segment::parse(files[range].iter().cloned()).unwrap().unwrap();
    let mut early = Ledger::empty();
    early.join(segment(0..5)).unwrap();
    assert!(matches!(early.join(segment(4..8)).unwrap_err().what, Broken::Duplicate { .. }));
    assert!(matches!(early.join(segment(6..8)).unwrap_err().what, Broken::Gap { .. }));
    let mut other = Ledger::empty();
    for record in whole.records().iter().take(5) {
        let mut entry = record.entry.clone();
        entry.run.id = "another".to_owned();
        append(&mut other, entry);
    }
    assert!(matches!(other.join(segment(5..8)).unwrap_err().what, Broken::Previous { .. }));
}

#[test]
fn t10_a_rewritten_chain_is_found_by_who_saw_the_old_one() {
    let honest = story();
    let mut forged = Ledger::empty();
    for record in honest.records() {
        if record.entry.step == Step::Reject {
            append(&mut forged, note(Step::Unhold, Some(&production()), "nothing to see"));
        } else {
            append(&mut forged, record.entry.clone());
        }
    }
    Ledger::parse(files(&forged), None).expect("the forged chain is intact in itself");
    let broken = Ledger::parse(files(&forged), honest.seen().as_ref()).unwrap_err();
    assert!(matches!(broken.what, Broken::Rewritten), "{}", broken.what);
}

#[test]
fn f11_a_ledger_shorter_than_seen_is_refused() {
    let ledger = story();
    let seen = ledger.seen();
    let mut files = files(&ledger);
    files.truncate(files.len() - 3);
    let broken = Ledger::parse(files, seen.as_ref()).unwrap_err();
    assert_eq!(broken.at, 15);
    assert_eq!(broken.what.to_string(), "the ledger has 14 records, 17 were seen before");
    let broken = Ledger::parse(Vec::<(String, Vec<u8>)>::new(), seen.as_ref()).unwrap_err();
    assert!(matches!(broken.what, Broken::Shorter { found: 0, seen: 17 }));
    let nothing_seen = Seen { seq: 0, digest: lock_model::Digest::of(b"") };
    Ledger::parse(Vec::<(String, Vec<u8>)>::new(), Some(&nothing_seen)).unwrap();
}

#[test]
fn f10_of_two_writers_one_has_to_look_again() {
    let mut ledger = story();
    let (mine, theirs) = (
        ledger.next(note(Step::Hold, Some(&staging()), "mine")).unwrap(),
        ledger.next(note(Step::Hold, Some(&staging()), "theirs")).unwrap(),
    );
    ledger.push(&theirs).unwrap();
    let lost = ledger.push(&mine).unwrap_err();
    assert_eq!(lost.at, 18);
    let again = ledger.next(mine.record.entry).unwrap();
    ledger.push(&again).unwrap();
    assert_eq!(Ledger::parse(files(&ledger), None).unwrap(), ledger);
}

#[test]
fn unreadable_records_say_why() {
    let good = story().records().first().unwrap().to_json();
    let text = String::from_utf8(good).unwrap();
    let cases: [(&str, String); 9] = [
        ("the record is not in the form that is written", text.replace("locks/lock.yaml", "locks/other.yaml")),
        ("the record is larger than 65536 bytes", " ".repeat(65_537)),
        ("the record cannot be read", " ".repeat(65_536)),
        (
            "the record has version 2, this program reads version 1",
            text.replace("\"version\":1", "\"version\":2,\"new\":1"),
        ),
        ("the record cannot be read", text.replace("\"seq\"", "\"sequence\":1,\"seq\"")),
        ("the record cannot be read", "{".to_owned()),
        (
            "the statement is of type `https://slsa.dev/provenance/v1`",
            text.replace(
                "https://github.com/Shopifake/orchestrator/ledger-record/v1",
                "https://slsa.dev/provenance/v1",
            ),
        ),
        ("the record is not in the form that is written", text.trim_end().to_owned()),
        ("the record is larger than 65536 bytes", " ".repeat(70_000)),
    ];
    for (expected, bytes) in cases {
        assert_eq!(Record::parse(bytes.as_bytes()).unwrap_err().to_string(), expected);
    }
    let twice = text.replace("\"seq\":1", "\"seq\":1,\"seq\":1");
    assert!(matches!(Record::parse(twice.as_bytes()), Err(RecordError::Unreadable(_) | RecordError::NotCanonical)));
}

#[test]
fn keys_and_evidence_have_names() {
    assert_eq!(format!("[{:>7}]", StepKey::Step(Step::Deploy)), "[ deploy]");
    assert_eq!(StepKey::Suite(suite("system", "x")).to_string(), "suite system");
    let evidence = Evidence { name: "plan.json".to_owned(), sha256: lock_model::Digest::of(b"") };
    assert_eq!(evidence.path(), "evidence/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn drafts_are_checked_before_they_are_records() {
    use DraftProblem::{Missing, Result, Text, Times, Unexpected};
    let whole = |step: Step, result| draft(&staging(), &freight("a"), &StepKey::Step(step), result);
    for step in Step::ALL.iter().filter(|step| {
        !matches!(step, Step::Suite | Step::Reject | Step::Hold | Step::Unhold | Step::Policy | Step::BreakLease)
    }) {
        assert_eq!(whole(*step, StepResult::Ok).problems(), [], "{step}");
    }
    let problems = |change: fn(&mut RecordDraft), step, result| {
        let mut draft = whole(step, result);
        change(&mut draft);
        draft.problems()
    };
    assert_eq!(problems(|draft| draft.environment = None, Step::Deploy, StepResult::Ok), [Missing("environment")]);
    assert_eq!(problems(|draft| draft.release = None, Step::Proof, StepResult::Ok), [Missing("release")]);
    assert_eq!(problems(|draft| draft.lock_file = None, Step::LockCommit, StepResult::Started), [Missing("lock_file")]);
    assert_eq!(problems(|draft| draft.proof = None, Step::Proof, StepResult::Ok), [Missing("proof")]);
    assert_eq!(problems(|draft| draft.tag = None, Step::Release, StepResult::Ok), [Missing("tag")]);
    assert_eq!(problems(|draft| draft.reason = None, Step::Deploy, StepResult::Failed), [Missing("reason")]);
    assert_eq!(problems(|draft| draft.reason = None, Step::Rollback, StepResult::Started), [Missing("reason")]);
    assert_eq!(problems(|draft| draft.finished = None, Step::Deploy, StepResult::Ok), [Missing("finished")]);
    assert_eq!(problems(|draft| draft.tag = Some("v1".to_owned()), Step::Deploy, StepResult::Ok), [Unexpected("tag")]);
    assert_eq!(problems(|draft| draft.reason = Some(" ".to_owned()), Step::Deploy, StepResult::Ok), [Text("reason")]);
    assert_eq!(problems(|draft| draft.run.id.clear(), Step::Deploy, StepResult::Ok), [Text("run.id")]);
    assert_eq!(problems(|draft| draft.started = now(5), Step::Deploy, StepResult::Ok), [Times]);
    assert_eq!(problems(|_| (), Step::Gates, StepResult::Started), [Result]);
    let error = Ledger::empty().next(note(Step::Reject, None, "bad")).unwrap_err();
    assert_eq!(error.to_string(), "a record `reject ok` cannot be written: `lock` is missing");
}

#[test]
fn a_long_reason_is_shortened_instead_of_lost() {
    let mut ledger = Ledger::empty();
    let seq = append(&mut ledger, note(Step::Hold, Some(&staging()), &"ü".repeat(5000)));
    let reason = ledger.record(seq).unwrap().entry.reason.clone().unwrap();
    assert!(reason.len() <= 4096 && reason.ends_with("ü…"), "{}", reason.len());
}

#[test]
fn p3_a_lock_file_is_known_by_its_bytes_and_its_id() {
    let ledger = story();
    let (a, b) = (freight("a"), freight("b"));
    assert_eq!(ledger.lock_file(&a.lock_file, &a.lock), LockFile::Committed { seq: 2 });
    assert_eq!(ledger.lock_file(&b.lock_file, &a.lock), LockFile::Unknown, "edited, with the old id");
    assert_eq!(ledger.lock_file(&a.lock_file, &b.lock), LockFile::Unknown);
    let mut ledger = Ledger::empty();
    tell(&mut ledger, &staging(), &b, "lock-commit:started");
    assert_eq!(ledger.lock_file(&b.lock_file, &b.lock), LockFile::Started { seq: 1 });
    tell(&mut ledger, &staging(), &b, "lock-commit:superseded");
    assert_eq!(ledger.lock_file(&b.lock_file, &b.lock), LockFile::Started { seq: 1 });
    tell(&mut ledger, &staging(), &b, "lock-commit:ok lock-commit:started");
    assert_eq!(ledger.lock_file(&b.lock_file, &b.lock), LockFile::Committed { seq: 3 });
}

#[test]
fn the_schema_is_the_committed_one_and_takes_every_record() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/ledger-record.schema.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let schema = record_schema();
    let actual = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    assert!(committed == actual, "`cargo xtask generate` writes it anew");
    let validator = jsonschema::validator_for(&schema).unwrap();
    for record in story().records() {
        let value: serde_json::Value = serde_json::from_slice(&record.to_json()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", record.file_name());
    }
    let mut value: serde_json::Value = serde_json::from_slice(&story().records().first().unwrap().to_json()).unwrap();
    value["predicate"]["commit"] = serde_json::Value::Null;
    assert!(!validator.is_valid(&value), "what is absent is left out");
    value["predicate"].as_object_mut().unwrap().remove("commit");
    assert!(validator.is_valid(&value));
    value["predicate"]["surprise"] = serde_json::json!(true);
    assert!(!validator.is_valid(&value), "unknown fields are refused by the schema too");
    value["predicate"].as_object_mut().unwrap().remove("surprise");
    value["predicate"]["step"] = serde_json::json!("dance");
    assert!(!validator.is_valid(&value));
}

/// The files of a ledger.
fn files(ledger: &Ledger) -> Vec<(String, Vec<u8>)> {
    ledger.records().iter().map(|record| (record.file_name(), record.to_json())).collect()
}
