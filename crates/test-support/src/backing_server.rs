//! Servers that environments depend on: real databases, caches and brokers, each on a loopback port.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::bench::{self, Missing, Part};
use crate::cluster::Authority;
use crate::environment;
use crate::server::listens_at;

/// Longest time that a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often another port is tried, where something else has taken the one that was free.
const TRIES: u32 = 5;
/// What PostgreSQL, which refuses root, sees as its own user in a user namespace.
const OWN_USER: &str = "1000";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// PostgreSQL with the database `postgres`.
    PostgreSql,
    /// PostgreSQL that never gets ready: it waits for a primary that is not there.
    PostgreSqlStarting,
    /// Redis with users.
    Redis,
    /// Redis that loads its data for some minutes.
    RedisLoading,
    /// MariaDB, which speaks MySQL's protocol.
    MariaDb,
    /// RabbitMQ.
    RabbitMq,
    /// NATS with users.
    Nats,
    /// gRPC's health service: `shop.Cart` is serving, `shop.Search` is not.
    GrpcHealth,
}

/// Whether a server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Without TLS.
    Plain,
    /// With a certificate for 127.0.0.1 of an authority of its own.
    Tls,
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct BackingServer {
    process: Child,
    /// What must run before it, and end after it.
    before: Option<Child>,
    address: String,
    folder: TempDir,
}

impl BackingServer {
    /// The user that every server with users has.
    pub const USER: &'static str = "shop";
    /// Its password.
    pub const PASSWORD: &'static str = "password-of-the-shop";

    /// Starts a server, once it listens.
    pub fn start(backing: Backing, wire: Wire) -> Result<Self, Missing> {
        let setup = Setup::new(backing, wire)?;
        setup.prepare();
        for _ in 0..TRIES {
            if let Some((process, before, port)) = setup.try_start() {
                let address = format!("127.0.0.1:{port}");
                let server = Self { process, before, address, folder: setup.folder };
                return Ok(server);
            }
        }
        let log = fs::read_to_string(setup.folder.path().join("log")).unwrap_or_default();
        panic!("{backing:?} does not listen; its log: {log}");
    }

    /// Starts a server, or reports the running test as skipped.
    pub fn start_or_skip(backing: Backing, wire: Wire) -> Option<Self> {
        bench::or_skip(Self::start(backing, wire))
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The certificate of the authority that signed its own, in PEM; only with [`Wire::Tls`].
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("tls/ca.crt")).expect("the server speaks TLS")
    }
}

