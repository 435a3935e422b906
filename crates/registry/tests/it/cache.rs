//! What is kept from one command to the next, and what is asked for all the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;
use registry::layout::{BuiltIndex, IndexContent};
use registry::{AttemptOutcome, DigestRequest, ImageRequest, Registry, RevisionPolicy, UnresolvedReason};
use tempfile::TempDir;
use wiremock::ResponseTemplate;

use crate::support::{
    Fake, Store, THEIRS, commit, image, options_with_cache, platform, repository, request, resolve, served, soon, tag,
};

fn index(text: &str) -> BuiltIndex {
    IndexContent::new([image("linux/amd64").file("f", text), image("linux/arm64").file("f", text)]).build()
}

fn both_platforms(tags: &[&str]) -> ImageRequest {
    request(tags).platforms([platform("linux/amd64"), platform("linux/arm64")])
}

/// A new command on the same cache.
fn command(fake: &Fake, cache: &Path) -> Registry {
    fake.registry_with(options_with_cache(cache))
}

/// Room for some four images.
const LIMIT: u64 = 16 << 10;

/// A new command on a small cache.
fn limited_command(fake: &Fake, cache: &Path) -> Registry {
    let mut options = options_with_cache(cache);
    options.cache_limit = LIMIT;
    fake.registry_with(options)
}

/// A registry, and a cache that knows its image `a`.
async fn warm() -> (Fake, TempDir, BuiltIndex) {
    let index = index("1");
    let fake = Store::default().index("a", &index).serve().await;
    let cache = tempfile::tempdir().unwrap();
    resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap();
    assert_eq!(fake.requests().await.len(), 6, "two looks at the tag, two manifests, two configurations");
    fake.forget_requests().await;
    (fake, cache, index)
}

/// What was kept.
fn records(cache: &Path) -> PathBuf {
    cache.join("v3/records")
}

/// How many bytes were kept.
fn size(cache: &Path) -> u64 {
    fs::metadata(records(cache)).unwrap().len()
}

#[tokio::test]
async fn f24_a_warm_run_costs_one_head_and_comes_to_the_same_entry() {
    let (fake, cache, _) = warm().await;
    let cold = resolve(&fake.registry(), &both_platforms(&["a"])).await.unwrap();
    fake.forget_requests().await;
    let registry = command(&fake, cache.path());
    let warm = resolve(&registry, &both_platforms(&["a"])).await.unwrap();
    assert_eq!(fake.requests().await, ["HEAD /v2/shop/cart/manifests/a"]);
    assert_eq!((warm.image, warm.tried, warm.warnings), (cold.image, cold.tried, cold.warnings));
    assert_eq!(registry.cache_problem(), None);
}

#[tokio::test]
async fn what_a_cache_remembers_is_no_answer_where_the_registry_wants_a_login() {
    let (fake, cache, _) = warm().await;
    fake.guard(&["Basic realm=\"x\""], &[]);
    let unresolved = resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Denied);
    let [attempt] = unresolved.tried.as_slice() else { panic!("{unresolved:?}") };
    let AttemptOutcome::Failed { class: ErrorClass::Denied, message } = &attempt.outcome else { panic!("{attempt}") };
    assert!(unresolved.reason.to_string().ends_with(message), "{message}: {}", unresolved.reason);
}

#[tokio::test]
async fn t7_a_tag_that_moved_since_the_last_command_is_looked_at_anew() {
    let (fake, cache, _) = warm().await;
    let moved = index("2");
    for image in &moved.images {
        fake.document(image.manifest.digest.as_str(), &image.manifest);
        let config = ResponseTemplate::new(200).set_body_raw(image.config.bytes.clone(), "application/octet-stream");
        fake.on("GET", &format!("blobs/{}", image.config.digest), [config]);
    }
    fake.document("a", &moved.index);
    let found = resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap();
    assert_eq!(found.image.digest, moved.index.digest);
    // Known from now on.
    fake.forget_requests().await;
    resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap();
    assert_eq!(fake.requests().await.len(), 1);
    // One that is gone is gone.
    fake.on("GET", "manifests/a", [ResponseTemplate::new(404)]);
    let unresolved = resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap_err();
    assert!(matches!(unresolved.reason, UnresolvedReason::AllMissing), "{}", unresolved.reason);
}

#[tokio::test]
async fn b2_a_tag_that_moves_while_it_is_looked_at_anew_is_refused() {
    let (fake, cache, _) = warm().await;
    let [second, third] = ["2", "3"].map(index);
    for image in second.images.iter().chain(&third.images) {
        fake.document(image.manifest.digest.as_str(), &image.manifest);
        let config = ResponseTemplate::new(200).set_body_raw(image.config.bytes.clone(), "application/octet-stream");
        fake.on("GET", &format!("blobs/{}", image.config.digest), [config]);
    }
    for moved in [&second, &third] {
        fake.document(moved.index.digest.as_str(), &moved.index);
    }
    fake.on("HEAD", "manifests/a", [served(&second.index), served(&third.index)]);
    fake.on("GET", "manifests/a", [served(&second.index), served(&third.index)]);
    let unresolved = resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap_err();
    let text = unresolved.reason.to_string();
    assert!(text.contains(second.index.digest.as_str()) && text.contains(third.index.digest.as_str()), "{text}");
}

