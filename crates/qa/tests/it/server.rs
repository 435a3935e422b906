//! A server that answers each request with what a test makes of its text.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside an answer that never comes")]
pub(crate) fn response(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}").into())
}

impl Server {
    /// `answer` gets the path; without an answer the connection stays open and silent.
    pub(crate) async fn start(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { url, requests: Arc::clone(&requests) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &requests, &answer).await;
            }
        });
        server
    }

    /// The requests as they came: head, and body as far as it was announced.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, requests: &Mutex<Vec<String>>, answer: &impl Fn(&str) -> Option<Vec<u8>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(request.clone()).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    request.extend(body);
    requests.lock().unwrap().push(String::from_utf8(request).unwrap());
    match answer(head.split(' ').nth(1).unwrap()) {
        Some(bytes) => drop(stream.write_all(&bytes).await),
        // Until the other side gives up.
        None => drop(stream.read_u8().await),
    }
}
