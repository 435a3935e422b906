use std::io::Read as _;
use std::net::TcpStream;

use test_support::{Backing, BackingServer, Wire};

#[test]
fn every_backing_server_listens_and_ends() {
    for backing in [
        Backing::PostgreSql,
        Backing::PostgreSqlStarting,
        Backing::Redis,
        Backing::RedisLoading,
        Backing::MariaDb,
        Backing::RabbitMq,
        Backing::Nats,
        Backing::GrpcHealth,
    ] {
        let Some(server) = BackingServer::start_or_skip(backing, Wire::Tls) else { return };
        let address = server.address().to_owned();
        let mut stream = TcpStream::connect(&address).unwrap();
        // These speak first.
        if matches!(backing, Backing::MariaDb | Backing::Nats) {
            assert!(stream.read(&mut [0; 16]).unwrap() > 0, "{backing:?}");
        }
        assert!(server.authority().starts_with(b"-----BEGIN CERTIFICATE-----"));
        drop(server);
        assert!(TcpStream::connect(&address).is_err(), "{backing:?} listens after its end");
    }
}
