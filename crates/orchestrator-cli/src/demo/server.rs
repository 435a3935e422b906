//! The demo's stand-in for running services: a loopback HTTP server that answers from the render branches.
//!
//! No container runs in the demo. What a service "runs" is what its environment's render branch pins, read from git at
//! each request; so health checks and smoke tests see what was deployed, and nothing else. Outages are files in the
//! folder `outages`: they can be made and ended by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use git::Git;

/// The sentence that every answer carries.
const NOTE: &str = "no container runs here: this is what the render branch pins";

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts on a free loopback port.
    pub(super) fn start(git: Git, outages: PathBuf) -> Result<Self, String> {
        let server = tiny_http::Server::http("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = server.server_addr().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("demo-server".into())
            .spawn(move || serve(&server, &git, &outages, &asked))
            .map_err(|error| error.to_string())?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where an environment is served.
    pub(super) fn url(&self, environment: &str) -> String {
        format!("http://{}/{environment}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panicked server thread has nothing left to clean up.
            let _ended = thread.join();
        }
    }
}

fn serve(server: &tiny_http::Server, git: &Git, outages: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(50)) else { continue };
        let (status, body) = answer(request.url(), git, outages);
        let response = tiny_http::Response::from_string(format!("{body}\n")).with_status_code(status);
        let json = tiny_http::Header::from_bytes("content-type", "application/json");
        let response = json.into_iter().fold(response, tiny_http::Response::with_header);
        // The client may be gone: that is its business.
        let _gone = request.respond(response);
    }
}

fn answer(url: &str, git: &Git, outages: &Path) -> (u16, serde_json::Value) {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let down = |what: &str| outages.join(what).exists();
    match parts.as_slice() {
        [] => (200, serde_json::json!({ "note": NOTE })),
        [environment, "platform"] => {
            if down(&format!("{environment}-platform")) {
                (503, serde_json::json!({ "platform": "down", "note": NOTE }))
            } else {
                (200, serde_json::json!({ "platform": "up", "note": NOTE }))
            }
        }
        [environment, "checkout"] => {
            match (image(git, environment, "shop-cart"), image(git, environment, "shop-payments")) {
                _ if down(&format!("{environment}-checkout")) => (
                    500,
                    serde_json::json!({ "error": "the payment provider's sandbox does not answer", "note": NOTE }),
                ),
                (Some(cart), Some(payments)) => {
                    (200, serde_json::json!({ "status": "paid", "by": [cart, payments], "note": NOTE }))
                }
                _ => (503, serde_json::json!({ "error": "cart or payments is not deployed", "note": NOTE })),
            }
        }
        [environment, "services", service] => match image(git, environment, service) {
            Some(image) => (200, serde_json::json!({ "service": service, "image": image, "note": NOTE })),
            None => (404, serde_json::json!({ "error": "not deployed", "service": service, "note": NOTE })),
        },
        _ => (404, serde_json::json!({ "error": "no such page", "note": NOTE })),
    }
}

/// The image that the environment's render branch pins for a service.
fn image(git: &Git, environment: &str, service: &str) -> Option<String> {
    let branch = format!("refs/heads/deploy/{environment}");
    let files = git.read_files(&branch, Some(&format!("services/{service}"))).ok()?;
    files.iter().find_map(|file| {
        let text = std::str::from_utf8(&file.bytes).ok()?;
        let line = text.lines().find_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("image: "))?;
        Some(line.trim_matches('"').to_owned())
    })
}
