//! A real registry behind a real front: TLS of a private authority, and HTTP/2 where it is offered.

use std::collections::BTreeSet;
use std::path::Path;

use registry::{Mirror, PemAuthority, Registry, Resolution};
use test_support::{DockerRegistry, Nginx};

use crate::real_auth::filled;
use crate::support::{HOST, options, request, resolve, soon};

const IMAGES: usize = 24;

/// A registry, and nginx with TLS in front of it; `listen` says what nginx offers.
fn front(server: &DockerRegistry, listen: &str) -> Option<Nginx> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let block = format!(
        "ssl_certificate {fixtures}/server.pem;\n\
         ssl_certificate_key {fixtures}/server.key.pem;\n\
         keepalive_requests 10000;\n\
         location / {{ proxy_pass {}; proxy_set_header Host $http_host; }}",
        server.url(),
        fixtures = fixtures.display(),
    );
    Nginx::start_or_skip(listen, &block)
}

fn through(front: &Nginx, concurrency: usize) -> Registry {
    let mut options = options();
    options.concurrency = concurrency;
    let authority = include_str!("../fixtures/authority.pem");
    options.authorities = vec![PemAuthority::new("authority.pem", authority)];
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(format!("https://{}", front.address()).parse().unwrap()));
    Registry::new(options).unwrap()
}

async fn resolve_many(registry: &Registry) -> Vec<Resolution> {
    let requests = vec![request(&["missing", "a"]); IMAGES];
    registry.resolve_all(&requests, soon(), &|_| ()).await.into_iter().map(Result::unwrap).collect()
}

fn protocols(log: &[String]) -> BTreeSet<&str> {
    log.iter().map(|line| line.split(' ').next().unwrap()).collect()
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    let Some(server) = filled() else { return };
    let direct = Registry::new(options().mirror(HOST, Mirror::Http(server.url().parse().unwrap())));
    let expected = resolve(&direct.unwrap(), &request(&["a"])).await.unwrap().image;
    for (listen, protocol) in [("ssl http2", "HTTP/2.0"), ("ssl", "HTTP/1.1")] {
        let Some(front) = front(&server, listen) else { return };
        let found = resolve_many(&through(&front, 8)).await;
        assert_eq!(found.len(), IMAGES);
        assert!(found.iter().all(|found| found.image == expected));
        let log = front.stop();
        assert_eq!(protocols(&log), BTreeSet::from([protocol]), "{log:#?}");
        assert!(log.len() >= IMAGES, "{log:#?}");
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let Some(server) = filled() else { return };
    // A connection may come back to the pool a moment after the next request has opened its own.
    for (listen, concurrency, most) in [("ssl http2", 8, 16), ("ssl", 8, 16), ("ssl", 1, 2)] {
        let Some(front) = front(&server, listen) else { return };
        resolve_many(&through(&front, concurrency)).await;
        let log = front.stop();
        let connections: BTreeSet<&str> = log.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert!(connections.len() <= most, "{listen}: {} connections for {} requests", connections.len(), log.len());
    }
}
