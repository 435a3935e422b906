//! Checks by one GET request.

use healthcheck::lock_model::ErrorClass;
use healthcheck::{CheckState, HttpProbe, Probe};
use process::Redactor;
use test_support::HOSTILE_TEXT;
use tokio::net::TcpListener;

use crate::server::{Answer, Server, response};
use crate::{IMPATIENCE, PATIENCE, ask, http_probe};

#[tokio::test]
async fn the_status_is_the_answer() {
    let server = Server::start(|path| match path {
        "/healthz" => response("200 OK", "", "fine"),
        "/teapot" => response("418 I'm a teapot", "", ""),
        "/page" => response("502 Bad Gateway", "", "<html>\n<head><title>502 Bad Gateway</title></head>\n"),
        _ => response("503 Busy", "", "database is away\n  at cart.rs:7\n"),
    })
    .await;
    let url = &server.url;
    let good = ask(http_probe(&format!("{url}/healthz")), PATIENCE).await;
    assert_eq!((good.state, good.detail.as_str()), (CheckState::Healthy, "status 200"));
    let bad = ask(http_probe(&format!("{url}/x")), PATIENCE).await;
    let expected = format!("GET {url}/x: status 503, expected 200: database is away…");
    assert_eq!((bad.state, bad.detail), (CheckState::Unhealthy, expected));
    let page = ask(http_probe(&format!("{url}/page")), PATIENCE).await;
    assert_eq!(page.detail, format!("GET {url}/page: status 502, expected 200: 502 Bad Gateway"));
    let wanted = Probe::Http(HttpProbe::new(&format!("{url}/teapot")).unwrap().status(418));
    assert_eq!(ask(wanted, PATIENCE).await.state, CheckState::Healthy);
}

#[tokio::test]
async fn t31_a_redirect_is_not_followed() {
    let server = Server::start(|path| match path {
        "/" => response("302 Found", "location: http://169.254.169.254/latest/meta-data/\r\n", "secret"),
        "/home" => response("301 Moved", "location: /healthz\r\n", ""),
        _ => response("200 OK", "", ""),
    })
    .await;
    for path in ["/", "/home"] {
        let result = ask(http_probe(&format!("{}{path}", server.url)), PATIENCE).await;
        assert_eq!(result.state, CheckState::Unhealthy);
        assert!(result.detail.ends_with("expected 200; redirects are not followed"), "{}", result.detail);
    }
    assert_eq!(server.requests(), ["/", "/home"], "no second request");
}

#[tokio::test]
async fn t31_link_local_addresses_are_never_asked() {
    for url in
        ["http://169.254.169.254/", "http://2852039166/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/"]
    {
        let result = ask(http_probe(url), PATIENCE).await;
        assert_eq!(result.state, CheckState::Unknown, "{url}");
        assert!(result.detail.ends_with("is a link-local address, to which no request is sent"), "{}", result.detail);
    }
    let result = ask(http_probe("file:///etc/passwd"), PATIENCE).await;
    let expected =
        (CheckState::Unknown, "GET file:///etc/passwd: scheme `file` is not supported: use `http` or `https`");
    assert_eq!((result.state, result.detail.as_str()), expected);
}

#[tokio::test]
async fn t36_a_foreign_body_is_short_and_harmless() {
    for (what, hostile) in HOSTILE_TEXT {
        let body = format!("{hostile}{}", "long ".repeat(1000));
        let server = Server::start(move |_| response("500 No", "", &body)).await;
        let detail = ask(http_probe(&server.url), PATIENCE).await.detail;
        let body = detail.strip_prefix(&format!("GET {}/: status 500, expected 200: ", server.url)).unwrap();
        let raw = |it: char| it.is_control() || matches!(it, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!body.contains(raw), "{what}: {body:?}");
        assert!(body.ends_with('…') && body.chars().count() < 300, "{what}: {body}");
    }
}

