//! A proxy that makes the way long: whatever goes in comes out half a round trip later, in both directions.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// A proxy; it ends when this is dropped.
pub(crate) struct LongWay {
    address: String,
    // Its drop is the sign to end.
    _end: oneshot::Sender<()>,
}

impl LongWay {
    pub(crate) fn to(target: &str, round_trip: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = target.to_owned();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(&listener, &target, round_trip / 2) => {}
                    _ = ended => {}
                }
            });
        });
        Self { address, _end: end }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

async fn accept(listener: &TcpListener, target: &str, delay: Duration) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(target).await.unwrap();
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
        tokio::spawn(carry(client_in, server_out, delay));
        tokio::spawn(carry(server_in, client_out, delay));
    }
}

/// Carries bytes until one side ends; what is on its way still arrives.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
            break;
        }
    }
}