#[tokio::test]
async fn t5_what_is_remembered_refuses_nothing_by_itself() {
    let (fake, cache, _) = warm().await;
    // For another commit the image is the wrong one; the registry has the last word.
    let wanted = both_platforms(&["a"]).built_from(commit(THEIRS), RevisionPolicy::Require);
    let unresolved = resolve(&command(&fake, cache.path()), &wanted).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    assert!(fake.requests().await.contains(&"GET /v2/shop/cart/manifests/a".to_owned()));
}

#[tokio::test]
async fn f24_a_damaged_file_is_dropped_and_fetched_again() {
    let (fake, cache, _) = warm().await;
    let file = records(cache.path());
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let cut = good[..good.len() / 2].to_vec();
    let damaged = (0..good.len()).step_by(97).chain([good.len() - 1]).map(flipped);
    for bad in damaged.chain([cut, Vec::new(), b"\n".to_vec(), vec![0xff; 2 << 20]]) {
        fs::write(&file, &bad).unwrap();
        let registry = command(&fake, cache.path());
        resolve(&registry, &both_platforms(&["a"])).await.unwrap();
        assert_eq!(registry.cache_problem(), None);
        fake.forget_requests().await;
        resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap();
        assert_eq!(fake.requests().await.len(), 1, "all is known again");
    }
}

#[tokio::test]
async fn f4_a_file_that_is_larger_than_any_of_ours_is_not_read() {
    let (fake, cache, _) = warm().await;
    let file = fs::File::options().write(true).open(records(cache.path())).unwrap();
    file.set_len(1 << 40).unwrap();
    resolve(&command(&fake, cache.path()), &both_platforms(&["a"])).await.unwrap();
    assert!(size(cache.path()) < LIMIT, "written anew");
}

#[tokio::test]
async fn f5_while_another_process_writes_nothing_is_kept_and_nothing_waits_long() {
    let index = index("1");
    let fake = Store::default().index("a", &index).serve().await;
    let cache = tempfile::tempdir().unwrap();
    fs::create_dir(cache.path().join("v3")).unwrap();
    let lock = fs::File::create(cache.path().join("v3/lock")).unwrap();
    lock.lock().unwrap();
    let registry = command(&fake, cache.path());
    resolve(&registry, &both_platforms(&["a"])).await.unwrap();
    assert_eq!(registry.cache_problem(), None);
    assert!(!records(cache.path()).exists());
    drop(lock);
    resolve(&registry, &both_platforms(&["a"])).await.unwrap();
    assert!(records(cache.path()).exists());
}

#[tokio::test]
async fn t33_a_remembered_digest_is_no_answer_about_what_the_registry_has() {
    let (fake, cache, index) = warm().await;
    let lost = &index.images[1].manifest.digest;
    fake.on("GET", &format!("manifests/{lost}"), [ResponseTemplate::new(404)]);
    let question = DigestRequest::new(repository(), index.index.digest.clone())
        .platforms([(platform("linux/arm64"), lost.clone())]);
    let answers = command(&fake, cache.path()).check_digests(&[question], soon(), &|_| ()).await;
    let answer = answers.into_iter().next().unwrap().unwrap();
    assert_eq!(answer.missing, [(Some(platform("linux/arm64")), lost.clone())]);
}

#[tokio::test]
async fn f4_a_cache_that_cannot_be_used_is_said_and_changes_nothing() {
    let index = index("1");
    let fake = Store::default().index("a", &index).serve().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    // A file where the folder should be, also for those who may write everywhere.
    let registry = command(&fake, &file);
    resolve(&registry, &both_platforms(&["a"])).await.unwrap();
    let problem = registry.cache_problem().unwrap();
    assert!(problem.starts_with(&format!("the cache `{}", file.display())), "{problem}");
    assert_eq!(fake.requests().await.len(), 6);
}

