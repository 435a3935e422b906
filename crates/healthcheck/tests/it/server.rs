//! A server that answers each path with the bytes that a test gives it.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What a server does with a request.
pub(crate) enum Answer {
    /// It sends these bytes and closes.
    Bytes(Vec<u8>),
    /// It sends a head, and then a body without an end.
    Endless,
    /// It takes the request and says nothing.
    Silence,
    /// It waits until as many requests as the barrier wants are there.
    Together(Arc<Barrier>),
}

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    most: Arc<Mutex<usize>>,
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Bytes(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into(),
    )
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (active, most) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let server =
            Self { url: format!("http://{address}"), requests: Arc::clone(&requests), most: Arc::clone(&most) };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                let (active, most) = (Arc::clone(&active), Arc::clone(&most));
                tokio::spawn(async move {
                    *active.lock().unwrap() += 1;
                    let now = *active.lock().unwrap();
                    let before = *most.lock().unwrap();
                    *most.lock().unwrap() = before.max(now);
                    serve(stream, &requests, &*answer, &active).await;
                });
            }
        });
        server
    }

    /// The paths that were asked for, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// How many connections were served at the same time, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        *self.most.lock().unwrap()
    }
}

async fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str) -> Answer + Sync),
    active: &Mutex<usize>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            *active.lock().unwrap() -= 1;
            return;
        };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    requests.lock().unwrap().push(path.clone());
    match answer(&path) {
        Answer::Bytes(bytes) => {
            *active.lock().unwrap() -= 1;
            let _sent = stream.write_all(&bytes).await;
        }
        Answer::Together(barrier) => {
            barrier.wait().await;
            *active.lock().unwrap() -= 1;
            let _sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
        Answer::Endless => {
            let mut sent = stream.write_all(b"HTTP/1.1 503 Busy\r\nconnection: close\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 4096]).await;
            }
        }
        // Until the other side gives up.
        Answer::Silence => drop(stream.read_u8().await),
    }
}
