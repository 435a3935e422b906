//! How a registry on the wire can answer: headers, statuses, redirects.

use std::time::{Duration, Instant};

use lock_model::{Digest, ErrorClass};
use registry::layout::{Blob, BuiltImage, IndexContent};
use registry::{
    AttemptOutcome, Mirror, OptionsError, Registry, RegistryErrorKind, RegistryOptions, RetryPolicy, UnresolvedReason,
};
use wiremock::ResponseTemplate;

use crate::support::{
    Fake, HOST, Store, THEIRS, commit, image, kind, on_layout, options, plain_host, platform, request, resolve, served,
    served_bare, soon,
};

fn built() -> BuiltImage {
    image("linux/amd64").build()
}

async fn with_image(tag: &str) -> (Fake, BuiltImage) {
    let built = built();
    (Store::default().image(tag, &built).serve().await, built)
}

fn status(code: u16) -> ResponseTemplate {
    ResponseTemplate::new(code)
}

async fn refusal(fake: &Fake) -> (ErrorClass, String) {
    let unresolved = resolve(&fake.registry(), &request(&["a"])).await.unwrap_err();
    (unresolved.class(), unresolved.reason.to_string())
}

#[tokio::test]
async fn b1_one_get_of_the_tag_and_everything_else_is_asked_for_by_digest() {
    let index = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).attestations().build();
    let fake = Store::default().index("a", &index).serve().await;
    let mut wanted = request(&["a"]);
    wanted.platforms.push(platform("linux/arm64"));
    resolve(&fake.registry(), &wanted).await.unwrap();
    let mut requests = fake.requests().await;
    let first = requests[0].clone();
    assert_eq!(first, "GET /v2/shop/cart/manifests/a");
    assert_eq!(count(&requests, "HEAD /v2/shop/cart/manifests/a"), 1, "the second look: {requests:?}");
    let mut expected: Vec<String> = vec![first];
    for image in &index.images {
        expected.push(format!("GET /v2/shop/cart/manifests/{}", image.manifest.digest));
        expected.push(format!("GET /v2/shop/cart/blobs/{}", image.config.digest));
    }
    expected.sort();
    requests.retain(|request| request.starts_with("GET"));
    requests.sort();
    assert_eq!(requests, expected, "each document once");
}

#[tokio::test]
async fn b1_a_head_that_fails_or_names_no_digest_is_followed_by_a_get() {
    let upper = built().manifest.digest.as_str().to_uppercase();
    let capital_hex = format!("sha256:{}", built().manifest.digest.hex().to_uppercase());
    let mut heads = vec![served_bare(&built().manifest)];
    for header in ["", "garbage", "sha256:", "sha256:abc", &upper, &capital_hex, &format!("sha512:{}", "a".repeat(128))]
    {
        heads.push(served_bare(&built().manifest).insert_header("docker-content-digest", header));
    }
    heads.extend([400, 403, 404, 405, 500, 501].map(status));
    for head in heads {
        let (fake, built) = with_image("a").await;
        let shown = format!("{head:?}");
        fake.on("HEAD", "manifests/a", [head]);
        let found =
            resolve(&fake.registry(), &request(&["a"])).await.unwrap_or_else(|e| panic!("{shown}: {}", e.reason));
        assert_eq!(found.image.digest, built.manifest.digest);
    }
}

