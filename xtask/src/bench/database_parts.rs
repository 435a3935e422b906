//! The servers that environments depend on: databases, caches, brokers.

use std::path::{Path, PathBuf};

use super::debian_parts::WithLibraries;
use super::go_parts::{GoPart, PLAIN};
use super::{Bench, Found};
use crate::program;

pub(super) fn postgresql(bench: &Bench) -> Result<Found, String> {
    let postgresql = WithLibraries {
        name: "postgres",
        folder: "postgresql",
        program: "usr/lib/postgresql/15/bin/postgres",
        packages: &[
            &["postgresql-15"],
            &["libpq5"],
            &["libldap-2.5-0"],
            &["libsasl2-2"],
            &["libicu72"],
            &["libxml2"],
            &["libxslt1.1"],
            &["libllvm14"],
        ],
        harmless: &["--version"],
    };
    postgresql.bring(bench)
}

pub(super) fn redis(bench: &Bench) -> Result<Found, String> {
    let redis = WithLibraries {
        name: "redis-server",
        folder: "redis",
        program: "usr/bin/redis-server",
        packages: &[&["redis-server"], &["redis-tools"], &["libjemalloc2"], &["liblzf1"]],
        harmless: &["--version"],
    };
    redis.bring(bench)
}

/// What Debian has of MySQL; its handshake and its passwords are those of MySQL 5.
pub(super) fn mariadb(bench: &Bench) -> Result<Found, String> {
    let mariadb = WithLibraries {
        name: "mariadbd",
        folder: "mariadb",
        program: "usr/sbin/mariadbd",
        packages: &[
            &["mariadb-server-core"],
            // The files of its messages.
            &["mariadb-server"],
            &["liburing2"],
            &["libaio1", "libaio1t64"],
            &["libnuma1"],
        ],
        harmless: &["--no-defaults", "--version"],
    };
    mariadb.bring(bench)
}

/// RabbitMQ with the Erlang that it runs in; the program is the one that starts an Erlang.
pub(super) fn rabbitmq(bench: &Bench) -> Result<Found, String> {
    const PACKAGES: &[&[&str]] = &[
        &["rabbitmq-server"],
        &["erlang-base"],
        &["erlang-asn1"],
        &["erlang-crypto"],
        &["erlang-eldap"],
        &["erlang-inets"],
        &["erlang-mnesia"],
        &["erlang-os-mon"],
        &["erlang-parsetools"],
        &["erlang-public-key"],
        &["erlang-runtime-tools"],
        &["erlang-ssl"],
        &["erlang-syntax-tools"],
        &["erlang-tools"],
        &["erlang-xmerl"],
    ];
    let probe = |root: &Path| {
        let erlang = erlang(root)?;
        let mut command = program::program(erlang.program);
        command.envs(erlang.environment).args(["-boot", "start_clean", "-noinput", "-eval", "crypto:start(), halt()."]);
        program::text(&mut command).map(drop)
    };
    let unpacked = bench.unpacked("rabbitmq", PACKAGES, probe)?;
    let mut found = erlang(&unpacked.root)?;
    let rabbitmq = only_child(&unpacked.root.join("usr/lib/rabbitmq/lib"), "rabbitmq_server-")?;
    found.environment.push(("ERL_LIBS", rabbitmq.join("plugins").display().to_string()));
    found.environment.push(("RABBITMQ_HOME", rabbitmq.display().to_string()));
    found.version = unpacked.version;
    Ok(found)
}

/// Where an Erlang is that was not installed, and what it is told about that.
fn erlang(root: &Path) -> Result<Found, String> {
    let home = root.join("usr/lib/erlang");
    let programs = only_child(&home, "erts-")?.join("bin");
    let environment = vec![
        ("ROOTDIR", home.display().to_string()),
        ("BINDIR", programs.display().to_string()),
        ("EMU", "beam".to_owned()),
        ("PROGNAME", "erl".to_owned()),
    ];
    Ok(Found { version: String::new(), program: programs.join("erlexec"), environment })
}

/// The folder whose name begins so and ends with its version.
fn only_child(folder: &Path, prefix: &str) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    let found = entries.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    found.ok_or_else(|| format!("{} has no {prefix}*", folder.display()))
}

pub(super) fn nats(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "nats-server",
        module: "tests/bench/nats",
        package: "github.com/nats-io/nats-server/v2",
        versioned_by: "github.com/nats-io/nats-server/v2",
        ..PLAIN
    };
    part.bring(bench)
}

/// A server of ours around gRPC's own health service.
pub(super) fn grpc_health(bench: &Bench) -> Result<Found, String> {
    let part = GoPart {
        name: "grpc-health",
        module: "tests/bench/grpc-health",
        package: ".",
        versioned_by: "google.golang.org/grpc",
        ..PLAIN
    };
    part.bring(bench)
}