#[tokio::test]
async fn t48_no_beginning_of_a_secret_is_left_where_an_answer_is_cut() {
    let secret = "s3cr3t-of-the-probe";
    let mut redactor = Redactor::new();
    redactor.add(secret);
    // Cut where it is shown, and where reading ends: what is masked makes the text shorter.
    let texts = (170..205).map(|padding| "p".repeat(padding) + secret).chain([secret.repeat(300)]);
    for text in texts {
        let body = format!("{text}{}", "long ".repeat(1000));
        let server = Server::start(move |_| response("500 No", "", &body)).await;
        let probe = HttpProbe::new(&server.url).unwrap().redactor(redactor.clone());
        let detail = ask(Probe::Http(probe), PATIENCE).await.detail;
        assert!(!detail.contains("s3") && detail.ends_with('…'), "{text}: {detail}");
    }
}

#[tokio::test]
async fn t40_an_endless_body_is_cut_and_silence_ends_at_the_deadline() {
    let endless = Server::start(|_| Answer::Endless).await;
    let result = ask(http_probe(&endless.url), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unhealthy);
    assert_eq!(result.detail, format!("GET {}/: status 503, expected 200: {}…", endless.url, "x".repeat(200)));

    let silent = Server::start(|_| Answer::Silence).await;
    let result = ask(http_probe(&silent.url), IMPATIENCE).await;
    let expected = format!("GET {}/: no answer within 300 ms", silent.url);
    assert_eq!((result.state, result.detail), (CheckState::Unknown, expected));

    let garbage = Server::start(|_| Answer::Bytes(b"220 mail.example ESMTP\r\n".to_vec())).await;
    assert_eq!(ask(http_probe(&garbage.url), PATIENCE).await.state, CheckState::Unknown);
}

#[tokio::test]
async fn p21_a_body_that_ends_before_its_announced_length_is_not_healthy() {
    let cut = |body: &'static str| {
        move |_: &str| Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{body}").into())
    };
    for body in ["", "12345"] {
        let server = Server::start(cut(body)).await;
        let result = ask(http_probe(&server.url), PATIENCE).await;
        assert_eq!(result.state, CheckState::Unhealthy, "{body}: {}", result.detail);
        assert!(result.detail.contains("the answer ends early"), "{}", result.detail);
    }
    let whole = Server::start(cut("1234567890")).await;
    assert_eq!(ask(http_probe(&whole.url), PATIENCE).await.state, CheckState::Healthy);
    let none = Server::start(|_| Answer::Bytes(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n".to_vec())).await;
    let probe = HttpProbe::new(&none.url).unwrap().status(204);
    assert_eq!(ask(Probe::Http(probe), PATIENCE).await.state, CheckState::Healthy);
}

#[tokio::test]
async fn p21_nobody_listening_is_unhealthy_and_an_unknown_name_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let result = ask(http_probe(&format!("http://{address}/")), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unhealthy, "{}", result.detail);
    assert!(result.detail.starts_with(&format!("GET http://{address}/: Connection refused")), "{}", result.detail);
    let result = ask(http_probe("http://no-such-host.invalid/"), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unknown, "{}", result.detail);
}

#[tokio::test]
async fn a_failure_names_its_address_without_secrets() {
    let mut redactor = Redactor::new();
    redactor.add("s3cr3t-path");
    let url = "http://me:hunter2@no-such-host.invalid/s3cr3t-path/x?token=hunter3";
    let probe = HttpProbe::new(url).unwrap().redactor(redactor);
    let detail = ask(Probe::Http(probe), PATIENCE).await.detail;
    assert!(detail.starts_with("GET http://***@no-such-host.invalid/***/x?***: "), "{detail}");
}

#[test]
fn a_text_that_is_no_url_is_refused_without_showing_it() {
    for text in ["", "/healthz", "http://user:secret@host:99999/"] {
        let error = HttpProbe::new(text).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.class()),
            ("the text is not an absolute URL", ErrorClass::Invalid)
        );
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
