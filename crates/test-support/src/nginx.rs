//! nginx in front of another server, with TLS and HTTP/2, and a log of the requests.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::bench::{self, Missing, Part};
use crate::server::listening_socket;

/// nginx with one server on a loopback port; it ends when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    part: Part,
    process: Child,
    address: String,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx. `listen` follows the address in its directive (`ssl http2`, or nothing), `server` is what stands
    /// in the `server` block beside it.
    pub fn start(listen: &str, server: &str) -> Result<Self, Missing> {
        let part = bench::part("nginx")?;
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (socket, address) = listening_socket();
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary += &[kind, "_temp_path ", kind, ";\n"].concat();
        }
        let text = format!(
            "daemon off;\n\
             user root root;\n\
             worker_processes 1;\n\
             worker_shutdown_timeout 2s;\n\
             pid nginx.pid;\n\
             error_log error.log warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
             {temporary}\
             log_format tests '$server_protocol $status $request_method $request_uri $connection';\n\
             access_log access.log tests;\n\
             server {{\n\
             listen {address} {listen};\n\
             {server}\n\
             }}\n\
             }}\n"
        );
        fs::write(folder.path().join("nginx.conf"), text).expect("nginx's configuration can be written");
        let mut command = part.command();
        // nginx takes over the listening sockets whose numbers this variable lists.
        command.env("NGINX", "0;").stdin(Stdio::from(socket)).stdout(Stdio::null());
        let log = fs::File::create(folder.path().join("stderr.log")).expect("nginx's output can be written");
        let process = command.args(arguments(folder.path())).stderr(log).spawn().expect("nginx starts");
        Ok(Self { part, process, address, folder })
    }

    /// Starts nginx, or reports the running test as skipped.
    pub fn start_or_skip(listen: &str, server: &str) -> Option<Self> {
        bench::or_skip(Self::start(listen, server))
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends nginx and gives its log, a line a request: `HTTP/2.0 200 GET /v2/shop/cart/manifests/main-1 3`, with the
    /// number of the connection at the end.
    pub fn stop(mut self) -> Vec<String> {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let problems = || format!("{}{}", read("stderr.log"), read("error.log"));
        assert!(self.signal("quit"), "nginx does not run: {}", problems());
        self.process.wait().expect("nginx is a child of ours");
        read("access.log").lines().map(str::to_owned).collect()
    }

    /// Tells nginx, with its workers, to end; whether it heard.
    fn signal(&self, signal: &str) -> bool {
        let mut command = self.part.command();
        command.args(arguments(self.folder.path())).args(["-s", signal]);
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // Killed, it would leave its workers behind.
        if !self.signal("stop") {
            self.process.kill().ok();
        }
        self.process.wait().ok();
    }
}

fn arguments(folder: &Path) -> [String; 6] {
    let folder = folder.to_str().expect("test paths are UTF-8");
    let words = ["-p", folder, "-c", "nginx.conf", "-e", "error.log"];
    words.map(str::to_owned)
}
