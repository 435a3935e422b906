//! `health`: what is asked, and what is refused when the file is read.

use config::{CheckSeverity, ClusterCheck, Config, ProbeKind, ProbePlace, ServiceProtocol};

fn parse(health: &str) -> Result<Config, String> {
    let text = format!(
        "version: 1\nforge: {{ kind: local, repository: https://forge.example/shop/shop }}\nenvironments:\n  staging:\n    \
         namespace: shop-staging\n    kubeconfig: {{ env: SHOP_KUBECONFIG }}\n    health: {health}\n"
    );
    Config::parse("orchestrator.yaml", text.as_bytes()).map_err(|errors| errors.to_string())
}

#[test]
fn a_dependency_is_an_address_by_its_protocol() {
    let config = parse(
        "{ dependencies: { db: 'postgres://svc/db:5432/shop', bus: { url: 'amqps://bus.example:5671', severity: warn, \
         login: { user: { env: BUS_USER }, password: { env: BUS_PASSWORD } } } } }",
    )
    .unwrap();
    let dependencies = &config.environments["staging"].health.dependencies;
    let (db, bus) = (&dependencies["db"], &dependencies["bus"]);
    let (ProbeKind::Service(asked_db), ProbeKind::Service(asked_bus)) = (&db.kind, &bus.kind) else { panic!("{db:?}") };
    assert_eq!((asked_db.protocol, asked_db.tls, asked_db.part.as_str()), (ServiceProtocol::PostgreSql, false, "shop"));
    assert_eq!(db.service().unwrap().to_string(), "svc/db:5432");
    assert_eq!((db.severity, db.deadline.as_secs(), db.retries), (CheckSeverity::Block, 5, 0));
    assert_eq!(
        (asked_bus.protocol, asked_bus.tls, bus.severity),
        (ServiceProtocol::RabbitMq, true, CheckSeverity::Warn)
    );
    assert_eq!(asked_bus.place, ProbePlace::Address("bus.example:5671".to_owned()));
    let secrets: Vec<_> = config.secret_variables().into_iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["BUS_PASSWORD", "SHOP_KUBECONFIG"]);
}

#[test]
fn every_kind_of_probe_is_read() {
    let config = parse(
        "{ probes: { http: { kind: http, url: 'http://svc/cart:80/x', header: { X-Ready: 'yes' }, body-contains: up, \
         json: { /a/0: 1, /b: up }, within: 500ms }, up: { kind: prometheus, url: 'http://svc/p:9090', query: up, expect: '>= 1' }, \
         my: { kind: mysql, address: 'svc/my:3306', database: shop }, cert: { kind: tls, address: 'shop.example:443' }, \
         name: { kind: dns, name: shop.example }, cart: { kind: grpc, address: 'svc/cart:9000', service: shop.Cart }, \
         mq: { kind: rabbitmq, address: 'svc/mq:5672', vhost: orders }, nats: { kind: nats, address: 'localhost:4222' }, \
         cache: { kind: redis, address: '127.0.0.1:6379', login: { user: { env: U }, password: { env: P } } } } }",
    )
    .unwrap();
    let probes = &config.environments["staging"].health.probes;
    let ProbeKind::Http(http) = &probes["http"].kind else { panic!("{probes:?}") };
    assert_eq!(http.json["/a/0"], serde_json::json!(1));
    assert_eq!(http.url_with_host("http://svc/cart:80/x", "cart.a.svc"), "http://cart.a.svc:80/x");
    assert!(matches!(&probes["cert"].kind, ProbeKind::Certificate { days: 14, .. }));
    assert!(matches!(&probes["cart"].kind, ProbeKind::Service(asked) if asked.part == "shop.Cart"));
    assert!(matches!(&probes["mq"].kind, ProbeKind::Service(asked) if asked.part == "orders"));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    for (health, message) in [
        ("{ dependencies: { bus: 'kafka://svc/bus:9092' } }", "`kafka` is not available yet: remove it"),
        ("{ probes: { db: { kind: mongodb, address: 'svc/db:27017' } } }", "`mongodb` is not available yet"),
        ("{ dependencies: { db: 'postgres://me:pw@db:5432' } }", "an address has no user and no password"),
        ("{ dependencies: { db: 'tcp://svc/db:5432' } }", "is no dependency"),
        ("{ probes: { db: { kind: redis, address: db } } }", "`db` is neither `HOST:PORT` nor `svc/NAME:PORT`"),
        ("{ probes: { x: { kind: http, url: 'http://svc/cart/x' } } }", "neither `HOST:PORT` nor `svc/NAME:PORT`"),
        ("{ probes: { x: { kind: http, url: '{url}', json: { a: 1 } } } }", "`a` is no JSON pointer"),
        ("{ probes: { x: { kind: prometheus, url: '{url}', query: up, expect: 1 up } } }", "`1 up` is no bound"),
        (
            "{ dependencies: { db: { url: 'mysql://db.example:3306', login: { user: { env: U }, password: { env: P } } } } }",
            "the password would be sent to `db.example:3306` without TLS",
        ),
        (
            "{ dependencies: { x: { url: 'grpc://svc/x:1', login: { user: { env: U }, password: { env: P } } } } }",
            "this kind of probe has no login",
        ),
    ] {
        let error = parse(health).expect_err(health);
        assert!(error.contains(message), "{health}: {error}");
    }
    let text = "version: 1\nforge: { kind: local, repository: https://forge.example/shop/shop }\nenvironments:\n  staging:\n    \
                health: { dependencies: { db: 'postgres://svc/db:5432' } }\n";
    let error = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("`db` asks `svc/db:5432`, and the environment has no cluster"), "{error}");
}

