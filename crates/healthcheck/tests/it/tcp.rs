//! Checks by one connection.

use healthcheck::{CheckState, Probe, TcpProbe};
use tokio::net::TcpListener;

use crate::{PATIENCE, ask};

fn probe(address: &str) -> Probe {
    Probe::Tcp(TcpProbe::new(address))
}

#[tokio::test]
async fn an_open_port_is_healthy_and_a_closed_one_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for text in [address.to_string(), format!("tcp://{address}"), format!("localhost:{}", address.port())] {
        let result = ask(probe(&text), PATIENCE).await;
        assert_eq!((result.state, result.detail.as_str()), (CheckState::Healthy, "accepts connections"), "{text}");
    }
    drop(listener);
    let result = ask(probe(&address.to_string()), PATIENCE).await;
    assert_eq!(result.state, CheckState::Unhealthy);
    assert!(result.detail.starts_with(&format!("tcp://{address}: Connection refused")), "{}", result.detail);
}

#[tokio::test]
async fn p21_what_cannot_be_asked_is_unknown() {
    for (address, expected) in [
        ("127.0.0.1", "tcp://127.0.0.1: the address is not HOST:PORT"),
        ("127.0.0.1:http", "tcp://127.0.0.1:http: the address is not HOST:PORT"),
        ("no-such-host.invalid:80", "`no-such-host.invalid` does not resolve"),
        ("169.254.169.254:80", "resolves to link-local addresses only"),
        ("[fe80::1]:80", "resolves to link-local addresses only"),
    ] {
        let result = ask(probe(address), PATIENCE).await;
        assert_eq!(result.state, CheckState::Unknown, "{address}: {}", result.detail);
        assert!(result.detail.contains(expected), "{address}: {}", result.detail);
    }
}
