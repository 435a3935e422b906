//! Logging in over the wire: challenges, token services, and what they may not make us do.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use base64::Engine as _;
use lock_model::{ErrorClass, ImageRepository};
use registry::credentials::{EnvCredential, Login, LoginSource};
use registry::layout::{BuiltImage, IndexContent};
use registry::{Credentials, ImageRequest, Mirror, Registry, RegistryErrorKind};
use serde_json::json;
use wiremock::{Request, ResponseTemplate};

use crate::support::{
    Fake, HOST, Store, env_sources, image, kind, options, options_with_logins, plain_host, platform, refusal, request,
    resolve, served, soon,
};

/// The secret that must show up nowhere but in the one header that it is for.
const CANARY: &str = "canary-5ecret";

fn built() -> BuiltImage {
    image("linux/amd64").build()
}

fn token(token: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(format!(r#"{{"token":"{token}","expires_in":300}}"#), "application/json")
}

fn bearer(auth: &Fake) -> String {
    format!(r#"Bearer realm="{}/token",service="{HOST}",scope="repository:shop/cart:pull""#, auth.uri())
}

/// A registry with the image `a` and a token which gives out `t1`.
async fn behind_tokens(accepted: &[&str]) -> (Fake, Fake) {
    let fake = Store::default().image("a", &built()).serve().await;
    let auth = Fake::start().await;
    auth.on_path("GET", "/token", [token("t1")]);
    auth.on_path("POST", "/token", [token("t1")]);
    fake.guard(&[&bearer(&auth)], accepted);
    (fake, auth)
}

fn logins(place: &str, login: Login) -> Credentials {
    let explicit = vec![EnvCredential::new("THE_VARIABLE", place, login)];
    Credentials::load(env_sources(explicit)).unwrap()
}

fn with(fake: &Fake, login: Login) -> Registry {
    let explicit = vec![EnvCredential::new("THE_VARIABLE", fake.host(), login)];
    fake.registry_with(options_with_logins(env_sources(explicit)))
}

fn password() -> Login {
    Login::password("me", CANARY)
}

fn basic_header() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{CANARY}")))
}

fn sent(request: &Request) -> Option<&str> {
    request.headers.get("authorization").map(|value| value.to_str().unwrap())
}

async fn all_sent(fake: &Fake) -> Vec<Option<String>> {
    fake.received().await.iter().map(|request| sent(request).map(str::to_owned)).collect()
}

fn named(repository: &str, tag_name: &str) -> ImageRequest {
    let mut request = request(&[tag_name]);
    request.candidates[0].repository = ImageRepository::try_from(format!("{HOST}/{repository}")).unwrap();
    request
}

#[tokio::test]
async fn b6_one_token_serves_all_requests_for_a_repository() {
    let index = IndexContent::new([image("linux/amd64"), image("linux/arm64")]).build();
    let fake = Store::default().index("a", &index).serve().await;
    let auth = Fake::start().await;
    auth.on_path("GET", "/token", [token("t1")]);
    fake.guard(&[&bearer(&auth)], &["Bearer t1"]);
    let mut wanted = request(&["a"]);
    wanted.platforms.push(platform("linux/arm64"));
    let registry = fake.registry();
    resolve(&registry, &wanted).await.unwrap();
    let asked = auth.received().await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].url.query(), Some("service=registry.example&scope=repository%3Ashop%2Fcart%3Apull"));
    assert_eq!(sent(&asked[0]), None, "nobody in particular asks");
    let refused = all_sent(&fake).await.iter().filter(|sent| sent.is_none()).count();
    assert_eq!(refused, 1, "only the first request goes without");
    let uses = registry.logins();
    assert_eq!(uses.len(), 1);
    assert_eq!((uses[0].repository.as_str(), &uses[0].trace.source), ("shop/cart", &LoginSource::Anonymous));
}

