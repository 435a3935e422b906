//! A real registry behind a line that is slow, narrow, cut, reset, silent or shut.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lock_model::ErrorClass;
use registry::layout::LayoutWriter;
use registry::{Event, ImageRequest, Mirror, Registry, RegistryErrorKind, RegistryOptions, Resolution, Unresolved};
use test_support::{DockerRegistry, Skopeo, Stream, ToxicDoor, Toxiproxy};

use crate::support::{HOST, image, options, repository, request, soon, tag};

/// Larger than a header, so that a cut can be told to fall into the body.
const PADDING: usize = 8 << 10;
const SERVICES: usize = 6;

/// A registry with an image whose manifest is large, and the proxy that doors to it are made in.
fn line() -> Option<(DockerRegistry, Toxiproxy)> {
    let server = DockerRegistry::start_or_skip()?;
    let proxy = Toxiproxy::start_or_skip()?;
    let skopeo = Skopeo::find_or_skip()?;
    let folder = tempfile::tempdir().unwrap();
    let mut writer = LayoutWriter::create(folder.path()).unwrap();
    let content = image("linux/amd64").annotation("padding", "x".repeat(PADDING));
    writer.add_image(&repository(), &tag("a"), &content).unwrap();
    skopeo.push_layout(folder.path(), &format!("{}:a", repository()), &server, "shop/cart:a");
    Some((server, proxy))
}

fn registry(door: &ToxicDoor<'_>, change: impl FnOnce(&mut RegistryOptions)) -> Registry {
    let mut options = options();
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(door.url().parse().unwrap()));
    change(&mut options);
    Registry::new(options).unwrap()
}

/// What came of one request, and how often it was sent again; `on_retry` is told before each time.
async fn resolve(
    registry: &Registry,
    tag: &str,
    on_retry: impl Fn(u32) + Sync,
) -> (Result<Resolution, Unresolved>, u32) {
    let retries = AtomicU32::new(0);
    let wanted = [request(&[tag])];
    let on_event = |event: Event<'_>| {
        if let Event::Retrying { .. } = event {
            let number = retries.fetch_add(1, Ordering::Relaxed) + 1;
            on_retry(number);
        }
    };
    let mut answers = registry.resolve_all(&wanted, soon(), &on_event).await;
    (answers.remove(0), retries.into_inner())
}

fn kind(unresolved: &Unresolved) -> &RegistryErrorKind {
    assert_eq!(unresolved.class(), ErrorClass::Temporary, "{}", unresolved.reason);
    crate::support::kind(unresolved)
}

#[tokio::test]
async fn b8_a_slow_or_narrow_line_is_waited_for_and_nothing_is_sent_twice() {
    let Some((server, proxy)) = line() else { return };
    let door = proxy.door("slow", server.address());
    door.delay(40);
    let start = Instant::now();
    let (found, retries) = resolve(&registry(&door, |_| ()), "a", |_| ()).await;
    found.unwrap();
    assert_eq!(retries, 0);
    // The manifest, then its configuration and the second look.
    assert!(start.elapsed() >= Duration::from_millis(2 * 80), "{:?}", start.elapsed());

    let door = proxy.door("narrow", server.address());
    // Kilobytes a second.
    door.add("bandwidth", Stream::Down, &[("rate", 40)]);
    door.add("slow_close", Stream::Down, &[("delay", 200)]);
    let (found, retries) = resolve(&registry(&door, |_| ()), "a", |_| ()).await;
    found.unwrap();
    assert_eq!(retries, 0);
}

#[tokio::test]
async fn b8_a_body_that_is_cut_off_is_asked_for_again_and_not_for_ever() {
    let Some((server, proxy)) = line() else { return };
    let door = proxy.door("cut", server.address());
    door.add("limit_data", Stream::Down, &[("bytes", 4 << 10)]);
    let registry = registry(&door, |_| ());
    let (refused, retries) = resolve(&registry, "a", |_| ()).await;
    let refused = refused.unwrap_err();
    assert!(matches!(kind(&refused), RegistryErrorKind::CutOff { .. }), "{}", refused.reason);
    assert_eq!(retries, options().retry.retries);

    let (found, retries) = resolve(&registry, "a", |retry| {
        if retry == 2 {
            door.remove("limit_data", Stream::Down);
        }
    })
    .await;
    found.unwrap();
    assert_eq!(retries, 2);
}

