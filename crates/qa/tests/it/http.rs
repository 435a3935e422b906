//! Running the requests of a file.

use std::time::Duration;

use qa::{HttpClient, HttpRun, HttpSuite, Suite, SuiteReport, Verdict};
use tokio::net::TcpListener;

use crate::server::{Server, response};

/// Long enough for a busy machine, where an answer is expected.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn client() -> HttpClient {
    HttpClient::new("orchestrator-test", PATIENCE).unwrap()
}

async fn run_within(deadline: Duration, url: &str, requests: &str) -> SuiteReport {
    let suite = HttpSuite::parse("smoke.yaml", format!("requests:\n{requests}").as_bytes()).unwrap();
    let mut run = HttpRun::new(suite, client(), deadline);
    run.variables.url = Some(url.to_owned());
    run.variables.mode = Some("staging".to_owned());
    qa::run("smoke", &Suite::Http(run)).await
}

async fn run(url: &str, requests: &str) -> SuiteReport {
    run_within(PATIENCE, url, requests).await
}

fn case(report: &SuiteReport, index: usize) -> (Verdict, &str) {
    let case = &report.cases[index];
    (case.verdict, case.message.as_str())
}

/// The example of the page passes against a server that answers as the example expects.
#[tokio::test]
async fn the_example_of_the_page_runs() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, requests) = page.split_once("```yaml\nrequests:\n").expect("the page has an example");
    let (requests, _) = requests.split_once("```").unwrap();
    let server = Server::start(|_| {
        let answer = r#"{"status":"paid","items":[{"count":1}]}"#;
        response("200 OK", "content-type: application/json\r\n", answer)
    })
    .await;
    let report = run(&server.url, requests).await;
    assert!(report.is_passed(), "{report:#?}");
    let sent = server.requests();
    assert!(sent[0].starts_with("POST /checkout?mode=staging ") && sent[0].ends_with("{ \"cart\": 1 }"), "{sent:?}");
}

#[tokio::test]
async fn requests_are_sent_as_written_and_answers_compared() {
    let server = Server::start(|path| match path {
        "/cart?mode=staging" => response(
            "200 OK",
            "Content-Type: application/json\r\n",
            r#"{"service":"cart","digest":"sha256:11","list":[1,{"a":true}]}"#,
        ),
        _ => response("201 Created", "", ""),
    })
    .await;
    let report = run(
        &server.url,
        "\
- name: the cart answers
  method: GET
  url: '{url}/cart?mode={mode}'
  headers: { x-mode: '{mode}' }
  expect:
    status: 200
    header: { Content-Type: application/json }
    body-contains: sha256
    json: { /service: cart, /list/0: 1.0, /list/1: { a: true } }
- { name: an order, method: POST, url: '{url}/orders', body: '{\"url\": \"{url}\"}', expect: { status: 201 } }
",
    )
    .await;
    assert_eq!((report.verdict, report.is_passed()), (Verdict::Passed, true), "{report:?}");
    let requests = server.requests();
    assert!(requests[0].contains("x-mode: staging\r\n"), "{}", requests[0]);
    assert!(requests[1].ends_with("\r\n\r\n{\"url\": \"{url}\"}"), "a body is sent as it is: {}", requests[1]);
}

#[tokio::test]
async fn every_mismatch_is_reported_and_later_requests_still_run() {
    let server = Server::start(|_| response("503 Busy", "", "{\"service\":\"web\"}")).await;
    let report = run(
        &server.url,
        "\
- { name: a, method: GET, url: '{url}/a', expect: { status: 200, body-contains: fine, json: { /service: cart } } }
- { name: b, method: GET, url: '{url}/b', expect: { status: 503 } }
",
    )
    .await;
    assert_eq!((report.verdict, report.is_passed()), (Verdict::Failed, false));
    assert_eq!(
        case(&report, 0),
        (
            Verdict::Failed,
            "status is 503 with `{\"service\":\"web\"}`, expected 200; body is `{\"service\":\"web\"}`, expected to \
             contain `fine`; `/service` is `\"web\"`, expected `\"cart\"`"
        )
    );
    assert_eq!(case(&report, 1), (Verdict::Passed, ""));
}