#[tokio::test]
async fn f24_many_commands_share_a_cache_that_nobody_else_can_read() {
    let index = index("1");
    let fake = Store::default().index("a", &index).serve().await;
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("below/cache");
    let commands: Vec<_> = (0..8).map(|_| command(&fake, &cache)).collect();
    let wanted = both_platforms(&["a"]);
    let answers = futures_util::future::join_all(commands.iter().map(|command| resolve(command, &wanted))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(commands.iter().all(|command| command.cache_problem().is_none()));
    fake.forget_requests().await;
    resolve(&command(&fake, &cache), &wanted).await.unwrap();
    assert_eq!(fake.requests().await.len(), 1);
    let alone = tempfile::tempdir().unwrap();
    resolve(&command(&fake, alone.path()), &wanted).await.unwrap();
    assert_eq!(size(&cache), size(alone.path()), "each record stands there once");
    for (path, mode) in [(cache.clone(), 0o700), (cache.join("v3"), 0o700), (records(&cache), 0o600)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
}

#[tokio::test]
async fn f24_a_warm_run_costs_one_head_for_each_candidate_up_to_the_image() {
    let index = index("1");
    let fake = Store::default().index("b", &index).serve().await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = both_platforms(&["a", "b", "c"]);
    let cold = resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    fake.forget_requests().await;
    let warm = resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    let mut asked = fake.requests().await;
    asked.sort();
    assert_eq!(asked, ["HEAD /v2/shop/cart/manifests/a", "HEAD /v2/shop/cart/manifests/b"]);
    assert_eq!((&warm.image, &warm.tried), (&cold.image, &cold.tried));

    // The first candidate has come meanwhile: it is the image, whatever is remembered of the second.
    let newer = image("linux/amd64").file("f", "newer");
    let newer = IndexContent::new([newer, image("linux/arm64")]).build();
    for image in &newer.images {
        fake.document(image.manifest.digest.as_str(), &image.manifest);
        let config = ResponseTemplate::new(200).set_body_raw(image.config.bytes.clone(), "application/octet-stream");
        fake.on("GET", &format!("blobs/{}", image.config.digest), [config]);
    }
    fake.document("a", &newer.index);
    let found = resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    assert_eq!((found.image.digest, found.image.tag), (newer.index.digest, Some(tag("a"))));
}

#[tokio::test]
async fn f24_an_earlier_candidate_without_an_answer_is_not_taken_for_missing() {
    let index = index("1");
    let fake = Store::default().index("b", &index).serve().await;
    let cache = tempfile::tempdir().unwrap();
    let wanted = both_platforms(&["a", "b"]);
    resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    fake.on("GET", "manifests/a", [ResponseTemplate::new(403)]);
    let unresolved = resolve(&command(&fake, cache.path()), &wanted).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Denied, "{}", unresolved.reason);
}

#[tokio::test]
async fn f24_a_candidate_that_is_gone_is_not_remembered() {
    let (fake, cache, index) = warm().await;
    fake.on("GET", "manifests/a", [ResponseTemplate::new(404)]);
    fake.document("b", &index.index);
    let wanted = both_platforms(&["a", "b"]);
    let found = resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    assert_eq!(found.image.tag, Some(tag("b")));
    fake.forget_requests().await;
    resolve(&command(&fake, cache.path()), &wanted).await.unwrap();
    assert_eq!(fake.requests().await.len(), 2, "one HEAD for each candidate");
}

#[tokio::test]
async fn f4_a_cache_stays_within_its_limit_and_keeps_what_is_used() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let limited = || limited_command(&fake, folder.path());
    let serve = |name: &str| {
        let index = index(name);
        for image in &index.images {
            fake.document(image.manifest.digest.as_str(), &image.manifest);
            let config =
                ResponseTemplate::new(200).set_body_raw(image.config.bytes.clone(), "application/octet-stream");
            fake.on("GET", &format!("blobs/{}", image.config.digest), [config]);
        }
        fake.document(name, &index.index);
    };
    for number in 0..20 {
        let name = format!("v{number}");
        serve(&name);
        // The first one is used by every command.
        let wanted = [name.as_str(), "v0"].map(|name| both_platforms(&[name]));
        fake.forget_requests().await;
        let answers = limited().resolve_all(&wanted, soon(), &|_| ()).await;
        assert!(answers.iter().all(Result::is_ok));
        let asked = fake.requests().await.iter().filter(|line| line.ends_with("/v0")).count();
        assert!(number == 0 || asked == 1, "{number}: it is known");
        assert!(size(folder.path()) <= LIMIT, "after {number}");
    }
    assert!(size(folder.path()) > LIMIT / 2, "not everything is thrown away");
}

#[tokio::test]
async fn f5_commands_that_make_room_at_the_same_time_disturb_nobody() {
    let fake = Fake::start().await;
    let names: Vec<String> = (0..26).map(|number| format!("v{number}")).collect();
    for name in &names {
        let index = index(name);
        for image in &index.images {
            fake.document(image.manifest.digest.as_str(), &image.manifest);
            let config =
                ResponseTemplate::new(200).set_body_raw(image.config.bytes.clone(), "application/octet-stream");
            fake.on("GET", &format!("blobs/{}", image.config.digest), [config]);
        }
        fake.document(name, &index.index);
    }
    let folder = tempfile::tempdir().unwrap();
    let limited = || limited_command(&fake, folder.path());
    // Every command makes room.
    std::thread::scope(|scope| {
        for name in names.iter().skip(2) {
            let (command, wanted) = (limited(), both_platforms(&[name.as_str()]));
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(resolve(&command, &wanted)).unwrap();
                assert_eq!(command.cache_problem(), None);
            });
        }
    });
    resolve(&limited(), &both_platforms(&["v0"])).await.unwrap();
    resolve(&limited(), &both_platforms(&["v1"])).await.unwrap();
    assert!(size(folder.path()) <= LIMIT);
}