#[tokio::test]
async fn t33_a_digest_that_is_not_the_one_of_the_body_is_refused_with_both() {
    let lie = Digest::of(b"lie");
    let truth = built().manifest.digest;
    let lying = || served_bare(&built().manifest).insert_header("docker-content-digest", lie.as_str());
    let html = ResponseTemplate::new(200)
        .insert_header("docker-content-digest", Digest::of(b"<html>").as_str())
        .set_body_raw("<html>", "text/html");
    let expected = format!("announced as `{lie}`, but what came hashes to `{truth}`");

    // HEAD and GET lie alike, and there is nothing under the false digest.
    let (fake, _) = with_image("a").await;
    fake.on("GET", "manifests/a", [lying()]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.ends_with(&expected), "{text}");

    // Only HEAD lies, or gives an old answer.
    let (fake, _) = with_image("a").await;
    fake.on("HEAD", "manifests/a", [lying()]);
    assert!(refusal(&fake).await.1.ends_with(&expected));

    // Only HEAD has the tag, and the false digest leads to the image.
    let fake = Fake::start().await;
    fake.on("HEAD", "manifests/a", [lying()]);
    fake.on("GET", &format!("manifests/{lie}"), [served_bare(&built().manifest)]);
    assert!(refusal(&fake).await.1.ends_with(&expected));

    // HEAD says nothing, GET lies.
    let (fake, _) = with_image("a").await;
    fake.on("HEAD", "manifests/a", [served_bare(&built().manifest)]);
    fake.on("GET", "manifests/a", [lying()]);
    assert!(refusal(&fake).await.1.ends_with(&expected));

    // A child and a configuration with other bytes.
    let index = IndexContent::new([image("linux/amd64")]).build();
    let child = &index.images[0];
    for path in [format!("manifests/{}", child.manifest.digest), format!("blobs/{}", child.config.digest)] {
        let fake = Store::default().index("a", &index).serve().await;
        fake.on("GET", &path, [ResponseTemplate::new(200).set_body_raw("{}", &child.manifest.media_type)]);
        let (class, text) = refusal(&fake).await;
        assert_eq!(class, ErrorClass::Invalid);
        assert!(text.ends_with(&format!("what came hashes to `{}`", Digest::of(b"{}"))), "{text}");
    }

    // A child that is right and served in another type.
    let fake = Store::default().index("a", &index).serve().await;
    let other = ResponseTemplate::new(200).set_body_raw(child.manifest.bytes.clone(), "application/json");
    fake.on("GET", &format!("manifests/{}", child.manifest.digest), [other]);
    assert!(refusal(&fake).await.1.ends_with("served is a `application/json`"));

    // A web page with its own correct digest is still no image.
    let (fake, _) = with_image("a").await;
    fake.on("GET", "manifests/a", [html]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.ends_with("not an image: the answer is `text/html`"), "{text}");
}

#[tokio::test]
async fn t33_two_different_digest_headers_count_as_none() {
    let (fake, built) = with_image("a").await;
    let two = served(&built.manifest).append_header("docker-content-digest", Digest::of(b"other").as_str());
    fake.on("HEAD", "manifests/a", [two]);
    assert_eq!(resolve(&fake.registry(), &request(&["a"])).await.unwrap().image.digest, built.manifest.digest);
}

#[tokio::test]
async fn t33_the_type_of_the_answer_must_be_the_one_of_the_document() {
    let built = built();
    let fake = Store::default().image("a", &built).serve().await;
    let other = ResponseTemplate::new(200)
        .insert_header("docker-content-digest", built.manifest.digest.as_str())
        .set_body_raw(built.manifest.bytes.clone(), "application/vnd.oci.image.index.v1+json; charset=utf-8");
    fake.on("GET", "manifests/a", [other]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.contains("announced as `application/vnd.oci.image.index.v1+json` but calling itself"), "{text}");
}

#[tokio::test]
async fn a_404_with_an_empty_body_is_a_missing_image() {
    let fake = Fake::start().await;
    let (class, text) = refusal(&fake).await;
    assert_eq!((class, text.as_str()), (ErrorClass::NotFound, "none of its images exists"));
}

