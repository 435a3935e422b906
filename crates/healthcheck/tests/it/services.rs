//! Servers asked in their own protocol: real ones, and everything else that can listen on a port.

use std::time::{Duration, Instant};

use healthcheck::{CertificateProbe, CheckResult, CheckState, Endpoint, Login, Probe, Protocol, ServiceProbe, Tls};
use test_support::{Backing, BackingServer, Wire};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{IMPATIENCE, PATIENCE, ask, client};

const ALL: [(Protocol, Backing); 5] = [
    (Protocol::PostgreSql, Backing::PostgreSql),
    (Protocol::MySql, Backing::MariaDb),
    (Protocol::Redis, Backing::Redis),
    (Protocol::RabbitMq, Backing::RabbitMq),
    (Protocol::Nats, Backing::Nats),
];

fn probe(protocol: Protocol, address: &str) -> ServiceProbe {
    // Installs the provider of TLS, as the client of a run does.
    drop(client());
    let mut probe = ServiceProbe::new(protocol, Endpoint::Address(address.to_owned()));
    if protocol == Protocol::PostgreSql {
        "postgres".clone_into(&mut probe.part);
    }
    probe
}

fn login(password: &str) -> Login {
    Login { user: BackingServer::USER.to_owned(), password: password.into() }
}

#[track_caller]
fn expect(result: &CheckResult, state: CheckState, detail: &str) {
    assert_eq!(result.state, state, "{}", result.detail);
    assert!(result.detail.contains(detail), "{} has no {detail:?}", result.detail);
}

/// Everything about one server without TLS.
async fn takes_logins(protocol: Protocol, backing: Backing) {
    let Some(server) = BackingServer::start_or_skip(backing, Wire::Plain) else { return };
    let mut probe = probe(protocol, server.address());
    expect(&ask(Probe::Service(probe.clone()), PATIENCE).await, CheckState::Healthy, "takes logins");

    probe.login = Some(login(BackingServer::PASSWORD));
    let asked = Probe::Service(probe.clone());
    expect(&ask(asked, PATIENCE).await, CheckState::Healthy, "accepts the login and answers");

    probe.login = Some(login("a-wrong-password"));
    let refused = ask(Probe::Service(probe.clone()), PATIENCE).await;
    assert_eq!(refused.state, CheckState::Unhealthy, "{}", refused.detail);
    assert!(!refused.detail.contains("a-wrong-password"), "{}", refused.detail);

    probe.tls = Some(Tls::system());
    let no_tls = ask(Probe::Service(probe.clone()), IMPATIENCE * 10).await;
    // Redis waits for the rest of what it takes for a command.
    assert_ne!(no_tls.state, CheckState::Healthy, "it does not speak TLS: {}", no_tls.detail);

    drop(server);
    probe.tls = None;
    expect(&ask(Probe::Service(probe), PATIENCE).await, CheckState::Unhealthy, "Connection refused");
}

#[tokio::test]
async fn a_postgresql_that_asks_for_a_login_is_healthy() {
    takes_logins(Protocol::PostgreSql, Backing::PostgreSql).await;
}

#[tokio::test]
async fn a_mariadb_that_greets_is_healthy() {
    takes_logins(Protocol::MySql, Backing::MariaDb).await;
}

#[tokio::test]
async fn a_redis_that_asks_for_a_login_is_healthy() {
    takes_logins(Protocol::Redis, Backing::Redis).await;
}

#[tokio::test]
async fn a_rabbitmq_that_begins_is_healthy() {
    takes_logins(Protocol::RabbitMq, Backing::RabbitMq).await;
}

#[tokio::test]
async fn a_nats_that_says_what_it_is_is_healthy() {
    takes_logins(Protocol::Nats, Backing::Nats).await;
}

#[tokio::test]
async fn a_login_over_tls_is_proven_by_the_authority_that_is_named() {
    for (protocol, backing) in ALL {
        let Some(server) = BackingServer::start_or_skip(backing, Wire::Tls) else { return };
        let mut probe = probe(protocol, server.address());
        probe.tls = Some(Tls::authorities(&server.authority()).unwrap());
        expect(&ask(Probe::Service(probe.clone()), PATIENCE).await, CheckState::Healthy, "takes logins");
        probe.login = Some(login(BackingServer::PASSWORD));
        expect(&ask(Probe::Service(probe.clone()), PATIENCE).await, CheckState::Healthy, "accepts the login");
        probe.tls = Some(Tls::system());
        expect(&ask(Probe::Service(probe), PATIENCE).await, CheckState::Unhealthy, "TLS: invalid peer certificate");
    }
}

