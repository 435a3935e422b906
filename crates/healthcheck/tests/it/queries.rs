//! Queries of Prometheus, names, and what answers of HTTP have to have.

use std::time::Duration;

use healthcheck::{CheckState, Endpoint, HttpExpectation, HttpProbe, NameProbe, Probe, PrometheusProbe, Tls};

use crate::server::{Answer, Server, response};
use crate::{PATIENCE, ask, client};

const ANSWER: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.02"]}]}}"#;

#[tokio::test]
async fn a_query_keeps_its_bound_or_not() {
    let server = Server::start(|_| response("200 OK", "", ANSWER)).await;
    let query = |bound: &str| {
        let http = HttpProbe::new(&format!("{}/prometheus/", server.url)).unwrap();
        Probe::Prometheus(PrometheusProbe::new(http, "rate(errors[5m]) > 0", bound.parse().unwrap()))
    };
    let good = ask(query("<= 0.05"), PATIENCE).await;
    assert_eq!((good.state, good.detail.as_str()), (CheckState::Healthy, "the value is <= 0.05"));
    let bad = ask(query("< 0.01"), PATIENCE).await;
    assert_eq!(bad.state, CheckState::Unhealthy);
    assert!(bad.detail.ends_with("1 of 1 values are not < 0.01"), "{}", bad.detail);
    let path = "/prometheus/api/v1/query?query=rate%28errors%5B5m%5D%29+%3E+0";
    assert_eq!(server.requests(), [path, path]);
}

#[tokio::test]
async fn q3_an_answer_has_what_is_expected_of_it() {
    let server = Server::start(|path| match path {
        "/slow" => {
            std::thread::sleep(Duration::from_millis(50));
            response("200 OK", "", "")
        }
        "/cut" => Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec()),
        _ => response("200 OK", "x-ready: yes\r\n", r#"{"status":"up","parts":[{"name":"cart"}]}"#),
    })
    .await;
    let probe = |path: &str, change: fn(&mut HttpExpectation)| {
        let mut expectation = HttpExpectation::default();
        change(&mut expectation);
        HttpProbe::new(&format!("{}{path}", server.url)).unwrap().expect(expectation)
    };
    let all: fn(&mut HttpExpectation) = |expected| {
        expected.headers = vec![("X-Ready".to_owned(), "yes".to_owned())];
        expected.body_contains = Some("cart".to_owned());
        expected.json = vec![("/parts/0/name".to_owned(), "cart".into())];
    };
    drop(client());
    let address = server.url.trim_start_matches("http://").to_owned();
    // By the client of all probes, and over a connection that is dialled.
    for through in [false, true] {
        let send = |probe: HttpProbe| {
            let endpoint = Endpoint::Address(address.clone());
            Probe::Http(if through { probe.through(endpoint, Tls::system()) } else { probe })
        };
        let good = ask(send(probe("/", all)), PATIENCE).await;
        assert_eq!((good.state, good.detail.as_str()), (CheckState::Healthy, "status 200"));
        for (path, change, state, detail) in [
            (
                "/",
                (|expected| expected.json = vec![("/status".to_owned(), "down".into())]) as fn(&mut HttpExpectation),
                CheckState::Unhealthy,
                r#"`/status` is `"up"`, expected `"down"`"#,
            ),
            (
                "/",
                |expected| expected.within = Some(Duration::from_nanos(1)),
                CheckState::Unhealthy,
                "took longer than",
            ),
            (
                "/slow",
                |expected| expected.within = Some(Duration::from_millis(20)),
                CheckState::Unhealthy,
                "than 20 ms",
            ),
            ("/cut", |expected| expected.body_contains = Some("{".to_owned()), CheckState::Unknown, "ends early"),
        ] {
            let result = ask(send(probe(path, change)), PATIENCE).await;
            assert_eq!(result.state, state, "{}", result.detail);
            assert!(result.detail.contains(detail), "{}", result.detail);
        }
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_not_healthy() {
    let good = ask(Probe::Name(NameProbe::new("localhost")), PATIENCE).await;
    assert_eq!((good.state, good.detail.as_str()), (CheckState::Healthy, "the name has an address"));
    let bad = ask(Probe::Name(NameProbe::new("no-such-host.invalid")), PATIENCE).await;
    assert_ne!(bad.state, CheckState::Healthy);
    assert!(bad.detail.starts_with("name `no-such-host.invalid`: "), "{}", bad.detail);
}
