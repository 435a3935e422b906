use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use test_support::{
    DockerRegistry, Gitea, Nginx, Peer, ReferrersRegistry, Sandbox, Skopeo, Stream, Toxiproxy, Visibility,
};

use crate::registry::{MANIFEST, write_layout};

/// One request over a connection of its own; the whole answer, or as much of it as came.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

#[test]
fn nginx_answers_and_remembers_what_was_asked() {
    let Some(nginx) = Nginx::start_or_skip("", "location / { return 200 hello; }") else { return };
    let answer = get(nginx.address(), "/a?b").unwrap();
    assert!(answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert_eq!(nginx.stop(), ["HTTP/1.0 200 GET /a?b 1"]);
}

#[test]
fn a_door_can_be_slow_narrow_and_shut() {
    let Some(nginx) = Nginx::start_or_skip("", "location / { return 200 hello; }") else { return };
    let Some(proxy) = Toxiproxy::start_or_skip() else { return };
    let door = proxy.door("nginx", nginx.address());
    assert!(get(door.address(), "/").unwrap().ends_with("hello"));

    door.delay(60);
    let start = Instant::now();
    assert!(get(door.address(), "/").unwrap().ends_with("hello"));
    assert!(start.elapsed() >= Duration::from_millis(120), "{:?}", start.elapsed());
    door.remove("latency", Stream::Up);
    door.remove("latency", Stream::Down);

    door.add("limit_data", Stream::Down, &[("bytes", 20)]);
    assert_eq!(get(door.address(), "/").unwrap().len(), 20);
    door.remove("limit_data", Stream::Down);

    door.shut();
    assert_eq!(get(door.address(), "/").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    door.open();
    assert!(get(door.address(), "/").unwrap().ends_with("hello"));
}

#[test]
fn a_registry_with_referrers_answers_with_an_index_and_another_does_not() {
    let (Some(with), Some(without)) = (ReferrersRegistry::start_or_skip(), DockerRegistry::start_or_skip()) else {
        return;
    };
    let Some(skopeo) = Skopeo::find_or_skip() else { return };
    let sandbox = Sandbox::new();
    write_layout(&sandbox.join("layout"));
    for address in [with.address(), without.address()] {
        skopeo.push_layout_to(
            &sandbox.join("layout"),
            "registry.example/shop/cart:main-1",
            address,
            "shop/cart:main-1",
            None,
        );
    }
    let path = format!("/v2/shop/cart/referrers/sha256:{MANIFEST}");
    let answer = get(with.address(), &path).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    assert!(answer.contains("application/vnd.oci.image.index.v1+json"), "{answer}");
    assert!(get(without.address(), &path).unwrap().starts_with("HTTP/1.0 404"));
    assert_eq!(with.url(), format!("http://{}", with.address()));
}

#[test]
fn peers_have_a_home_of_their_own() {
    for name in ["crane", "regctl"] {
        let Some(peer) = Peer::find_or_skip(name) else { return };
        assert!(!peer.run(&["version"]).is_empty());
        let problem = peer.try_run(&["no-such-command"]).unwrap_err();
        assert!(problem.contains(name), "{problem}");
    }
    let Some(crane) = Peer::find_or_skip("crane") else { return };
    let path = crane.docker_config("{}");
    crane.run(&["auth", "login", "127.0.0.1:1", "-u", "me", "-p", "secret"]);
    assert!(std::fs::read_to_string(path).unwrap().contains("127.0.0.1:1"));
}

#[test]
fn gitea_has_users_tokens_and_an_end() {
    let Ok(gitea) = Gitea::start() else {
        assert!(Gitea::shared_or_skip().is_none());
        return;
    };
    let user = gitea.add_user("robot", Visibility::Private);
    let token = gitea.add_token(&user, "reader", &["read:package"]);
    assert_eq!(token.len(), 40, "{token}");
    let answer = gitea.api_as(&user, "GET", "/user", "");
    assert!(answer.body.contains(r#""login":"robot""#), "{answer:?}");
    assert!(get(gitea.address(), "/v2/").unwrap().starts_with("HTTP/1.0 401"));
    let address = gitea.address().to_owned();
    assert_eq!(gitea.api_url(), format!("http://{address}/api/v1"));
    drop(gitea);
    let after = get(&address, "/");
    assert!(after.is_err(), "nobody listens any more: {after:?}");
}
