//! Images that are not there yet.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use lock_model::{Digest, ErrorClass};
use registry::layout::IndexContent;
use registry::{Event, ImageRequest, Registry, Resolution, Unresolved, UnresolvedReason, WaitPolicy};
use wiremock::ResponseTemplate;

use crate::support::{
    Fake, Store, THEIRS, commit, image, on_layout, options_with_cache, platform, repository, request, served, soon, tag,
};

/// Long enough for every test that is to succeed, with looks that come one after the other.
const PATIENT: WaitPolicy = WaitPolicy {
    total: Duration::from_secs(60),
    first_poll: Duration::from_millis(1),
    longest_poll: Duration::from_millis(2),
};

type Answers = Vec<Result<Resolution, Unresolved>>;

/// Resolves, and gives what was waited for each time: how many services of how many.
async fn waited(
    registry: &Registry,
    requests: &[ImageRequest],
    patience: WaitPolicy,
) -> (Answers, Vec<(usize, usize)>) {
    let waits = Mutex::new(Vec::new());
    let on_event = |event: Event<'_>| {
        if let Event::Waiting { missing, of, .. } = event {
            waits.lock().unwrap().push((missing.len(), of));
        }
    };
    let answers = registry.resolve_all_waiting(requests, patience, soon(), &on_event).await;
    (answers, waits.into_inner().unwrap())
}

async fn one(registry: &Registry, request: ImageRequest, patience: WaitPolicy) -> Result<Resolution, Unresolved> {
    let (answers, _) = waited(registry, &[request], patience).await;
    answers.into_iter().next().unwrap()
}

fn missing() -> ResponseTemplate {
    ResponseTemplate::new(404)
}

#[tokio::test]
async fn f18_a_404_for_a_while_is_waited_for() {
    let built = image("linux/amd64").build();
    let fake = Store::default().image("there", &built).image("late", &built).serve().await;
    fake.on("HEAD", "manifests/late", [missing(), missing(), missing(), served(&built.manifest)]);
    fake.on("GET", "manifests/late", [missing(), missing(), missing(), served(&built.manifest)]);
    let requests = [request(&["there"]), request(&["late"])];
    let (answers, waits) = waited(&fake.registry(), &requests, PATIENT).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(waits, [(1, 2); 3]);
    // What was there is not asked for with each look; at the end both are looked at again.
    let asked = fake.requests().await;
    let heads =
        |name: &str| asked.iter().filter(|line| **line == format!("HEAD /v2/shop/cart/manifests/{name}")).count();
    assert_eq!((heads("there"), heads("late")), (1, 4), "{asked:?}");
    // Without patience the same is missing at once.
    fake.on("HEAD", "manifests/late", [missing()]);
    fake.on("GET", "manifests/late", [missing()]);
    let (answers, waits) = waited(&fake.registry(), &requests, WaitPolicy::NONE).await;
    assert!(waits.is_empty());
    let unresolved = answers[1].as_ref().unwrap_err();
    assert!(matches!(unresolved.reason, UnresolvedReason::AllMissing));
}

#[tokio::test]
async fn f18_patience_ends_with_everything_that_was_tried() {
    let fake = Fake::start().await;
    let patience = WaitPolicy { total: Duration::from_secs(1), ..PATIENT };
    let (answers, waits) = waited(&fake.registry(), &[request(&["a", "b"])], patience).await;
    let unresolved = answers.into_iter().next().unwrap().unwrap_err();
    assert_eq!((unresolved.class(), unresolved.tried.len()), (ErrorClass::NotFound, 2));
    assert!(!waits.is_empty());
}

#[tokio::test]
async fn f18_b47_an_index_that_is_not_complete_yet_is_waited_for() {
    let half = IndexContent::new([image("linux/amd64")]).build();
    let whole = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).build();
    let both = || request(&["a"]).platforms([platform("linux/amd64"), platform("linux/arm64")]);
    // The index is replaced by the whole one.
    let fake = Store::default().index("x", &half).index("y", &whole).serve().await;
    fake.on("HEAD", "manifests/a", [served(&half.index), served(&half.index), served(&whole.index)]);
    fake.on("GET", "manifests/a", [served(&half.index)]);
    assert_eq!(one(&fake.registry(), both(), PATIENT).await.unwrap().image.digest, whole.index.digest);
    let pulls = fake.requests().await.iter().filter(|line| *line == "GET /v2/shop/cart/manifests/a").count();
    assert_eq!(pulls, 1, "a tag that was seen is looked at by HEAD, which counts as no pull");
    // The index comes before what it is made of.
    let fake = Store::default().index("a", &whole).serve().await;
    let child = &whole.images[1].manifest;
    fake.on("GET", &format!("manifests/{}", child.digest), [missing(), missing(), served(child)]);
    assert_eq!(one(&fake.registry(), both(), PATIENT).await.unwrap().image.digest, whole.index.digest);
    // A tag that one replica knows before the other has the document.
    let fake = Store::default().index("a", &whole).serve().await;
    let late = [missing(), served(&whole.index)];
    fake.on("GET", &format!("manifests/{}", whole.index.digest), late.clone());
    fake.on("GET", "manifests/a", late);
    fake.on("HEAD", "manifests/a", [served(&whole.index)]);
    assert_eq!(one(&fake.registry(), both(), PATIENT).await.unwrap().image.digest, whole.index.digest);
}