#[tokio::test]
async fn b6_many_requests_at_once_lead_to_one_token_for_each_scope() {
    let built = built();
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    let mut requests = Vec::new();
    for number in 0..64 {
        let repository = format!("shop/s{number}");
        for path in ["manifests/a".to_owned(), format!("manifests/{}", built.manifest.digest)] {
            fake.on_path("GET", &format!("/v2/{repository}/{path}"), [served(&built.manifest)]);
        }
        let config = ResponseTemplate::new(200).set_body_raw(built.config.bytes.clone(), "application/octet-stream");
        fake.on_path("GET", &format!("/v2/{repository}/blobs/{}", built.config.digest), [config]);
        // Two requests for one repository want one token.
        requests.push(named(&repository, "a"));
        requests.push(named(&repository, "a"));
    }
    fake.guard(&[&format!(r#"Bearer realm="{}/token",service=x"#, auth.uri())], &["Bearer t1"]);
    let answers = fake.registry().resolve_all(&requests, soon(), &|_| ()).await;
    assert!(answers.iter().all(Result::is_ok));
    let mut scopes: Vec<String> =
        auth.received().await.iter().map(|request| request.url.query().unwrap().to_owned()).collect();
    assert_eq!(scopes.len(), 64);
    scopes.sort();
    scopes.dedup();
    assert_eq!(scopes.len(), 64, "each repository has a scope of its own, also where none is demanded");
}

#[tokio::test]
async fn b6_a_password_goes_to_the_token_service_and_the_token_to_the_registry() {
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    let registry = with(&fake, password());
    resolve(&registry, &request(&["a"])).await.unwrap();
    assert_eq!(all_sent(&auth).await, [Some(basic_header())]);
    assert!(all_sent(&fake).await.iter().flatten().all(|sent| sent == "Bearer t1"));
    let source = LoginSource::Env { name: "THE_VARIABLE".to_owned() };
    assert_eq!(registry.logins()[0].trace.source, source);
    assert_eq!(registry.login_of(&crate::support::repository()).unwrap().source, source);
}

#[tokio::test]
async fn b5_an_identity_token_is_exchanged_and_never_shown_to_the_registry() {
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    resolve(&with(&fake, Login::identity(CANARY)), &request(&["a"])).await.unwrap();
    let asked = auth.received().await;
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].method.as_str(), sent(&asked[0])), ("POST", None));
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    assert!(form.starts_with("grant_type=refresh_token&client_id=orchestrator%2F"), "{form}");
    let end = format!("&service={HOST}&scope=repository%3Ashop%2Fcart%3Apull&refresh_token={CANARY}");
    assert!(form.ends_with(&end), "{form}");
    assert!(all_sent(&fake).await.iter().flatten().all(|sent| sent == "Bearer t1"));
}

#[tokio::test]
async fn b5_a_registry_token_is_sent_as_it_is() {
    let (fake, auth) = behind_tokens(&["Bearer from-the-file"]).await;
    resolve(&with(&fake, Login::registry("from-the-file")), &request(&["a"])).await.unwrap();
    assert_eq!(auth.received().await.len(), 0);
    // One that is refused is not sent again and again.
    let (fake, auth) = behind_tokens(&["Bearer other"]).await;
    let unresolved = refusal(&with(&fake, Login::registry("from-the-file"))).await;
    assert!(matches!(kind(&unresolved), RegistryErrorKind::LoginRefused { .. }), "{}", unresolved.reason);
    assert_eq!((auth.received().await.len(), fake.received().await.len()), (0, 2));
}