#[tokio::test]
async fn b8_a_reset_and_a_shut_door_are_tried_again() {
    let Some((server, proxy)) = line() else { return };
    let door = proxy.door("reset", server.address());
    door.add("reset_peer", Stream::Down, &[("timeout", 0)]);
    let registry = registry(&door, |_| ());
    let (refused, retries) = resolve(&registry, "a", |_| ()).await;
    let refused = refused.unwrap_err();
    assert!(matches!(kind(&refused), RegistryErrorKind::Unreachable { .. }), "{}", refused.reason);
    assert_eq!(retries, options().retry.retries);
    let (found, retries) = resolve(&registry, "a", |_| door.remove("reset_peer", Stream::Down)).await;
    found.unwrap();
    assert_eq!(retries, 1);

    // Connections that lay ready are cut with it.
    door.shut();
    let (refused, retries) = resolve(&registry, "a", |_| ()).await;
    assert!(matches!(kind(&refused.unwrap_err()), RegistryErrorKind::Unreachable { .. }));
    assert_eq!(retries, options().retry.retries);
    let (found, _) = resolve(&registry, "a", |retry| {
        if retry == 1 {
            door.open();
        }
    })
    .await;
    found.unwrap();
}

#[tokio::test]
async fn b8_what_does_not_pass_by_itself_is_asked_once_on_a_bad_line_too() {
    let Some((server, proxy)) = line() else { return };
    let door = proxy.door("slow", server.address());
    door.delay(20);
    let (missing, retries) = resolve(&registry(&door, |_| ()), "missing", |_| ()).await;
    assert_eq!(missing.unwrap_err().class(), ErrorClass::NotFound);
    assert_eq!(retries, 0);
}

#[tokio::test]
async fn t40_silence_ends_at_the_limit_of_a_request() {
    let Some((server, proxy)) = line() else { return };
    let door = proxy.door("silent", server.address());
    // Takes everything, answers nothing.
    door.add("timeout", Stream::Down, &[("timeout", 0)]);
    let limit = Duration::from_millis(150);
    let registry = registry(&door, |options| options.request_timeout = limit);
    let start = Instant::now();
    let (refused, retries) = resolve(&registry, "a", |_| ()).await;
    assert!(matches!(kind(&refused.unwrap_err()), RegistryErrorKind::TimedOut { .. }));
    assert_eq!(retries, options().retry.retries);
    assert!(start.elapsed() >= limit * (retries + 1), "{:?}", start.elapsed());
    assert!(start.elapsed() < limit * 40, "{:?}", start.elapsed());
}

/// Services of which every other one is at a host that works, and the others at one that takes everything and answers
/// nothing.
async fn resolve_two_hosts(
    server: &DockerRegistry,
    proxy: &Toxiproxy,
    request_timeout: Duration,
    patience: Duration,
) -> Vec<(bool, Result<Resolution, Unresolved>)> {
    let (silent, healthy) = (proxy.door("silent", server.address()), proxy.door("healthy", server.address()));
    silent.add("timeout", Stream::Down, &[("timeout", 0)]);
    let registry = registry(&silent, |options| {
        options.mirrors.insert("healthy.example".to_owned(), Mirror::Http(healthy.url().parse().unwrap()));
        options.request_timeout = request_timeout;
        options.retry.retries = 0;
    });
    let requests: Vec<ImageRequest> = (0..SERVICES)
        .map(|number| {
            let mut wanted = request(&["a"]);
            if number % 2 == 0 {
                wanted.candidates[0].repository = "healthy.example/shop/cart".parse().unwrap();
            }
            wanted
        })
        .collect();
    let answers = registry.resolve_all(&requests, Instant::now() + patience, &|_| ()).await;
    let at_the_healthy = |wanted: &ImageRequest| wanted.candidates[0].repository.host() == "healthy.example";
    requests.iter().map(at_the_healthy).zip(answers).collect()
}

#[tokio::test]
async fn f19_a_silent_host_takes_nothing_from_another() {
    let Some((server, proxy)) = line() else { return };
    let answers = resolve_two_hosts(&server, &proxy, Duration::from_millis(800), Duration::from_secs(60)).await;
    assert_eq!(answers.len(), SERVICES);
    for (at_the_healthy, answer) in answers {
        match answer {
            Ok(_) => assert!(at_the_healthy),
            Err(unresolved) => {
                assert!(!at_the_healthy, "{}", unresolved.reason);
                assert!(matches!(kind(&unresolved), RegistryErrorKind::TimedOut { .. }), "{}", unresolved.reason);
            }
        }
    }
}

#[tokio::test]
async fn f19_a_host_that_is_silent_to_the_end_is_the_only_one_to_blame() {
    let Some((server, proxy)) = line() else { return };
    let (start, patience) = (Instant::now(), Duration::from_secs(4));
    let answers = resolve_two_hosts(&server, &proxy, Duration::from_secs(30), patience).await;
    assert!(start.elapsed() >= patience.mul_f32(0.8), "{:?}", start.elapsed());
    assert!(start.elapsed() < patience + Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(answers.len(), SERVICES);
    for (at_the_healthy, answer) in answers {
        // Some of the time is kept for the last look at the tags, so that the healthy host is not blamed.
        match answer {
            Ok(_) => assert!(at_the_healthy),
            Err(unresolved) => {
                assert!(!at_the_healthy, "{}", unresolved.reason);
                assert!(matches!(kind(&unresolved), RegistryErrorKind::Deadline { .. }), "{}", unresolved.reason);
            }
        }
    }
}