#[tokio::test]
async fn p21_a_server_that_is_not_ready_is_not_healthy() {
    for (protocol, backing, detail) in [
        (Protocol::PostgreSql, Backing::PostgreSqlStarting, "(SQLSTATE 57P03)"),
        (Protocol::Redis, Backing::RedisLoading, "the server answers `LOADING "),
    ] {
        let Some(server) = BackingServer::start_or_skip(backing, Wire::Plain) else { return };
        let probe = probe(protocol, server.address());
        expect(&ask(Probe::Service(probe), PATIENCE).await, CheckState::Unhealthy, detail);
    }
}

#[tokio::test]
async fn only_the_service_that_serves_is_healthy() {
    for wire in [Wire::Plain, Wire::Tls] {
        let Some(server) = BackingServer::start_or_skip(Backing::GrpcHealth, wire) else { return };
        for (service, state, detail) in [
            ("", CheckState::Healthy, "is serving"),
            ("shop.Cart", CheckState::Healthy, "is serving"),
            ("shop.Search", CheckState::Unhealthy, "`shop.Search` is not serving"),
            ("shop.None", CheckState::Unhealthy, "the health service does not know `shop.None`"),
        ] {
            let mut probe = probe(Protocol::Grpc, server.address());
            service.clone_into(&mut probe.part);
            if wire == Wire::Tls {
                let plain = ask(Probe::Service(probe.clone()), PATIENCE).await;
                assert_eq!(plain.state, CheckState::Unhealthy, "{}", plain.detail);
                probe.tls = Some(Tls::authorities(&server.authority()).unwrap());
            }
            expect(&ask(Probe::Service(probe), PATIENCE).await, state, detail);
        }
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_not_healthy() {
    let Some(server) = BackingServer::start_or_skip(Backing::GrpcHealth, Wire::Tls) else { return };
    let endpoint = Endpoint::Address(server.address().to_owned());
    drop(client());
    let own = || Tls::authorities(&server.authority()).unwrap();
    let ask_for = |tls, days| ask(Probe::Certificate(CertificateProbe::new(endpoint.clone(), tls, days)), PATIENCE);
    expect(&ask_for(own(), 14).await, CheckState::Healthy, "the certificate is valid 14 days longer");
    // It was made for 30 days.
    expect(&ask_for(own(), 40).await, CheckState::Unhealthy, "in 40 days the certificate is not accepted");
    expect(&ask_for(Tls::system(), 14).await, CheckState::Unhealthy, "invalid peer certificate: UnknownIssuer");
}

/// A listener that does one thing with each connection.
async fn listener(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                match answer {
                    Some(answer) => drop(stream.write_all(answer).await),
                    // Until the other side gives up.
                    None => while stream.read(&mut [0; 64]).await.is_ok_and(|length| length > 0) {},
                }
            });
        }
    });
    address
}

const EVERY: [Protocol; 6] =
    [Protocol::PostgreSql, Protocol::MySql, Protocol::Redis, Protocol::RabbitMq, Protocol::Nats, Protocol::Grpc];

#[tokio::test]
async fn p21_an_open_port_of_something_else_is_not_healthy() {
    for (answer, what) in [
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".as_slice(), "another protocol"),
        (b"220 mail.example ESMTP\r\n", "another protocol"),
        (b"", "nothing"),
    ] {
        let address = listener(Some(answer)).await;
        for protocol in EVERY {
            for login in [None, Some(login("password-of-the-shop"))] {
                let mut probe = probe(protocol, &address);
                probe.login = login;
                let result = ask(Probe::Service(probe), PATIENCE).await;
                assert_eq!(result.state, CheckState::Unhealthy, "{what}, {protocol:?}: {}", result.detail);
            }
        }
    }
}

#[tokio::test]
async fn p21_silence_is_unknown_at_the_deadline() {
    let address = listener(None).await;
    for protocol in EVERY {
        let start = Instant::now();
        let result = ask(Probe::Service(probe(protocol, &address)), IMPATIENCE).await;
        expect(&result, CheckState::Unknown, "no answer within 300 ms");
        assert!(start.elapsed() < Duration::from_secs(10), "{protocol:?}");
    }
}

#[tokio::test]
async fn t48_no_password_leaves_this_machine_in_clear() {
    let mut probe = probe(Protocol::Redis, "redis.example:6379");
    probe.login = Some(login(BackingServer::PASSWORD));
    let result = ask(Probe::Service(probe.clone()), PATIENCE).await;
    expect(&result, CheckState::Unknown, "a password is not sent without TLS to another machine");
    assert!(!format!("{probe:?}").contains(BackingServer::PASSWORD));
}

#[tokio::test]
async fn t48_an_answer_that_repeats_a_password_is_masked() {
    let address = listener(Some(b"-ERR I do not know password-of-the-shop\r\n")).await;
    let mut probe = probe(Protocol::Redis, &address);
    probe.login = Some(login(BackingServer::PASSWORD));
    let result = ask(Probe::Service(probe), PATIENCE).await;
    expect(&result, CheckState::Unhealthy, "the server answers `ERR I do not know ***`");
}