impl Drop for BackingServer {
    fn drop(&mut self) {
        // PostgreSQL ends at once by it, and takes its children and its shared memory along; others just end.
        if let Some(id) = Pid::from_raw(self.process.id().try_into().unwrap_or_default()) {
            kill_process(id, Signal::QUIT).ok();
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) && self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        for process in [Some(&mut self.process), self.before.as_mut()].into_iter().flatten() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// What a server is started with.
struct Setup {
    backing: Backing,
    wire: Wire,
    part: Part,
    folder: TempDir,
}

impl Setup {
    fn new(backing: Backing, wire: Wire) -> Result<Self, Missing> {
        let name = match backing {
            Backing::PostgreSql | Backing::PostgreSqlStarting => "postgresql",
            Backing::Redis | Backing::RedisLoading => "redis",
            Backing::MariaDb => "mariadb",
            Backing::RabbitMq => "rabbitmq",
            Backing::Nats => "nats-server",
            Backing::GrpcHealth => "grpc-health",
        };
        let part = bench::part(name)?;
        let folder = TempDir::new().expect("a temporary folder can be made");
        if wire == Wire::Tls {
            let authority = Authority::new(bench::part("openssl")?, folder.path().join("tls"));
            authority.server("server", Ipv4Addr::LOCALHOST, &[]);
            let key = authority.path("leaf.key");
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("the key is ours");
        }
        Ok(Self { backing, wire, part, folder })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// Makes the data that a server starts with.
    fn prepare(&self) {
        match self.backing {
            Backing::PostgreSql | Backing::PostgreSqlStarting => self.prepare_postgresql(),
            Backing::MariaDb => self.prepare_mariadb(),
            Backing::Redis => {
                let (user, password) = (BackingServer::USER, BackingServer::PASSWORD);
                self.write(
                    "redis.conf",
                    &format!("user default on >{password} ~* &* +@all\nuser {user} on >{password} ~* +@all\n"),
                );
            }
            Backing::RedisLoading => {
                // Written as the log of its commands: it reads one in a millisecond, and answers after each 1024.
                fs::create_dir(self.folder.path().join("appendonlydir")).expect("the folder is ours");
                self.write("appendonlydir/appendonly.aof.manifest", "file appendonly.aof.1.incr.aof seq 1 type i\n");
                let command = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n";
                self.write("appendonlydir/appendonly.aof.1.incr.aof", &command.repeat(200_000));
                self.write("redis.conf", "appendonly yes\nkey-load-delay 1000\n");
            }
            Backing::RabbitMq => {
                self.write("enabled_plugins", "[].\n");
                // Whoever has it may tell the node what to do.
                let cookie = self.write(".erlang.cookie", "bench");
                fs::set_permissions(cookie, fs::Permissions::from_mode(0o400)).expect("it is ours");
            }
            Backing::Nats | Backing::GrpcHealth => {}
        }
    }

    /// One try: the process, what runs beside it, and the port; `None` where the port was taken.
    fn try_start(&self) -> Option<(Child, Option<Child>, u16)> {
        let port = free_port();
        let (mut command, before) = match self.backing {
            Backing::PostgreSql | Backing::PostgreSqlStarting => (self.postgresql(port), None),
            Backing::Redis | Backing::RedisLoading => (self.redis(port), None),
            Backing::MariaDb => (self.mariadb(port), None),
            Backing::RabbitMq => {
                let (command, names) = self.rabbitmq(port);
                (command, Some(names))
            }
            Backing::Nats => (self.nats(port), None),
            Backing::GrpcHealth => (self.grpc_health(port), None),
        };
        let log = || fs::File::options().create(true).append(true).open(self.folder.path().join("log"));
        command.current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.stdout(log().expect("the folder is ours")).stderr(log().expect("the folder is ours"));
        let mut process = command.spawn().expect("the part starts");
        let start = Instant::now();
        while start.elapsed() < PATIENCE && process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if listens_at(process.id()).contains(&port) && self.is_ready() {
                return Some((process, before, port));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for mut process in [Some(process), before].into_iter().flatten() {
            process.kill().ok();
            process.wait().ok();
        }
        None
    }

    /// Whether a server that listens takes logins too: PostgreSQL listens while it still starts.
    fn is_ready(&self) -> bool {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        self.backing != Backing::PostgreSql || log().contains("database system is ready to accept connections")
    }

    /// A program that lies beside the part's.
    fn beside(&self, program: &str) -> Command {
        let mut command = self.part.command();
        let mut other = environment::command(self.part.program().with_file_name(program));
        other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env_clear();
        other
    }

    /// The same program, which sees a user that is not root.
    fn unprivileged(&self, command: Command) -> Command {
        if fs::metadata(self.folder.path()).map_or(0, |folder| folder.uid()) != 0 {
            return command;
        }
        let mut wrapped = environment::command("unshare");
        wrapped.args(["--user", "--map-user", OWN_USER, "--map-group", OWN_USER, "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        wrapped
    }

    fn prepare_postgresql(&self) {
        let password = self.write("password", BackingServer::PASSWORD);
        let mut command = self.beside("initdb");
        command.args(["--auth=scram-sha-256", "--no-sync", "--username", BackingServer::USER, "--encoding=UTF8"]);
        command.arg("--pwfile").arg(password).args(["--pgdata", &self.path("data")]);
        run(self.unprivileged(command));
        if self.backing == Backing::PostgreSqlStarting {
            // A standby without a primary, which takes no connections before it has caught up.
            self.write("data/standby.signal", "");
        }
    }

    fn postgresql(&self, port: u16) -> Command {
        let mut command = self.part.command();
        let folder = self.path("");
        command.args(["-D", &self.path("data"), "-p", &port.to_string(), "-h", "127.0.0.1", "-k", &folder]);
        command.args(["-c", "fsync=off", "-c", "shared_buffers=16MB"]);
        if self.backing == Backing::PostgreSqlStarting {
            command.args(["-c", "hot_standby=off"]);
        }
        if self.wire == Wire::Tls {
            let (certificate, key) = (self.path("tls/server.crt"), self.path("tls/leaf.key"));
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={certificate}")]);
            command.args(["-c", &format!("ssl_key_file={key}")]);
        }
        self.unprivileged(command)
    }

    fn redis(&self, port: u16) -> Command {
        let mut command = self.part.command();
        command.arg(self.path("redis.conf")).args(["--bind", "127.0.0.1", "--save", "", "--dir", &self.path("")]);
        match self.wire {
            Wire::Plain => command.args(["--port", &port.to_string()]),
            Wire::Tls => {
                command.args(["--port", "0", "--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
                command.args(["--tls-cert-file", &self.path("tls/server.crt")]);
                command.args(["--tls-key-file", &self.path("tls/leaf.key")]);
                command.args(["--tls-ca-cert-file", &self.path("tls/ca.crt")])
            }
        };
        command
    }

    /// MariaDB with where its files are.
    fn mariadb_program(&self) -> Command {
        let mut command = self.part.command();
        let root = self.mariadb_root();
        command.args(["--no-defaults", "--datadir", &self.path("data"), "--skip-log-bin"]);
        command.args([
            "--innodb-buffer-pool-size=8M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-fast-shutdown=3",
        ]);
        // In `/tmp` the names of two servers' tables are the same.
        command.args(["--tmpdir", &self.path("")]);
        for (option, folder) in [
            ("--lc-messages-dir", "usr/share/mysql"),
            ("--character-sets-dir", "usr/share/mysql/charsets"),
            ("--plugin-dir", "usr/lib/mysql/plugin"),
        ] {
            command.arg(option).arg(root.join(folder));
        }
        if fs::metadata(self.folder.path()).map_or(0, |folder| folder.uid()) == 0 {
            command.arg("--user=root");
        }
        command
    }

    fn mariadb_root(&self) -> PathBuf {
        self.part.program().ancestors().nth(3).expect("the program lies in usr/sbin").to_path_buf()
    }

    fn prepare_mariadb(&self) {
        fs::create_dir_all(self.folder.path().join("data/mysql")).expect("the folder is ours");
        let sql = self.mariadb_root().join("usr/share/mysql");
        let read = |name: &str| fs::read_to_string(sql.join(name)).expect("the part has it");
        let tables = ["use mysql;\n", &read("mysql_system_tables.sql"), &read("mysql_system_tables_data.sql")].concat();
        let tables = self.write("tables.sql", &tables);
        let (user, password) = (BackingServer::USER, BackingServer::PASSWORD);
        self.write(
            "users.sql",
            &format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{password}';\nCREATE DATABASE shop;\n"),
        );
        let mut command = self.mariadb_program();
        command.arg("--bootstrap").stdin(fs::File::open(tables).expect("it was just written"));
        run(command);
    }

    fn mariadb(&self, port: u16) -> Command {
        let mut command = self.mariadb_program();
        command.args(["--bind-address=127.0.0.1", "--port", &port.to_string(), "--socket", &self.path("socket")]);
        command.args(["--pid-file", &self.path("pid"), "--init-file", &self.path("users.sql")]);
        if self.wire == Wire::Tls {
            command.args(["--ssl-ca", &self.path("tls/ca.crt"), "--ssl-cert", &self.path("tls/server.crt")]);
            command.args(["--ssl-key", &self.path("tls/leaf.key")]);
        }
        command
    }

    /// RabbitMQ, and the program where Erlang's nodes look each other up: one of its own, which is no daemon.
    fn rabbitmq(&self, port: u16) -> (Command, Child) {
        let (names_port, node_port) = (free_port().to_string(), free_port().to_string());
        let listener = match self.wire {
            Wire::Plain => format!("listeners.tcp.local = 127.0.0.1:{port}\n"),
            Wire::Tls => format!(
                "listeners.tcp = none\nlisteners.ssl.local = 127.0.0.1:{port}\nssl_options.cacertfile = {}\n\
                 ssl_options.certfile = {}\nssl_options.keyfile = {}\n",
                self.path("tls/ca.crt"),
                self.path("tls/server.crt"),
                self.path("tls/leaf.key")
            ),
        };
        let (user, password) = (BackingServer::USER, BackingServer::PASSWORD);
        let login = format!("default_user = {user}\ndefault_pass = {password}\nloopback_users = none\n");
        self.write("rabbitmq.conf", &format!("{listener}{login}log.file = false\nlog.console = true\n"));
        let mut names = self.beside("epmd");
        names.args(["-address", "127.0.0.1", "-port", &names_port]).stdout(Stdio::null()).stderr(Stdio::null());
        let names = names.spawn().expect("epmd starts");
        let mut command = self.part.command();
        for (variable, name) in [
            ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced.config"),
            ("RABBITMQ_CONF_ENV_FILE", "no-such-file"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
            ("RABBITMQ_LOG_BASE", ""),
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_PID_FILE", "pid"),
        ] {
            command.env(variable, self.path(name));
        }
        command.env("RABBITMQ_LOGS", "-").env("RABBITMQ_NODENAME", "bench@localhost").env("SYS_PREFIX", "");
        command.env("RABBITMQ_DIST_PORT", node_port).env("ERL_EPMD_PORT", &names_port);
        command.args(["-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "-start_epmd", "false"]);
        command.args(["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"]);
        command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "+S", "1"]);
        (command, names)
    }

    fn nats(&self, port: u16) -> Command {
        let (user, password) = (BackingServer::USER, BackingServer::PASSWORD);
        let login = format!("authorization {{ user: \"{user}\", password: \"{password}\" }}\n");
        let tls = match self.wire {
            Wire::Plain => String::new(),
            Wire::Tls => format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
                self.path("tls/server.crt"),
                self.path("tls/leaf.key")
            ),
        };
        let configuration = self.write("nats.conf", &format!("listen: \"127.0.0.1:{port}\"\n{login}{tls}"));
        let mut command = self.part.command();
        command.arg("--config").arg(configuration);
        command
    }

    fn grpc_health(&self, port: u16) -> Command {
        let mut command = self.part.command();
        command.arg(format!("127.0.0.1:{port}")).args(["shop.Cart=SERVING", "shop.Search=NOT_SERVING"]);
        if self.wire == Wire::Tls {
            command.env("CERTIFICATE", self.path("tls/server.crt")).env("KEY", self.path("tls/leaf.key"));
        }
        command
    }
}

/// A port that was free a moment ago; a server that cannot have it ends, and another one is tried.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

fn run(mut command: Command) {
    let name = Path::new(command.get_program()).display().to_string();
    let output = command.output().unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{name}`: {}\n{said}", output.status);
}
