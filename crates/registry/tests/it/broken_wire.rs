//! What a well-behaved server cannot do: answers that break off, never come, or never end.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lock_model::ErrorClass;
use registry::layout::BuiltImage;
use registry::media_type::OCI_MANIFEST;
use registry::{Mirror, Registry, RegistryErrorKind, RegistryOptions};

use crate::support::{HOST, image, kind, options, refusal, request, resolve};

/// Answers every connection's requests by a function of the request's first line and of how many requests came before.
fn listen(answer: impl Fn(&str, usize, &mut TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer, counter) = (stream.unwrap(), Arc::clone(&answer), Arc::clone(&counter));
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    request.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                if !text.is_empty() {
                    answer(text.lines().next().unwrap(), counter.fetch_add(1, Ordering::SeqCst), &mut stream);
                }
                stream.shutdown(Shutdown::Both).ok();
            });
        }
    });
    (address, count)
}

fn registry(address: &str, change: impl FnOnce(&mut RegistryOptions)) -> Registry {
    let mut options = options();
    change(&mut options);
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(address.parse().unwrap()));
    Registry::new(options).unwrap()
}

/// Writes what the client may no longer be there to read.
fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).ok();
}

fn head(built: &BuiltImage, length: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {OCI_MANIFEST}\r\ndocker-content-digest: {}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        built.manifest.digest
    )
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_temporary_and_asked_for_again() {
    let built = image("linux/amd64").build();
    let length = built.manifest.bytes.len();
    let (address, count) = listen(move |line, _, stream| {
        send(stream, &head(&built, length));
        if line.starts_with("GET") {
            stream.write_all(&built.manifest.bytes[..length / 2]).ok();
        }
    });
    let unresolved = refusal(&registry(&address, |_| ())).await;
    assert_eq!(unresolved.class(), ErrorClass::Temporary);
    assert!(matches!(kind(&unresolved), RegistryErrorKind::CutOff { .. }), "{}", unresolved.reason);
    assert_eq!(count.load(Ordering::SeqCst), 1 + 3, "once, and three times again");
}

#[tokio::test]
async fn a_body_that_was_cut_once_is_had_the_second_time() {
    let built = image("linux/amd64").build();
    let expected = built.manifest.digest.clone();
    let (address, _) = listen(move |line, number, stream| {
        let body = if line.contains("/blobs/") { &built.config.bytes } else { &built.manifest.bytes };
        let digest = if line.contains("/blobs/") { &built.config.digest } else { &built.manifest.digest };
        let head = head(&built, body.len()).replace(built.manifest.digest.as_str(), digest.as_str());
        send(stream, &head);
        if line.starts_with("GET") {
            let cut = if number == 1 { 10 } else { body.len() };
            stream.write_all(&body[..cut]).ok();
        }
    });
    assert_eq!(resolve(&registry(&address, |_| ()), &request(&["a"])).await.unwrap().image.digest, expected);
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_temporary() {
    let (address, count) = listen(|_, _, _| ());
    let unresolved = refusal(&registry(&address, |_| ())).await;
    assert_eq!(unresolved.class(), ErrorClass::Temporary);
    assert!(matches!(kind(&unresolved), RegistryErrorKind::Unreachable { .. }), "{}", unresolved.reason);
    assert_eq!(count.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_temporary() {
    let (address, _) = listen(|_, _, stream| send(stream, "SSH-2.0-OpenSSH_9.2\r\n"));
    assert_eq!(refusal(&registry(&address, |_| ())).await.class(), ErrorClass::Temporary);
}

#[tokio::test]
async fn a_request_without_an_answer_ends_at_its_own_limit() {
    let (address, _) = listen(|_, _, stream| {
        // Ends when the client gives up.
        stream.read_exact(&mut [0]).ok();
    });
    let slow = registry(&address, |options| {
        options.request_timeout = Duration::from_millis(50);
        options.retry.retries = 1;
    });
    let unresolved = refusal(&slow).await;
    assert_eq!(unresolved.class(), ErrorClass::Temporary);
    assert!(matches!(kind(&unresolved), RegistryErrorKind::TimedOut { .. }), "{}", unresolved.reason);
    assert!(unresolved.reason.to_string().ends_with("did not answer within 0.05 s"), "{}", unresolved.reason);
}

#[tokio::test]
async fn the_deadline_of_the_command_ends_everything() {
    let (address, _) = listen(|_, _, stream| {
        stream.read_exact(&mut [0]).ok();
    });
    let registry = registry(&address, |options| options.concurrency = 1);
    let start = Instant::now();
    let requests = vec![request(&["a"]); 3];
    let answers = registry.resolve_all(&requests, start + Duration::from_millis(100), &|_| ()).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(answers.len(), 3);
    for answer in answers {
        let unresolved = answer.unwrap_err();
        assert_eq!(unresolved.class(), ErrorClass::Temporary);
        assert!(matches!(kind(&unresolved), RegistryErrorKind::Deadline { .. }), "{}", unresolved.reason);
    }
}

#[tokio::test]
async fn t40_an_endless_manifest_ends_at_the_cap() {
    let built = image("linux/amd64").build();
    let (address, count) = listen(move |line, _, stream| {
        if line.starts_with("HEAD") {
            return send(stream, &head(&built, 1));
        }
        send(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let start = Instant::now();
    let unresolved = refusal(&registry(&address, |_| ())).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    assert!(matches!(kind(&unresolved), RegistryErrorKind::TooLarge { limit: 4_194_304 }), "{}", unresolved.reason);
    assert_eq!(count.load(Ordering::SeqCst), 1, "not asked for again");
}

#[tokio::test]
async fn t40_an_announced_length_beyond_the_cap_is_not_waited_for() {
    let built = image("linux/amd64").build();
    let (address, _) = listen(move |_, _, stream| {
        send(stream, &head(&built, 1 << 40));
        stream.read_exact(&mut [0]).ok();
    });
    let unresolved = refusal(&registry(&address, |_| ())).await;
    assert!(matches!(kind(&unresolved), RegistryErrorKind::TooLarge { .. }), "{}", unresolved.reason);
}

/// Accepts connections and hands each to a function, on a thread of its own.
fn accept(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counter.fetch_add(1, Ordering::SeqCst);
            serve(stream.unwrap());
        }
    });
    (address, count)
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_unreachable_over_https() {
    let (address, _) = accept(|mut stream| send(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n"));
    let registry = registry(&address, |options| options.retry.retries = 0);
    let unresolved = refusal(&registry).await;
    // Without certificate authorities on the machine there is no client to begin with.
    let reached = matches!(kind(&unresolved), RegistryErrorKind::Unreachable { .. } | RegistryErrorKind::Client { .. });
    assert!(reached, "{}", unresolved.reason);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_not_asked_again() {
    let certificate = include_bytes!("../fixtures/self-signed.crt.der").as_slice();
    let key = include_bytes!("../fixtures/self-signed.key.der").as_slice();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], rustls::pki_types::PrivatePkcs8KeyDer::from(key).into())
        .unwrap();
    let config = Arc::new(config);
    let (address, count) = accept(move |mut stream| {
        let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
    });
    let unresolved = refusal(&registry(&address, |_| ())).await;
    match kind(&unresolved) {
        RegistryErrorKind::Untrusted { .. } => {
            assert_eq!(unresolved.class(), ErrorClass::Denied);
            assert_eq!(count.load(Ordering::SeqCst), 1);
        }
        // Without certificate authorities on the machine there is no client to begin with.
        RegistryErrorKind::Client { .. } => {}
        other => panic!("{other:?}"),
    }
}