#[tokio::test]
async fn p21_no_answer_is_unknown_and_never_passed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let report = run(&url, "- { name: a, method: GET, url: '{url}/', expect: { status: 200 } }\n").await;
    assert_eq!((report.verdict, report.is_passed()), (Verdict::Unknown, false));
    let expected = format!("GET {url}/: no answer: Connection refused");
    assert!(case(&report, 0).1.starts_with(&expected), "{report:?}");
}

#[tokio::test]
async fn p17_a_server_that_says_nothing_ends_the_suite_at_its_deadline() {
    let server = Server::start(|_| None).await;
    let report = run_within(
        Duration::from_millis(300),
        &server.url,
        "\
- { name: a, method: GET, url: '{url}/', expect: { status: 200 } }
- { name: b, method: GET, url: '{url}/', expect: { status: 200 } }
",
    )
    .await;
    assert_eq!(report.verdict, Verdict::Unknown);
    assert_eq!(case(&report, 0), (Verdict::Unknown, "no answer within the suite's 300 ms"));
    assert_eq!(case(&report, 1), (Verdict::Unknown, "not run: the suite's deadline had passed"));
}

#[tokio::test]
async fn t31_redirects_and_link_local_addresses_are_not_followed() {
    let server = Server::start(|_| response("302 Found", "location: http://169.254.169.254/\r\n", "")).await;
    let report = run(
        &server.url,
        "\
- { name: a, method: GET, url: '{url}/', expect: { status: 200 } }
- { name: b, method: GET, url: '{url}/', expect: { status: 302, header: { location: 'http://169.254.169.254/' } } }
",
    )
    .await;
    let verdicts: Vec<Verdict> = report.cases.iter().map(|case| case.verdict).collect();
    assert_eq!(verdicts, [Verdict::Failed, Verdict::Passed], "{report:?}");
    // The address of an environment is known in the job alone.
    for (address, expected) in [
        ("http://169.254.169.254", "`169.254.169.254` is a link-local address, to which no request is sent"),
        ("http://[::ffff:169.254.169.254]", "is a link-local address, to which no request is sent"),
        ("ftp://x", "scheme `ftp` is not supported: use `http` or `https`"),
        ("relative", "`relative/` is not a URL: relative URL without a base"),
    ] {
        let report = run(address, "- { name: c, method: GET, url: '{url}/', expect: { status: 200 } }\n").await;
        let (verdict, message) = case(&report, 0);
        assert!(verdict == Verdict::Unknown && message.contains(expected), "{address}: {report:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn t40_an_answer_that_is_too_large_or_cut_is_unknown() {
    let server = Server::start(|path| match path {
        "/large" => response("200 OK", "", &"x".repeat(1024 * 1024 + 1)),
        "/cut" => Some(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_vec()),
        _ => Some(b"garbage\r\n\r\n".to_vec()),
    })
    .await;
    let report = run(
        &server.url,
        "\
- { name: a, method: GET, url: '{url}/large', expect: { status: 200 } }
- { name: b, method: GET, url: '{url}/cut', expect: { status: 200 } }
- { name: c, method: GET, url: '{url}/garbage', expect: { status: 200 } }
",
    )
    .await;
    assert!(report.cases.iter().all(|case| case.verdict == Verdict::Unknown), "{report:?}");
    assert_eq!(case(&report, 0).1, "the answer has more than 1048576 bytes");
    assert!(case(&report, 1).1.starts_with("the answer ended early"), "{report:?}");
}

#[test]
fn the_future_is_send() {
    fn assert_send(_: impl Send) {}
    let suite =
        HttpSuite::parse("smoke.yaml", b"requests: [{ name: a, method: GET, url: '{url}/', expect: { status: 200 } }]");
    let suite = Suite::Http(HttpRun::new(suite.unwrap(), client(), PATIENCE));
    assert_send(qa::run("smoke", &suite));
}