#[tokio::test]
async fn a_repository_that_is_missing_is_told_from_a_tag_that_is() {
    let unknown = status(404).set_body_raw(r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#, "application/json");
    let tags =
        |tags: &str| status(200).set_body_raw(format!(r#"{{"name":"shop/cart","tags":{tags}}}"#), "application/json");
    for (answer, expected) in [
        (unknown, AttemptOutcome::RepositoryMissing),
        (tags("null"), AttemptOutcome::RepositoryMissing),
        (tags(r#"["b"]"#), AttemptOutcome::Missing),
        (status(404).set_body_raw("<html>404 Not Found", "text/html"), AttemptOutcome::PageMissing),
        (status(404), AttemptOutcome::Missing),
        (status(403), AttemptOutcome::Missing),
    ] {
        let fake = Fake::start().await;
        fake.on("GET", "tags/list", [answer]);
        let requests = [request(&["a", "b"]), request(&["c"])];
        for unresolved in fake.registry().resolve_all(&requests, soon(), &|_| ()).await {
            let unresolved = unresolved.unwrap_err();
            assert_eq!(unresolved.class(), ErrorClass::NotFound);
            assert!(unresolved.tried.iter().all(|attempt| attempt.outcome == expected), "{unresolved}");
        }
        let asked = fake.requests().await.iter().filter(|line| line.ends_with("tags/list")).count();
        assert_eq!(asked, 1, "once for each repository");
    }
    for (store, expected) in [
        (Store::default(), AttemptOutcome::RepositoryMissing),
        (Store::default().image("b", &built()), AttemptOutcome::Missing),
    ] {
        let folder = tempfile::tempdir().unwrap();
        store.write(folder.path());
        let unresolved = resolve(&on_layout(folder.path()), &request(&["a"])).await.unwrap_err();
        assert_eq!(unresolved.tried[0].outcome, expected);
    }
}

#[tokio::test]
async fn a_digest_that_was_named_and_is_gone_is_not_a_missing_image() {
    let built = built();
    let fake = Fake::start().await;
    fake.on("HEAD", "manifests/a", [served(&built.manifest)]);
    let unresolved = resolve(&fake.registry(), &request(&["a", "b"])).await.unwrap_err();
    let UnresolvedReason::Failed(error) = &unresolved.reason else { panic!("{}", unresolved.reason) };
    assert!(matches!(error.kind(), RegistryErrorKind::Gone { .. }), "{error}");
    assert_eq!(error.reference(), "registry.example/shop/cart:a");
    assert_eq!(unresolved.tried.len(), 1, "the next candidate is not asked");
}

#[tokio::test]
async fn a_registry_that_serves_by_tag_only_is_believed_when_the_hash_is_right() {
    let built = built();
    let fake = Store::default().image("a", &built).serve().await;
    fake.on("GET", &format!("manifests/{}", built.manifest.digest), [status(404)]);
    assert_eq!(resolve(&fake.registry(), &request(&["a"])).await.unwrap().image.digest, built.manifest.digest);
}

#[tokio::test]
async fn a_login_that_is_asked_for_is_named() {
    let challenge = r#"Basic realm="registry.example""#;
    let fake = Fake::start().await;
    fake.on("GET", "manifests/a", [status(401).insert_header("www-authenticate", challenge)]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Denied);
    assert!(text.contains(r#"asks for a login (Basic realm="registry.example"), and none is known"#), "{text}");
    assert_eq!(fake.requests().await.len(), 1, "a login does not appear by asking again");

    let fake = Fake::start().await;
    fake.on("GET", "manifests/a", [status(401)]);
    assert!(refusal(&fake).await.1.contains("asks for a login (without saying how)"));
}

#[tokio::test]
async fn a_refusal_is_quoted() {
    let body = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
    let fake = Fake::start().await;
    fake.on("GET", "manifests/a", [status(403).set_body_raw(body, "application/json")]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Denied);
    assert!(text.ends_with("refuses (403): DENIED not for you"), "{text}");
}

#[tokio::test]
async fn the_statuses_that_pass_are_asked_again() {
    for code in [408, 429, 502, 503, 504] {
        let (fake, built) = with_image("a").await;
        let busy = || [status(code), status(code).insert_header("retry-after", "0"), served(&built.manifest)];
        fake.on("GET", "manifests/a", busy());
        fake.on("HEAD", "manifests/a", busy());
        let found = resolve(&fake.registry(), &request(&["a"])).await.unwrap();
        assert_eq!(found.image.digest, built.manifest.digest, "{code}");

        fake.on("GET", "manifests/b", [status(code)]);
        let unresolved = resolve(&fake.registry(), &request(&["b"])).await.unwrap_err();
        assert_eq!(unresolved.class(), ErrorClass::Temporary, "{code}");
        assert!(unresolved.reason.to_string().ends_with(&format!("is busy ({code})")), "{}", unresolved.reason);
        let asked = fake.requests().await.iter().filter(|request| request.ends_with("manifests/b")).count();
        assert_eq!(asked, 4, "once, and three times again");
    }
}

#[tokio::test]
async fn a_registry_that_answers_500_is_asked_again_and_then_called_busy() {
    let (fake, built) = with_image("a").await;
    fake.on("HEAD", "manifests/a", [status(500)]);
    fake.on("GET", "manifests/a", [status(500), status(500), served(&built.manifest)]);
    let found = resolve(&fake.registry(), &request(&["a"])).await.unwrap();
    assert_eq!(found.image.digest, built.manifest.digest, "HEAD alone fails at some registries");

    fake.on("GET", "manifests/b", [status(500)]);
    let (class, text) = {
        let unresolved = resolve(&fake.registry(), &request(&["b"])).await.unwrap_err();
        (unresolved.class(), unresolved.reason.to_string())
    };
    assert_eq!(class, ErrorClass::Temporary);
    assert!(text.ends_with("is busy (500)"), "{text}");
    let asked = fake
        .requests()
        .await
        .iter()
        .filter(|request| request.starts_with("GET") && request.ends_with("manifests/b"))
        .count();
    assert_eq!(asked, 4, "once, and three times again");
}

#[tokio::test]
async fn the_statuses_that_stay_are_not_asked_again() {
    for code in [400, 410, 418, 501] {
        let fake = Fake::start().await;
        fake.on("GET", "manifests/a", [status(code)]);
        let (class, text) = refusal(&fake).await;
        assert_eq!(class, ErrorClass::Invalid);
        assert!(text.ends_with(&format!("answered {code}")), "{text}");
        assert_eq!(fake.requests().await.len(), 1);
    }
}

#[tokio::test]
async fn f14_a_wait_beyond_the_deadline_ends_at_once() {
    let fake = Fake::start().await;
    let busy = status(429).insert_header("retry-after", "3600");
    fake.on("GET", "manifests/a", [busy]);
    let start = Instant::now();
    let mut options = options();
    options.concurrency = 1;
    let registry = fake.registry_with(options);
    let deadline = start + Duration::from_secs(60);
    let answers = registry.resolve_all(&[request(&["a"]), request(&["b"])], deadline, &|_| ()).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    let mut said = Vec::new();
    for answer in answers {
        let unresolved = answer.unwrap_err();
        assert_eq!(unresolved.class(), ErrorClass::Temporary);
        said.push(unresolved.reason.to_string());
    }
    // What the registry said, and what it never said to the other request.
    said.sort_by_key(|text| text.contains("was busy"));
    assert!(said[0].contains("is busy (429) and asks to wait 3600 s"), "{said:?}");
    assert!(said[1].contains("was busy, and is asked again in 3") && !said[1].contains("429"), "{said:?}");
    assert_eq!(fake.requests().await.len(), 1, "the host is left alone");
}

#[tokio::test]
async fn b2_f18_a_registry_that_answers_differently_each_time_is_refused_with_both() {
    let one = built();
    let other = image("linux/amd64").label("replica", "b").build();
    let fake = Store::default().image("a", &one).contents(&other).serve().await;
    fake.on("HEAD", "manifests/a", [served(&other.manifest)]);
    fake.on("GET", "manifests/a", [served(&one.manifest), served(&other.manifest)]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    let (one, other) = (one.manifest.digest, other.manifest.digest);
    assert!(text.ends_with(&format!("moved while it was read: first `{one}`, then `{other}`")), "{text}");
}

#[tokio::test]
async fn b2_second_looks_begin_once_every_tag_has_its_first_answer() {
    let [one, other] = ["1", "2"].map(|label| image("linux/amd64").label("build", label).build());
    let fake = Store::default().image("a", &one).image("b", &other).serve().await;
    fake.on("GET", "manifests/b", [status(503), served(&other.manifest)]);
    fake.on("GET", &format!("blobs/{}", one.config.digest), [slow(&one.config, 300)]);
    let requests = [request(&["a"]), request(&["b"])];
    let found = fake.registry().resolve_all(&requests, soon(), &|_| ()).await;
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    let requests = fake.requests().await;
    let last = |line: &str| requests.iter().rposition(|request| request == line).unwrap();
    let heads = ["a", "b"].map(|tag| last(&format!("HEAD /v2/shop/cart/manifests/{tag}")));
    assert!(heads.iter().all(|head| *head > last("GET /v2/shop/cart/manifests/b")), "{requests:?}");
    let [a, b] = ["a", "b"].map(|tag| count(&requests, &format!("HEAD /v2/shop/cart/manifests/{tag}")));
    assert_eq!([a, b], [1, 1], "{requests:?}");
}

#[tokio::test]
async fn b2_a_second_look_that_another_tags_first_look_follows_is_made_once_more() {
    let [one, other] = ["1", "2"].map(|label| image("linux/amd64").label("build", label).build());
    let theirs = image("linux/amd64").revision(&commit(THEIRS)).build();
    let fake = Store::default().image("a", &one).image("x", &theirs).image("b", &other).serve().await;
    let requests = [request(&["a"]), request(&["x", "b"])];
    // Long enough for the first look at `x`, and shorter than what comes before the one at `b`.
    fake.on("GET", &format!("blobs/{}", one.config.digest), [slow(&one.config, 200)]);
    fake.on("GET", &format!("blobs/{}", theirs.config.digest), [slow(&theirs.config, 600)]);
    let found = fake.registry().resolve_all(&requests, soon(), &|_| ()).await;
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    let requests = fake.requests().await;
    let first_of_b = requests.iter().position(|request| request == "GET /v2/shop/cart/manifests/b").unwrap();
    let (before, after) = requests.split_at(first_of_b);
    let head_of_a = "HEAD /v2/shop/cart/manifests/a";
    assert_eq!([count(before, head_of_a), count(after, head_of_a)], [1, 1], "{requests:?}");
    assert_eq!(count(after, "HEAD /v2/shop/cart/manifests/b"), 1, "{requests:?}");

    // What moved between the two second looks is not taken.
    let moved = image("linux/amd64").label("build", "3").build();
    fake.on("HEAD", "manifests/a", [served(&one.manifest), served(&moved.manifest)]);
    fake.on("GET", "manifests/a", [served(&one.manifest), served(&moved.manifest)]);
    let requests = [request(&["a"]), request(&["x", "b"])];
    let found = fake.registry().resolve_all(&requests, soon(), &|_| ()).await;
    assert!(matches!(kind(found[0].as_ref().unwrap_err()), RegistryErrorKind::Moved { .. }), "{found:?}");
}

/// A blob that comes after some milliseconds.
fn slow(blob: &Blob, milliseconds: u64) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_bytes(blob.bytes.clone()).set_delay(Duration::from_millis(milliseconds))
}

fn count(requests: &[String], line: &str) -> usize {
    requests.iter().filter(|request| *request == line).count()
}

#[tokio::test]
async fn f18_a_tag_that_was_there_and_is_gone_is_an_error() {
    let (fake, built) = with_image("a").await;
    fake.on("HEAD", "manifests/a", [status(404)]);
    fake.on("GET", "manifests/a", [served(&built.manifest), status(404)]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.ends_with(&format!("first `{}`, then nothing", built.manifest.digest)), "{text}");
}

#[tokio::test]
async fn a_fault_at_the_last_look_is_a_fault() {
    let (fake, _) = with_image("a").await;
    fake.on("HEAD", "manifests/a", [status(503)]);
    assert_eq!(refusal(&fake).await.0, ErrorClass::Temporary);
}

#[tokio::test]
async fn t21_redirects_are_followed_five_times() {
    let elsewhere = Fake::start().await;
    let (fake, built) = with_image("a").await;
    let config = format!("blobs/{}", built.config.digest);
    let hop = |number: u32| status(307).insert_header("location", format!("/v2/shop/cart/hop/{number}"));
    fake.on("GET", &config, [hop(1)]);
    for number in 1..4 {
        fake.on("GET", &format!("hop/{number}"), [hop(number + 1)]);
    }
    let target = format!("{}/v2/shop/cart/storage?signature=secret", elsewhere.uri());
    fake.on("GET", "hop/4", [status(302).insert_header("location", target)]);
    elsewhere.on("GET", "storage", [ResponseTemplate::new(200).set_body_bytes(built.config.bytes.clone())]);
    resolve(&fake.registry(), &request(&["a"])).await.unwrap();
    for seen in elsewhere.received().await {
        assert!(!seen.headers.contains_key("authorization") && !seen.headers.contains_key("referer"), "{seen:?}");
    }

    fake.on("GET", "hop/4", [hop(5)]);
    fake.on("GET", "hop/5", [hop(1)]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.ends_with("redirects more than 5 times"), "{text}");
}

#[tokio::test]
async fn t21_a_redirect_to_another_machine_over_plain_http_is_refused() {
    for (location, why) in [
        (Some("http://169.254.169.254/latest/meta-data?token=secret"), "to `http://169.254.169.254/latest/meta-data`"),
        (Some("ftp://127.0.0.1/x"), "to `ftp://127.0.0.1/x`"),
        (Some("http://["), "to no address"),
        (None, "to no address"),
    ] {
        let (fake, built) = with_image("a").await;
        let redirect = status(307);
        let redirect = location.iter().fold(redirect, |answer, location| answer.insert_header("location", *location));
        fake.on("GET", &format!("blobs/{}", built.config.digest), [redirect]);
        let (class, text) = refusal(&fake).await;
        assert_eq!(class, ErrorClass::Invalid);
        assert!(text.contains(why) && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn t40_a_compressed_answer_is_refused() {
    let (fake, built) = with_image("a").await;
    let compressed = served(&built.manifest).insert_header("content-encoding", "gzip");
    fake.on("GET", "manifests/a", [compressed]);
    let (class, text) = refusal(&fake).await;
    assert_eq!(class, ErrorClass::Invalid);
    assert!(text.contains("the answer is compressed (`gzip`)"), "{text}");
}

#[tokio::test]
async fn a_request_says_who_asks_and_carries_nothing_else() {
    let (fake, _) = with_image("a").await;
    resolve(&fake.registry(), &request(&["a"])).await.unwrap();
    for seen in fake.received().await {
        let names: Vec<&str> = seen.headers.keys().map(wiremock::http::HeaderName::as_str).collect();
        assert!(names.iter().all(|name| ["accept", "user-agent", "host"].contains(name)), "{names:?}");
        assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("orchestrator/"));
    }
}

#[tokio::test]
async fn the_lock_keeps_the_real_name_of_a_mirrored_registry() {
    let (fake, _) = with_image("a").await;
    let found = resolve(&fake.registry(), &request(&["a"])).await.unwrap();
    let reference = found.image.reference().to_string();
    assert!(reference.starts_with("registry.example/shop/cart:a@sha256:"), "{reference}");
}

#[test]
fn t20_mirrors_over_plain_http_are_on_this_machine() {
    for (url, accepted) in [
        ("http://127.0.0.1:5000", true),
        ("http://localhost:5000", true),
        ("https://mirror.example", true),
        ("http://mirror.example", false),
        ("http://10.0.0.1:5000", false),
        ("https://user:secret@mirror.example", false),
        ("https://mirror.example/prefix/of-it", true),
        ("https://mirror.example/Prefix", false),
        ("https://mirror.example/prefix/", false),
        ("https://mirror.example/a//b", false),
        ("https://mirror.example/%61", false),
        ("https://mirror.example/prefix?x", false),
        ("file:///srv", false),
    ] {
        let mut options = options();
        options.mirrors.insert(HOST.to_owned(), Mirror::Http(url.parse().unwrap()));
        match (Registry::new(options), accepted) {
            (Ok(_), true) => {}
            (Err(error @ OptionsError::Mirror { .. }), false) => {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
            (other, _) => panic!("{url}: {other:?}"),
        }
    }
    let mut options = options();
    options.concurrency = 0;
    assert!(matches!(Registry::new(options), Err(OptionsError::NoConcurrency)));
}

#[tokio::test]
async fn a_proxy_is_asked_for_other_machines_and_never_for_this_one() {
    let (proxy, built) = with_image("a").await;
    let mut options = options();
    let host = "registry.corp:5000".to_owned();
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(format!("http://{host}").parse().unwrap()));
    options.hosts.insert(host, plain_host(true));
    options.proxies.http = Some(proxy.uri().parse().unwrap());
    let found = resolve(&Registry::new(options.clone()).unwrap(), &request(&["a"])).await.unwrap();
    assert_eq!(found.image.digest, built.manifest.digest);
    assert!(proxy.received().await.iter().all(|request| request.headers["host"] == "registry.corp:5000"));

    let before = proxy.received().await.len();
    let (fake, _) = with_image("a").await;
    resolve(&fake.registry_with(options.clone()), &request(&["a"])).await.unwrap();
    assert_eq!(proxy.received().await.len(), before);

    // An exception is asked itself; there is no such machine.
    options.proxies.exceptions = "corp".to_owned();
    options.retry.retries = 0;
    let unresolved = resolve(&Registry::new(options).unwrap(), &request(&["a"])).await.unwrap_err();
    // Unknown for certain, or only not answered: that depends on the name servers of the machine.
    assert!(matches!(unresolved.class(), ErrorClass::Invalid | ErrorClass::Temporary), "{}", unresolved.reason);
    assert_eq!(proxy.received().await.len(), before);
}

#[tokio::test]
async fn b8_a_registry_that_fails_for_all_images_is_given_up_once_for_all() {
    let policy = |options: &mut RegistryOptions| {
        let (first_wait, longest_wait) = (Duration::from_millis(100), Duration::from_secs(8));
        options.retry = RetryPolicy { retries: 3, first_wait, longest_wait };
    };
    let ask = async |images: usize| {
        let fake = Fake::start().await;
        fake.on("HEAD", "manifests/a", [status(500)]);
        fake.on("GET", "manifests/a", [status(500)]);
        let mut options = options();
        policy(&mut options);
        let (began, requests) = (Instant::now(), vec![request(&["a"]); images]);
        let answers = fake.registry_with(options).resolve_all(&requests, soon(), &|_| ()).await;
        for answer in answers {
            let unresolved = answer.unwrap_err();
            assert!(unresolved.reason.to_string().ends_with("is busy (500)"), "{}", unresolved.reason);
        }
        began.elapsed()
    };
    let (one, all) = (ask(1).await, ask(19).await);
    assert!(all < one * 2 + Duration::from_secs(1), "{all:?} for all, {one:?} for one");
}

#[tokio::test]
async fn b8_a_registry_that_is_busy_for_a_while_is_waited_for_and_tags_are_not_listed() {
    let (fake, built) = with_image("a").await;
    let busy = [429, 503, 429, 502, 504].map(status).into_iter();
    fake.on("HEAD", "manifests/a", busy.chain([served(&built.manifest)]));
    let requests = vec![request(&["a"]); 20];
    let mut options = options();
    options.retry.retries = 5;
    let answers = fake.registry_with(options).resolve_all(&requests, soon(), &|_| ()).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(fake.requests().await.iter().all(|request| !request.contains("/tags/")));
}