#[test]
fn each_check_of_a_cluster_has_a_severity_a_deadline_and_retries() {
    let config = parse(
        "{ checks: { deadline: 20s, retries: 1, clock: off, nodes: { severity: block, deadline: 10s, retries: 2 }, \
         quota: { retries: 0 } }, probes: { up: { kind: tcp, address: 'shop.example:80', severity: off } } }",
    )
    .unwrap();
    let health = &config.environments["staging"].health;
    let rule = |check| {
        let rule = health.checks.rules[&check];
        (rule.severity, rule.deadline.as_secs(), rule.retries)
    };
    assert_eq!(rule(ClusterCheck::Clock), (CheckSeverity::Off, 20, 1));
    assert_eq!(rule(ClusterCheck::Nodes), (CheckSeverity::Block, 10, 2));
    assert_eq!(rule(ClusterCheck::Quota), (CheckSeverity::Block, 20, 0));
    assert_eq!(rule(ClusterCheck::Capacity), (CheckSeverity::Warn, 20, 1));
    assert_eq!((health.probes.len(), health.questions().count()), (1, 0), "what is off is not asked");
    for (health, message) in [
        ("{ checks: { nodes: maybe } }", "`maybe` is not one of `block`, `warn`, `off`"),
        ("{ checks: { nodes: { retries: 21 } } }", "21 is not from 0 to 20"),
        ("{ checks: { nodes: { wait: 1s } } }", "wait"),
    ] {
        let error = parse(health).expect_err(health);
        assert!(error.contains(message), "{health}: {error}");
    }
}

/// A layer says its part of a check, whichever form the other one has.
#[test]
fn the_short_form_of_a_check_is_a_layer_as_its_map_is() {
    let of = |base: &str, own: &str| {
        let text = format!(
            "version: 1\nforge: {{ kind: local, repository: https://forge.example/shop/shop }}\nbase:\n  health: {{ checks: {{ \
             nodes: {base} }} }}\nenvironments:\n  staging:\n    health: {{ checks: {{ nodes: {own} }} }}\n"
        );
        let config = Config::parse("orchestrator.yaml", text.as_bytes()).unwrap();
        let rule = config.environments["staging"].health.checks.rules[&ClusterCheck::Nodes];
        (rule.severity, rule.retries)
    };
    assert_eq!(of("block", "{ retries: 3 }"), (CheckSeverity::Block, 3));
    assert_eq!(of("{ retries: 3 }", "block"), (CheckSeverity::Block, 3));
    assert_eq!(of("block", "warn"), (CheckSeverity::Warn, 0));
}
