//! A door before the API server at which a test sees each request, holds it, or answers in the server's place.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Cluster;
use crate::bench;
use crate::nginx::Nginx;
use crate::server::{Says, Server};

/// How often a held request looks whether the door is gone.
const LOOK: Duration = Duration::from_millis(10);

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It reaches the API server.
    Pass,
    /// It never does: its client waits as long as the door is there.
    Hold,
    /// Its client gets this answer of HTTP, and the API server nothing.
    Answer(String),
}

/// The door; it closes when this is dropped.
///
/// nginx takes TLS with the certificate of the API server, a thread of this process reads the requests, and `kubectl proxy`
/// asks the API server as administrator.
#[derive(Debug)]
pub struct Gate {
    nginx: Nginx,
    _kubectl: Server,
    kubeconfig: String,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    lines: Mutex<Vec<String>>,
    held: AtomicUsize,
    is_gone: AtomicBool,
}

impl Cluster {
    /// Opens a door, or reports the running test as skipped. `rule` judges the first line of each request, such as `POST
    /// /api/v1/namespaces/shop/secrets HTTP/1.1`.
    pub fn gate_or_skip(&self, rule: impl Fn(&str) -> Act + Send + Sync + 'static) -> Option<Gate> {
        let mut kubectl = bench::part_or_skip("kubectl")?.command();
        kubectl.arg("proxy").arg("--port=0").arg("--kubeconfig").arg(self.kubeconfig_path());
        let kubectl = Server::start(kubectl, Says::Stdout, |line| {
            let (_, address) = line.split_once("Starting to serve on ")?;
            Some(address.trim().to_owned())
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let behind = listener.local_addr().expect("it listens");
        let certificate = self.authority.path("kube-apiserver.crt");
        let key = self.authority.path("leaf.key");
        let nginx = Nginx::start_or_skip(
            "ssl",
            &format!(
                "ssl_certificate {};\nssl_certificate_key {};\nclient_max_body_size 0;\n\
                 location / {{ proxy_pass http://{behind}; proxy_http_version 1.1; proxy_set_header Connection close; \
                 proxy_buffering off; proxy_request_buffering off; proxy_read_timeout 1h; }}",
                certificate.display(),
                key.display()
            ),
        )?;
        let seen = Arc::new(Seen::default());
        let (shared, server, rule) = (Arc::clone(&seen), kubectl.address().to_owned(), Arc::new(rule));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.is_gone.load(Ordering::SeqCst) {
                    break;
                }
                let (seen, server, rule) = (Arc::clone(&shared), server.clone(), Arc::clone(&rule));
                std::thread::spawn(move || serve(stream, &server, &seen, &*rule));
            }
        });
        let kubeconfig = self.kubeconfig().replace(&self.server(), &format!("https://{}", nginx.address()));
        Some(Gate { nginx, _kubectl: kubectl, kubeconfig, seen })
    }
}

impl Gate {
    /// A kubeconfig that leads through the door.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// The first line of each request so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.seen.held.load(Ordering::SeqCst)
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.nginx.address()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.seen.is_gone.store(true, Ordering::SeqCst);
    }
}

/// One request: nginx opens a connection for each.
fn serve(mut client: TcpStream, server: &str, seen: &Seen, rule: &(dyn Fn(&str) -> Act + Sync)) {
    let mut head = Vec::new();
    let mut part = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match client.read(&mut part) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&part[..count]),
        }
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    seen.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    match rule(&line) {
        Act::Pass => {}
        Act::Hold => {
            seen.held.fetch_add(1, Ordering::SeqCst);
            while !seen.is_gone.load(Ordering::SeqCst) {
                std::thread::sleep(LOOK);
            }
            return;
        }
        Act::Answer(answer) => {
            client.write_all(answer.as_bytes()).ok();
            return;
        }
    }
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    if upstream.write_all(&head).is_err() {
        return;
    }
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), upstream.try_clone()) else { return };
    std::thread::spawn(move || {
        std::io::copy(&mut from_client, &mut to_server).ok();
        to_server.shutdown(Shutdown::Write).ok();
    });
    std::io::copy(&mut upstream, &mut client).ok();
    client.shutdown(Shutdown::Both).ok();
    upstream.shutdown(Shutdown::Both).ok();
}