#[tokio::test]
async fn b6_basic_is_sent_when_it_is_asked_for_and_only_once_when_it_is_wrong() {
    let fake = Store::default().image("a", &built()).serve().await;
    fake.guard(&[r#"Basic realm="x""#], &[&basic_header()]);
    let registry = with(&fake, password());
    resolve(&registry, &request(&["a"])).await.unwrap();
    let first = all_sent(&fake).await;
    assert_eq!(first.iter().filter(|sent| sent.is_none()).count(), 1);

    fake.guard(&[r#"Basic realm="x""#], &["Basic other"]);
    let before = fake.received().await.len();
    let unresolved = refusal(&with(&fake, password())).await;
    assert_eq!(unresolved.class(), ErrorClass::Denied);
    assert_eq!(
        unresolved.reason.to_string(),
        format!("`{HOST}/shop/cart:a`: `{}` does not accept the login from `THE_VARIABLE` (401)", fake.host())
    );
    assert_eq!(fake.received().await.len() - before, 2);
    // Without a login nothing is sent a second time.
    let before = fake.received().await.len();
    assert!(matches!(kind(&refusal(&fake.registry()).await), RegistryErrorKind::LoginNeeded { .. }));
    assert_eq!(fake.received().await.len() - before, 1);
}

#[tokio::test]
async fn b6_tokens_are_preferred_to_passwords_with_each_request() {
    let (fake, auth) = behind_tokens(&[]).await;
    fake.guard(&[r#"Basic realm="x""#, &bearer(&auth)], &["Bearer t1"]);
    resolve(&with(&fake, password()), &request(&["a"])).await.unwrap();
    assert!(all_sent(&fake).await.iter().flatten().all(|sent| sent == "Bearer t1"));
}

#[tokio::test]
async fn b6_what_is_demanded_now_comes_before_what_was_demanded_before() {
    let built = built();
    let (fake, auth) = behind_tokens(&["Bearer t1", "Bearer t2"]).await;
    auth.on_path("GET", "/token", [token("t1"), token("t2")]);
    let more = format!(r#"Bearer realm="{}/token",scope="repository:shop/base:pull repository:x:pull""#, auth.uri());
    let config = ResponseTemplate::new(200).set_body_raw(built.config.bytes.clone(), "application/octet-stream");
    let blob = format!("blobs/{}", built.config.digest);
    fake.on("GET", &blob, [ResponseTemplate::new(401).insert_header("www-authenticate", more), config]);
    resolve(&fake.registry(), &request(&["a"])).await.unwrap();
    let asked = auth.received().await;
    assert_eq!(asked.len(), 2);
    let scopes: Vec<_> = asked[1].url.query_pairs().filter(|(name, _)| name == "scope").map(|(_, v)| v).collect();
    assert_eq!(scopes, ["repository:shop/base:pull", "repository:x:pull", "repository:shop/cart:pull"]);
}

#[tokio::test]
async fn f24_a_token_that_the_registry_no_longer_takes_is_renewed_once() {
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    auth.on_path("GET", "/token", [token("t1"), token("t2")]);
    let registry = fake.registry();
    resolve(&registry, &request(&["a"])).await.unwrap();
    fake.guard(&[&bearer(&auth)], &["Bearer t2"]);
    resolve(&registry, &request(&["a"])).await.unwrap();
    assert_eq!(auth.received().await.len(), 2);

    // One that never takes any does not make us ask for ever.
    let (fake, auth) = behind_tokens(&[]).await;
    let unresolved = refusal(&with(&fake, password())).await;
    assert!(matches!(kind(&unresolved), RegistryErrorKind::LoginRefused { status: 401, .. }), "{}", unresolved.reason);
    assert_eq!(auth.received().await.len(), 1);
}

#[tokio::test]
async fn f24_a_token_that_ends_during_a_long_run_is_renewed_before_it_does() {
    let (fake, auth) = behind_tokens(&["Bearer t1", "Bearer t2", "Bearer t3", "Bearer t4"]).await;
    let token = |text| ResponseTemplate::new(200).set_body_json(json!({ "token": text, "expires_in": 60 }));
    auth.on_path("GET", "/token", ["t1", "t2", "t3", "t4"].map(token));
    let registry = fake.registry();
    // A run of 180 seconds: the clock is moved while nothing is on its way.
    let deadline = Instant::now() + Duration::from_secs(3600);
    for _ in 0..4 {
        let answers = registry.resolve_all(&[request(&["a"])], deadline, &|_| ()).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60)).await;
        tokio::time::resume();
    }
    assert_eq!(auth.received().await.len(), 4);
    // None of them was sent after its end: the registry refused only the very first request, which had none.
    let sent = all_sent(&fake).await;
    assert_eq!(sent.iter().filter(|sent| sent.is_none()).count(), 1);
    let mut tokens: Vec<String> = sent.into_iter().flatten().collect();
    tokens.dedup();
    assert_eq!(tokens, ["Bearer t1", "Bearer t2", "Bearer t3", "Bearer t4"]);
}

#[tokio::test]
async fn t20_a_realm_that_is_not_ours_to_visit_is_refused_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    for realm in [
        format!("http://localhost:{port}/token"),
        format!("https://localhost:{port}/token"),
        format!("https://a.localhost:{port}/token"),
        format!("https://[::ffff:127.0.0.1]:{port}/token"),
        format!("http://[::ffff:7f00:1]:{port}/token"),
        format!("https://0:{port}/token"),
        format!("https://me:{CANARY}@127.0.0.1:{port}/token"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://10.0.0.1/token".to_owned(),
        "file:///etc/passwd".to_owned(),
        "/token".to_owned(),
    ] {
        let fake = Store::default().image("a", &built()).serve().await;
        fake.guard(&[&format!(r#"Bearer realm="{realm}""#)], &["Bearer t1"]);
        let unresolved = refusal(&with(&fake, password())).await;
        assert_eq!(unresolved.class(), ErrorClass::Denied, "{realm}: {}", unresolved.reason);
        assert!(matches!(kind(&unresolved), RegistryErrorKind::Realm { .. }), "{realm}: {}", unresolved.reason);
        assert!(all_sent(&fake).await.iter().all(Option::is_none), "{realm}");
    }
    assert!(listener.accept().is_err(), "somebody came");
}

#[tokio::test]
async fn t20_a_host_that_is_named_may_give_out_tokens_from_inside() {
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    let port = auth.host().split_once(':').unwrap().1.to_owned();
    fake.guard(&[&format!(r#"Bearer realm="http://localhost:{port}/token""#)], &["Bearer t1"]);
    let named = |plain_http| {
        let mut options = options();
        options.hosts.insert(format!("localhost:{port}"), plain_host(plain_http));
        fake.registry_with(options)
    };
    assert!(matches!(kind(&refusal(&named(false)).await), RegistryErrorKind::Realm { .. }));
    resolve(&named(true), &request(&["a"])).await.unwrap();
}

#[tokio::test]
async fn t21_no_login_follows_a_redirect_to_another_origin() {
    let built = built();
    for login in [password(), Login::registry(CANARY)] {
        let (fake, _auth) = behind_tokens(&["Bearer t1", &format!("Bearer {CANARY}")]).await;
        let elsewhere = Fake::start().await;
        let blob = format!("blobs/{}", built.config.digest);
        let path = format!("/v2/shop/cart/{blob}");
        let moved = |to: &str| ResponseTemplate::new(307).insert_header("location", format!("{to}{path}"));
        let config = ResponseTemplate::new(200).set_body_raw(built.config.bytes.clone(), "application/octet-stream");
        fake.on("GET", &blob, [moved(&elsewhere.uri())]);
        elsewhere.on("GET", &blob, [config]);
        resolve(&with(&fake, login), &request(&["a"])).await.unwrap();
        assert_eq!(all_sent(&elsewhere).await, [None]);

        // There and back again: the login is not picked up on the way.
        let before = fake.received().await.len();
        elsewhere.on("GET", &blob, [moved(&fake.uri())]);
        refusal(&with(&fake, password())).await;
        let back = &fake.received().await[before..];
        assert!(back.iter().filter(|r| r.url.path() == path).any(|request| sent(request).is_none()));
        assert!(all_sent(&elsewhere).await.iter().all(Option::is_none));
    }
}

#[tokio::test]
async fn t21_the_challenge_of_a_redirects_target_is_not_answered() {
    let built = built();
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    let (elsewhere, theirs) = behind_tokens(&[]).await;
    let blob = format!("blobs/{}", built.config.digest);
    let to = format!("{}/v2/shop/cart/{blob}", elsewhere.uri());
    fake.on("GET", &blob, [ResponseTemplate::new(307).insert_header("location", to)]);
    let unresolved = refusal(&with(&fake, password())).await;
    assert_eq!(unresolved.class(), ErrorClass::Denied);
    assert_eq!(all_sent(&elsewhere).await, [None]);
    assert_eq!((auth.received().await.len(), theirs.received().await.len()), (1, 0));
}

#[tokio::test]
async fn t21_a_mirror_is_given_its_own_login_and_not_the_one_of_the_name_in_the_lock() {
    let fake = Store::default().image("a", &built()).serve().await;
    fake.guard(&["Basic"], &[&basic_header()]);
    let wrong = vec![EnvCredential::new("THE_VARIABLE", HOST, password())];
    let wrong = fake.registry_with(options_with_logins(env_sources(wrong)));
    assert!(matches!(kind(&refusal(&wrong).await), RegistryErrorKind::LoginNeeded { .. }));
    assert_eq!(all_sent(&fake).await, [None]);
    resolve(&with(&fake, password()), &request(&["a"])).await.unwrap();
}

/// A proxy cache has the repositories of a registry below a path of its own: `harbor.example/dockerhub-proxy/shop/cart`.
#[tokio::test]
async fn t21_below_the_path_of_a_mirror_repository_scope_and_login_have_that_path() {
    let built = built();
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    let (manifest, config) = (&built.manifest, &built.config);
    for (path, blob) in [
        ("manifests/a".to_owned(), manifest),
        (format!("manifests/{}", manifest.digest), manifest),
        (format!("blobs/{}", config.digest), config),
    ] {
        for method in ["HEAD", "GET"] {
            fake.on_path(method, &format!("/v2/hub-proxy/of-us/shop/cart/{path}"), [served(blob)]);
        }
    }
    // The challenge names no scope: it is ours to know.
    fake.guard(&[&format!("Bearer realm=\"{}/token\",service=\"s\"", auth.uri())], &["Bearer t1"]);
    let of_path = |path: &str| {
        let login = EnvCredential::new("THE_VARIABLE", format!("{}/{path}", fake.host()), password());
        let mut options = options_with_logins(env_sources(vec![login]));
        let mirror = format!("{}/hub-proxy/of-us", fake.uri());
        options.mirrors.insert(HOST.to_owned(), Mirror::Http(mirror.parse().unwrap()));
        Registry::new(options).unwrap()
    };
    let found = resolve(&of_path("hub-proxy"), &request(&["a"])).await.unwrap();
    let reference = found.image.reference().to_string();
    assert_eq!(reference, format!("{HOST}/shop/cart:a@{}", manifest.digest), "the lock keeps the real name");
    let asked = fake.requests().await;
    assert!(asked.iter().all(|asked| asked.contains(" /v2/hub-proxy/of-us/shop/cart/")), "{asked:?}");
    let tokens = auth.received().await;
    assert!(tokens.iter().all(|one| {
        one.url.query_pairs().any(|(key, scope)| key == "scope" && scope == "repository:hub-proxy/of-us/shop/cart:pull")
    }));
    assert!(tokens.iter().all(|one| one.headers.contains_key("authorization")), "the login of that path");

    // What is missing is named as it was asked for, and by its own name.
    let unresolved = resolve(&of_path("hub-proxy"), &request(&["missing"])).await.unwrap_err();
    let both = format!("{HOST}/shop/cart:missing (asked for as {}/hub-proxy/of-us/shop/cart)", fake.host());
    assert!(unresolved.to_string().contains(&both), "{unresolved}");
    // A login for another path of the mirror is none of ours.
    auth.on_path("GET", "/token", [ResponseTemplate::new(401)]);
    let refused = resolve(&of_path("other-proxy"), &request(&["a"])).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Denied);
    let asked_as = format!("(asked for as `{}/hub-proxy/of-us/shop/cart`)", fake.host());
    assert!(refused.reason.to_string().contains(&asked_as), "{}", refused.reason);
}

#[tokio::test]
async fn t20_a_token_service_that_fails_or_lies_is_classed_by_what_it_did() {
    let status = ResponseTemplate::new;
    let denied = status(401).set_body_raw(r#"{"errors":[{"code":"DENIED","message":"bad password"}]}"#, "text/json");
    for (answer, class, requests, text) in [
        (denied, ErrorClass::Denied, 1, "does not accept the login from `THE_VARIABLE` (401): DENIED bad password"),
        (status(403), ErrorClass::Denied, 1, "does not accept the login from `THE_VARIABLE` (403)"),
        (status(400), ErrorClass::Denied, 1, "does not accept the login from `THE_VARIABLE` (400)"),
        (status(503), ErrorClass::Temporary, 4, "is busy (503)"),
        (status(500), ErrorClass::Temporary, 4, "is busy (500)"),
        (status(404), ErrorClass::Denied, 1, "has the status 404"),
        (status(200), ErrorClass::Denied, 1, "is not a JSON object with a token"),
        (status(200).set_body_raw("<html>", "text/html"), ErrorClass::Denied, 1, "is not a JSON object with a token"),
        (status(200).set_body_raw("{}", "text/json"), ErrorClass::Denied, 1, "holds none"),
        (status(200).set_body_bytes(vec![b' '; 2 << 20]), ErrorClass::Denied, 1, "larger than 1048576 bytes"),
        (status(302).insert_header("location", "https://a.example"), ErrorClass::Denied, 1, "one address"),
    ] {
        let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
        auth.on_path("GET", "/token", [answer]);
        let unresolved = refusal(&with(&fake, password())).await;
        let shown = unresolved.reason.to_string();
        assert!(shown.contains(text), "{shown}");
        assert_eq!(unresolved.class(), class, "{shown}");
        assert!(shown.contains(&auth.host()), "{shown}");
        assert_eq!(auth.received().await.len(), requests, "{shown}");
    }
}

#[tokio::test]
async fn f14_a_token_service_that_wants_to_be_left_alone_for_long_ends_it_at_once() {
    let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
    auth.on_path("GET", "/token", [ResponseTemplate::new(429).insert_header("retry-after", "3600")]);
    let start = Instant::now();
    let unresolved = refusal(&fake.registry()).await;
    assert_eq!(unresolved.class(), ErrorClass::Temporary);
    assert!(unresolved.reason.to_string().contains("asks to wait 3600 s"), "{}", unresolved.reason);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(auth.received().await.len(), 1);
}

#[tokio::test]
async fn b6_nobody_is_told_what_to_do_about_a_login_that_nobody_asked_for() {
    // A challenge that cannot be understood is shown as it is.
    let fake = Store::default().image("a", &built()).serve().await;
    for challenge in ["Negotiate", "Bearer service=x", "Digest realm=x"] {
        fake.guard(&[challenge], &[]);
        let unresolved = refusal(&with(&fake, password())).await;
        let text = unresolved.reason.to_string();
        assert!(matches!(kind(&unresolved), RegistryErrorKind::LoginRefused { .. }), "{text}");
        assert!(all_sent(&fake).await.iter().all(Option::is_none));
    }
    // An open registry asks for none, and nobody looks for one.
    let fake = Store::default().image("a", &built()).serve().await;
    let registry = with(&fake, password());
    resolve(&registry, &request(&["a"])).await.unwrap();
    assert_eq!(registry.logins(), []);
}

#[tokio::test]
async fn t25_no_error_event_or_debug_form_shows_a_secret() {
    let mut shown = Vec::new();
    for login in [password(), Login::identity(CANARY), Login::registry(CANARY)] {
        for answer in [
            ResponseTemplate::new(401).set_body_string("no"),
            ResponseTemplate::new(503),
            ResponseTemplate::new(200).set_body_string(format!(r#"{{"token":["{CANARY}"]}}"#)),
            ResponseTemplate::new(200).set_body_string(format!(r#"{{"token":"{CANARY}"}}"#)),
        ] {
            let (fake, auth) = behind_tokens(&["Bearer t1"]).await;
            auth.on_path("GET", "/token", [answer.clone()]);
            auth.on_path("POST", "/token", [answer]);
            let registry = with(&fake, login.clone());
            let events = std::sync::Mutex::new(Vec::new());
            let requests = [request(&["a"])];
            let log = |event: registry::Event<'_>| events.lock().unwrap().push(format!("{event:?}"));
            let answers = registry.resolve_all(&requests, soon(), &log).await;
            let unresolved = answers[0].as_ref().unwrap_err();
            shown.push(format!("{} {unresolved:?} {registry:?} {:?}", unresolved.reason, registry.logins()));
            shown.extend(events.into_inner().unwrap());
        }
        shown.push(format!("{login:?} {:?}", logins("ghcr.io", login.clone())));
    }
    let shown = shown.join("\n");
    for form in [CANARY.to_owned(), basic_header().replace("Basic ", ""), CANARY.replace('-', "%2D")] {
        assert!(!shown.contains(&form), "{form} in {shown}");
    }
    assert!(shown.contains("THE_VARIABLE"));
}

#[tokio::test]
async fn b7_mirrors_over_plain_http_to_other_machines_must_be_named() {
    let mut options = options();
    let mirror = Mirror::Http("http://registry.corp:5000".parse().unwrap());
    options.mirrors.insert(HOST.to_owned(), mirror);
    Registry::new(options.clone()).unwrap_err();
    options.hosts.insert("registry.corp:5000".to_owned(), plain_host(true));
    Registry::new(options).unwrap();
}
