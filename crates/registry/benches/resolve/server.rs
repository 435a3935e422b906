//! nginx with a registry's answers as files: it costs next to nothing, so that the client shows.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use test_support::bench::{self, Missing};

use crate::images::Image;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
/// The authority of the certificate for TLS.
pub(crate) const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/authority.pem");

/// A server; it ends when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    address: String,
    folder: TempDir,
}

/// What a server has done so far.
#[derive(Clone, Copy)]
pub(crate) struct Served {
    pub(crate) connections: usize,
    pub(crate) requests: usize,
}

const CONTENT: &str = r#"
    map $request_uri $digest {
        "~(?<of>sha256:[0-9a-f]+)$" $of;
        include tags.map;
    }
    map $request_uri $folder {
        default /manifest;
        include indexes.map;
    }"#;

/// What every answer of a registry carries.
const HEADERS: &str = r#"add_header Docker-Content-Digest $digest;
            add_header Docker-Distribution-Api-Version "registry/2.0";
            add_header X-Content-Type-Options nosniff;"#;

impl Nginx {
    /// Serves images to everybody.
    pub(crate) fn of_images(images: &[Image]) -> Result<Self, Missing> {
        Self::start("", "", "", |folder| write(folder, images))
    }

    /// The same with TLS, over HTTP/2 for those who speak it; the certificate is one of [`AUTHORITY`].
    pub(crate) fn of_images_with_tls(images: &[Image]) -> Result<Self, Missing> {
        let certificate =
            format!("ssl_certificate {FIXTURES}/server.pem;\n        ssl_certificate_key {FIXTURES}/server.key.pem;");
        Self::listening("ssl http2", "", &certificate, "", |folder| write(folder, images))
    }

    /// Serves images to those with a token for their repository, which is given out at `realm`.
    pub(crate) fn behind_tokens(images: &[Image], realm: &str) -> Result<Self, Missing> {
        let map = r#"
    map "$http_authorization $uri" $refused {
        default 1;
        "~^Bearer token:(?<r>\S+) (/\w+)?/v2/\k<r>/(manifests|blobs)/" "";
    }
    map $request_uri $repository {
        "~^/v2/(?<p>.+)/(manifests|blobs)/" $p;
    }"#;
        let challenge = format!(
            r#"add_header WWW-Authenticate 'Bearer realm="{realm}/token",service="bench",scope="repository:$repository:pull"' always;
        if ($refused) {{
            return 401;
        }}"#
        );
        Self::start(map, "", &challenge, |folder| write(folder, images))
    }

    /// Gives out tokens, and keeps a list of what was asked for.
    pub(crate) fn of_tokens() -> Result<Self, Missing> {
        let maps = r#"
    map $arg_scope $scope {
        "~^repository%3A(?<first>[^%]+)%2F(?<second>[^%]+)%3Apull$" $first/$second;
    }
    log_format scopes $scope;"#;
        let token = r#"location = /token {
            default_type application/json;
            access_log scopes.log scopes;
            return 200 '{"token":"token:$scope","expires_in":300}';
        }"#;
        Self::start(maps, token, "", |folder| write(folder, &[]))
    }

    fn start(maps: &str, inside: &str, door: &str, fill: impl FnOnce(&Path)) -> Result<Self, Missing> {
        Self::listening("", maps, inside, door, fill)
    }

    fn listening(how: &str, maps: &str, inside: &str, door: &str, fill: impl FnOnce(&Path)) -> Result<Self, Missing> {
        let part = bench::part("nginx")?;
        let folder = crate::folder();
        fill(folder.path());
        // It cannot be given an open port: one that was free a moment ago is tried, another one if it is taken.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
            let address = free.to_string();
            fs::write(folder.path().join("nginx.conf"), configuration(&address, how, maps, inside, door)).unwrap();
            let mut command = part.command();
            command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "errors.log"]);
            let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                if TcpStream::connect(&address).is_ok() && process.try_wait().unwrap().is_none() {
                    return Ok(Self { process, address, folder });
                }
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                assert!(Instant::now() < deadline, "nginx does not listen");
                std::thread::yield_now();
            }
        }
        panic!("nginx does not start: {}", fs::read_to_string(folder.path().join("errors.log")).unwrap_or_default());
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn served(&self) -> Served {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let numbers = text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1).unwrap();
        let mut numbers = numbers.split_whitespace().map(|number| number.parse().unwrap());
        Served { connections: numbers.next().unwrap(), requests: numbers.nth(1).unwrap() }
    }

    /// The scopes that tokens were given out for, since the last call.
    pub(crate) fn scopes(&self) -> Vec<String> {
        let path = self.folder.path().join("scopes.log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0)).ok();
        text.lines().map(str::to_owned).collect()
    }
}

impl Served {
    /// What was done since `before`, but for the question itself.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { connections: self.connections - before.connections - 1, requests: self.requests - before.requests - 1 }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn configuration(address: &str, how: &str, maps: &str, inside: &str, door: &str) -> String {
    format!(
        r"daemon off;
master_process off;
pid nginx.pid;
events {{
    worker_connections 1024;
}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 600s;
    open_file_cache max=20000 inactive=600s;
    open_file_cache_valid 600s;
    map_hash_max_size 65536;
    map_hash_bucket_size 256;
    types {{}}{CONTENT}{maps}
    server {{
        listen {address} backlog=1024 {how};
        location = /status {{
            stub_status;
        }}
        {inside}
        location = /v2/ {{
            default_type application/json;
            return 200 '{{}}';
        }}
        location /index/ {{
            internal;
            alias www/;
            default_type application/vnd.oci.image.index.v1+json;
            {HEADERS}
        }}
        location /manifest/ {{
            internal;
            alias www/;
            default_type application/vnd.oci.image.manifest.v1+json;
            {HEADERS}
        }}
        location ~ ^/v2/.+/manifests/ {{
            {door}
            rewrite ^ $folder$uri last;
        }}
        location /v2/ {{
            {door}
            root www;
            default_type application/octet-stream;
            {HEADERS}
        }}
    }}
}}
"
    )
}

/// Writes a file for each question, and the maps that nginx finds digests and types in.
fn write(folder: &Path, images: &[Image]) {
    let (mut tags, mut indexes) = (String::new(), String::new());
    for image in images {
        let path = format!("/v2/{}", image.repository);
        let put = |kind: &str, name: &str, bytes: &[u8]| {
            let file = folder.join(format!("www{path}/{kind}/{name}"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        put("manifests", &image.tag, &image.index.bytes);
        for document in std::iter::once(&image.index).chain(&image.manifests).chain(&image.attestations) {
            put("manifests", document.digest.as_str(), &document.bytes);
        }
        for config in &image.configs {
            put("blobs", config.digest.as_str(), &config.bytes);
        }
        writeln!(tags, "{path}/manifests/{} {};", image.tag, image.index.digest).unwrap();
        for name in [&image.tag, image.index.digest.as_str()] {
            writeln!(indexes, "{path}/manifests/{name} /index;").unwrap();
        }
    }
    fs::write(folder.join("tags.map"), tags).unwrap();
    fs::write(folder.join("indexes.map"), indexes).unwrap();
}
