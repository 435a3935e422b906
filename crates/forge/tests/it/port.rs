//! The whole flow of a lock from pull request to release, with nothing but the port.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use forge::ledger::{Ledger, RecordDraft, RunIdentity, Step, StepResult};
use forge::simulator::Bypass;
use forge::{
    CommitOutcome, FileChange, Forge, ForgeError, ForgeErrorKind, LEDGER_BRANCH, LeaseOutcome, MergeRef, NewRelease,
    OpenOutcome, PullRequestEdit, PullRequestState, Readiness, ReleaseOutcome, ReviewState, StatusState, WriteOutcome,
};
use lock_model::Digest;

use crate::shop::{Shop, at, branch, environment, new_pull, user};

/// The local forge answers at once.
fn answer<T>(future: impl Future<Output = Result<T, ForgeError>> + Send) -> Result<T, ForgeError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the local forge waits for nothing"),
    }
}

#[test]
fn the_port_is_enough_from_pull_request_to_release() {
    let shop = Shop::new();
    let head = shop.push_dev("news.txt", "news\n");
    let (dev, staging) = (branch("dev"), branch("staging"));
    let forge = Forge::Local(shop.forge("robot"));

    assert!(answer(forge.users()).unwrap().iter().any(|known| known.name == user("robot") && known.bot));
    let protected = answer(forge.protected_branches()).unwrap();
    assert_eq!(protected[&staging].required_statuses.len(), 2);
    assert_eq!(answer(forge.branches()).unwrap()[&dev], head);
    let staging_head = answer(forge.branch_head(&staging)).unwrap().unwrap();

    shop.at(1);
    let opened = answer(forge.open_pull_request(&new_pull("dev", "staging").readiness(Readiness::Draft))).unwrap();
    let OpenOutcome::Created(pull) = opened else { panic!("{opened:?}") };
    assert_eq!((&pull.head, &pull.base, pull.draft, pull.created_at), (&head, &staging_head, true, at(1)));
    assert_eq!(answer(forge.find_open(&dev, &staging)).unwrap().as_ref(), Some(&pull));
    assert_eq!(answer(forge.pull_requests_of_commit(&head)).unwrap(), [pull]);
    let MergeRef::Clean { tree, .. } = answer(forge.merge_ref(1)).unwrap() else { panic!("a conflict") };
    assert_eq!(shop.bare.tree("refs/pull/1/merge"), tree.as_str());

    assert_eq!(answer(forge.put_artefact(1, "lock.yaml", b"version: 1\n")).unwrap(), WriteOutcome::Created);
    assert_eq!(answer(forge.artefact(1, "lock.yaml")).unwrap().as_deref(), Some(&b"version: 1\n"[..]));
    assert_eq!(answer(forge.upsert_comment(1, "lock", "# The lock\n")).unwrap(), WriteOutcome::Created);
    assert_eq!(answer(forge.comments(1)).unwrap()[0].body, "# The lock\n");
    for context in ["orchestrator/lock", "orchestrator/suites"] {
        let set = answer(forge.set_status(&head, None, context, StatusState::Success, "fine")).unwrap();
        assert_eq!(set, WriteOutcome::Created);
    }
    assert_eq!(answer(forge.statuses(&head)).unwrap().len(), 2);
    let ready = PullRequestEdit::default().readiness(Readiness::Ready);
    assert_eq!(answer(forge.edit_pull_request(1, &ready)).unwrap(), WriteOutcome::Updated);
    assert!(!answer(forge.pull_request(1)).unwrap().draft);

    // People act on the forge's own side.
    shop.forge("ben").simulator().submit_review(1, &head, ReviewState::Approved, "").unwrap();
    shop.forge("ben").simulator().merge(1, &head, Bypass::No).unwrap();
    let reviews = answer(forge.reviews(1)).unwrap();
    assert_eq!((reviews.len(), reviews[0].state, &reviews[0].commit), (1, ReviewState::Approved, &head));
    let merged = answer(forge.pull_requests(Some(PullRequestState::Merged))).unwrap();
    let merge = merged[0].merge.clone().unwrap();

    let LeaseOutcome::Held(lease) = answer(forge.lease(&environment("staging"), "run 7")).unwrap() else {
        panic!("no other run works here")
    };
    assert_eq!((lease.holder().holder.as_str(), lease.abandoned_by()), ("run 7", None));
    let busy = answer(forge.lease(&environment("staging"), "run 8")).unwrap();
    assert!(matches!(busy, LeaseOutcome::Busy { holder: Some(holder) } if holder.holder == "run 7"));

    let write = |path: &str| [FileChange::Write { path: path.try_into().unwrap(), bytes: b"version: 1\n".to_vec() }];
    let lock = write("locks/lock.yaml");
    let late = answer(forge.commit_files(&staging, Some(&staging_head), &lock, "Lock\n")).unwrap();
    assert_eq!(late, CommitOutcome::Moved { actual: Some(merge.commit.clone()) });
    let outcome = answer(forge.commit_files(&staging, Some(&merge.commit), &lock, "Lock\n")).unwrap();
    let CommitOutcome::Committed(locked) = outcome else { panic!("{outcome:?}") };
    let hold = RecordDraft::new(Step::Hold, StepResult::Ok, RunIdentity::new("run-7", "robot"), at(9))
        .environment(&environment("staging"))
        .reason("a fair");
    let record = Ledger::empty().next(hold).unwrap();
    let path = record.file_name.as_str().try_into().unwrap();
    let change = FileChange::Write { path, bytes: record.bytes.clone() };
    let appended = answer(forge.commit_files(&branch(LEDGER_BRANCH), None, &[change], "Record\n")).unwrap();
    let CommitOutcome::Committed(tip) = appended else { panic!("{appended:?}") };
    let files = answer(forge.list_folder(&tip, &"records/000".try_into().unwrap())).unwrap();
    let ids: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
    assert_eq!(answer(forge.blob_sizes(&ids)).unwrap(), [record.bytes.len() as u64]);
    assert_eq!(answer(forge.blob_contents(&ids)).unwrap(), [record.bytes]);
    assert_eq!(answer(forge.reserved_refs()).unwrap().len(), 4);
    assert_eq!(answer(forge.acting_user()).unwrap().name.as_str(), "robot");

    let new = NewRelease::new("release-1".parse().unwrap(), locked, "Release 1\n").asset("lock.yaml", b"version: 1\n");
    let outcome = answer(forge.create_release(&new)).unwrap();
    let ReleaseOutcome::Created(release) = outcome else { panic!("{outcome:?}") };
    assert_eq!(release.assets[0].digest, Digest::of(b"version: 1\n"));
    assert_eq!(answer(forge.releases()).unwrap(), [release]);
    drop(lease);

    let error = answer(forge.pull_request(2)).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ForgeErrorKind::PullRequestNotFound, "pull request 2 does not exist")
    );
}