#[tokio::test]
async fn f18_what_was_there_and_is_gone_is_not_waited_for() {
    let half = IndexContent::new([image("linux/arm64")]).build();
    let fake = Store::default().index("a", &half).serve().await;
    fake.on("HEAD", "manifests/a", [served(&half.index), missing()]);
    fake.on("GET", "manifests/a", [missing()]);
    let (answers, waits) = waited(&fake.registry(), &[request(&["a"])], PATIENT).await;
    let unresolved = answers.into_iter().next().unwrap().unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    let text = unresolved.reason.to_string();
    assert!(text.ends_with(&format!("first `{}`, then nothing", half.index.digest)), "{text}");
    assert_eq!(waits, [(1, 1)]);
}

#[tokio::test]
async fn f18_two_replicas_that_differ_are_refused_with_both_digests_also_while_waiting() {
    let one = image("linux/amd64").label("replica", "a").build();
    let other = image("linux/amd64").label("replica", "b").build();
    let fake = Store::default().image("x", &one).image("y", &other).serve().await;
    let late = [missing(), served(&one.manifest), served(&other.manifest)];
    fake.on("HEAD", "manifests/a", late);
    fake.on("GET", "manifests/a", [missing()]);
    let (answers, waits) = waited(&fake.registry(), &[request(&["a"])], PATIENT).await;
    let text = answers.into_iter().next().unwrap().unwrap_err().reason.to_string();
    let shows = |digest: &Digest| text.contains(digest.as_str());
    assert!(shows(&one.manifest.digest) && shows(&other.manifest.digest), "{text}");
    assert_eq!(waits, [(1, 1)]);
}

#[tokio::test]
async fn f18_nothing_is_waited_for_when_something_else_is_wrong() {
    let theirs = image("linux/amd64").revision(&commit(THEIRS)).build();
    let fake = Store::default().image("theirs", &theirs).serve().await;
    let requests = [request(&["missing"]), request(&["theirs"])];
    let (answers, waits) = waited(&fake.registry(), &requests, PATIENT).await;
    assert_eq!(answers[0].as_ref().unwrap_err().class(), ErrorClass::NotFound);
    assert_eq!(answers[1].as_ref().unwrap_err().class(), ErrorClass::Invalid);
    assert!(waits.is_empty());
}

#[tokio::test]
async fn f14_f18_a_registry_that_wants_more_time_than_there_is_ends_it_at_once() {
    let fake = Fake::start().await;
    fake.on("HEAD", "manifests/a", [ResponseTemplate::new(429).insert_header("retry-after", "3600")]);
    let start = Instant::now();
    let (answers, waits) = waited(&fake.registry(), &[request(&["a"])], PATIENT).await;
    assert_eq!(answers.into_iter().next().unwrap().unwrap_err().class(), ErrorClass::Temporary);
    assert!(waits.is_empty());
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn f18_what_an_earlier_command_saw_may_come_again() {
    let built = image("linux/amd64").build();
    let fake = Store::default().image("a", &built).serve().await;
    let cache = tempfile::tempdir().unwrap();
    let command = || fake.registry_with(options_with_cache(cache.path()));
    one(&command(), request(&["a"]), PATIENT).await.unwrap();
    fake.on("HEAD", "manifests/a", [missing(), missing(), missing(), served(&built.manifest)]);
    fake.on("GET", "manifests/a", [missing()]);
    let (answers, waits) = waited(&command(), &[request(&["a"])], PATIENT).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(!waits.is_empty());
}

#[tokio::test]
async fn f18_a_folder_is_read_anew_with_each_look() {
    let folder = tempfile::tempdir().unwrap();
    let built = image("linux/amd64").build();
    let writer = Mutex::new(Store::default().contents(&built).write(folder.path()));
    let on_event = |event: Event<'_>| {
        if let Event::Waiting { missing, .. } = event {
            assert_eq!(missing, [0]);
            writer.lock().unwrap().set_tag(&repository(), &tag("a"), &built.manifest.digest).unwrap();
        }
    };
    let registry = on_layout(folder.path());
    let answers = registry.resolve_all_waiting(&[request(&["a"])], PATIENT, soon(), &on_event).await;
    assert_eq!(answers[0].as_ref().unwrap().image.digest, built.manifest.digest);
}
