//! A loopback proxy in front of a real registry: at its next request something happens first.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens before a request is passed on.
type Happening = Box<dyn FnOnce() + Send>;

/// Passes bytes on, both ways, until the test process ends.
pub(crate) struct Proxy {
    address: String,
    next: Arc<Mutex<Option<Happening>>>,
}

impl Proxy {
    /// Starts a proxy before `upstream`.
    pub(crate) fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let next: Arc<Mutex<Option<Happening>>> = Arc::default();
        let (shared, upstream) = (Arc::clone(&next), upstream.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (shared, upstream) = (Arc::clone(&shared), upstream.clone());
                thread::spawn(move || pass(client, &upstream, &shared));
            }
        });
        Self { address, next }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does something once, when the next request has arrived and before it is passed on.
    pub(crate) fn at_next_request(&self, happening: impl FnOnce() + Send + 'static) {
        *self.next.lock().expect("no happening panicked") = Some(Box::new(happening));
    }
}

/// One connection: requests one way, answers the other.
fn pass(mut client: TcpStream, upstream: &str, next: &Mutex<Option<Happening>>) {
    let mut server = TcpStream::connect(upstream).expect("the registry listens");
    let (mut answers, mut back) =
        (server.try_clone().expect("a socket can be shared"), client.try_clone().expect("a socket can be shared"));
    let answering = thread::spawn(move || {
        // Either side may go away: that ends the connection.
        io::copy(&mut answers, &mut back).ok();
        back.shutdown(Shutdown::Write).ok();
    });
    let mut buffer = [0; 16 * 1024];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        // Let go before it happens: it may say what happens next.
        let happening = next.lock().expect("no happening panicked").take();
        if let Some(happening) = happening {
            happening();
        }
        if server.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    server.shutdown(Shutdown::Write).ok();
    answering.join().ok();
}
