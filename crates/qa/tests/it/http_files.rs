//! The file of an HTTP suite: what is read, and what is refused, with its place.

use qa::{HttpRequest, HttpSuite};

fn refused(text: &str) -> String {
    HttpSuite::parse("tests/smoke.yaml", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn a_file_has_requests_in_order() {
    let text = "\
requests:
- name: the cart answers
  method: GET
  url: \"{url}/cart\"
  headers: { accept: application/json, x-mode: \"{mode}\" }
  expect: { status: 200, header: { content-type: application/json }, body-contains: ok, json: { /service: cart, /n: 1 } }
- { name: an order is taken, method: POST, url: \"{url}/orders\", body: '{\"a\": 1}', expect: { status: 201 } }
";
    let suite = HttpSuite::parse("tests/smoke.yaml", text.as_bytes()).unwrap();
    assert_eq!(
        suite.requests().iter().map(HttpRequest::name).collect::<Vec<_>>(),
        ["the cart answers", "an order is taken"]
    );
}

#[test]
fn every_problem_is_reported_with_its_place() {
    let text = "\
requests:
- name: one
  method: FETCH
  url: \"{host}/cart\"
  headers:
    bad header: x
    accept: \"{mode\"
  expect: { status: 99, json: { service: cart } }
- { name: one, method: get, url: \"{url}\", expect: { status: 200, header: { 'no good': x } } }
- { name: ' ', method: GET, url: /, expect: { status: 200 } }
";
    insta::assert_snapshot!(refused(text), @r"
    tests/smoke.yaml:3:11: `FETCH` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
    tests/smoke.yaml:4:8: unknown variable `{host}`: there are `{url}` and `{mode}`; write `{{` for a brace
    tests/smoke.yaml:6:17: `bad header` is not the name of a header
    tests/smoke.yaml:7:13: a `{` has no `}`; write `{{` for a brace
    tests/smoke.yaml:8:21: 99 is not a status: 100 to 599
    tests/smoke.yaml:8:21: `service` is not a JSON pointer: it begins with `/`
    tests/smoke.yaml:9:3: `one` is the name of an earlier request
    tests/smoke.yaml:9:24: `get` is not one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS
    tests/smoke.yaml:9:61: `no good` is not the name of a header
    tests/smoke.yaml:10:3: the request has no name
    tests/smoke.yaml:10:34: `/` is not a URL: relative URL without a base
    ");
}

#[test]
fn what_is_not_a_suite_is_refused() {
    for (text, expected) in [
        ("requests: []\n", "tests/smoke.yaml:1:1: the suite has no requests"),
        ("", "tests/smoke.yaml"),
        (
            "requests:\n- name: a\n  method: GET\n  url: x\n  expect: { status: 200 }\n  retries: 3\n",
            ":6:3: unknown field",
        ),
        ("requests:\n- { name: a, method: GET, url: x, expect: {} }\n", "missing field `status`"),
        ("requests:\n- { name: a, method: GET, url: x }\n", "missing field `expect`"),
        ("requests:\n- { name: a, name: b }\n", "duplicate"),
        ("requests: &a []\nother: *a\n", "anchor"),
        ("requests:\n- { name: a, method: GET, url: x, expect: { status: ok } }\n", ":2:53:"),
    ] {
        let message = refused(text);
        assert!(message.contains(expected) && message.lines().count() == 1, "{text}{message}");
    }
    assert!(HttpSuite::parse("x", b"\xff").unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn an_address_that_is_never_asked_is_known_when_the_file_is_read() {
    for (address, expected) in [
        ("/x", "is not a URL: relative URL without a base"),
        ("http://127.0.0.1:99999/", "is not a URL: invalid port number"),
        ("http://user:secret@127.0.0.1:99999/", "invalid port number"),
        ("ftp://x/y", "scheme `ftp` is not supported"),
        ("http://169.254.169.254/{mode}", "is a link-local address"),
        ("http://[fe80::1]/", "is a link-local address"),
    ] {
        let message = refused(&format!(
            "requests:\n- {{ name: a, method: GET, url: \"{address}\", expect: {{ status: 200 }} }}\n"
        ));
        assert!(message.starts_with("tests/smoke.yaml:2:") && message.contains(expected), "{address}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
    for address in ["{url}/x", "{url}", "http://{mode}.example/", "https://shop.example:8443/a?b={mode}"] {
        let text = format!("requests:\n- {{ name: a, method: GET, url: \"{address}\", expect: {{ status: 200 }} }}\n");
        HttpSuite::parse("tests/smoke.yaml", text.as_bytes()).unwrap();
    }
}
