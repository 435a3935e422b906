//! TLS all the way: HTTP/2 where it is offered, and a tunnel through a proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lock_model::ErrorClass;
use registry::credentials::{EnvCredential, Login};
use registry::layout::BuiltImage;
use registry::{Credentials, HostOptions, ImageRequest, Mirror, PemAuthority, Registry, RegistryOptions};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::support::{HOST, env_sources, image, options, request, resolve, soon};

const AUTHORITY: &str = include_str!("../fixtures/authority.pem");
const SERVER: (&str, &str) = (include_str!("../fixtures/server.pem"), include_str!("../fixtures/server.key.pem"));
/// For `registry.test`, vouched for by itself.
const PROXIED: (&str, &str) = (include_str!("../fixtures/proxied.pem"), include_str!("../fixtures/proxied.key.pem"));

const LOGIN: &str = "Basic bWU6Y2FuYXJ5LXBhc3N3b3Jk";

/// A request, as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    connection: usize,
    version: Version,
    headers: BTreeMap<String, String>,
}

/// A registry behind TLS that has one image, as `a`.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// `guarded`: only whoever is logged in gets anything.
    fn start(certificate: (&str, &str), protocols: &[&[u8]], built: &BuiltImage, guarded: bool) -> Self {
        options();
        let chain = CertificateDer::pem_slice_iter(certificate.0.as_bytes()).collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(certificate.1.as_bytes()).unwrap();
        let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let documents = Arc::new(documents(built));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                for connection in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, documents, seen) = (acceptor.clone(), Arc::clone(&documents), Arc::clone(&seen));
                    tokio::spawn(async move {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        let is_http_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                        let answer = service_fn(move |request: Request<Incoming>| {
                            seen.lock().unwrap().push(Seen::new(connection, &request));
                            let answer = answer(&documents, guarded, &request);
                            async move { Ok::<_, Infallible>(answer) }
                        });
                        let stream = TokioIo::new(stream);
                        // The client ends the connection when it likes.
                        if is_http_2 {
                            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                            builder.serve_connection(stream, answer).await.ok();
                        } else {
                            hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).await.ok();
                        }
                    });
                }
            });
        });
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn connections(&self) -> BTreeSet<usize> {
        self.seen().iter().map(|seen| seen.connection).collect()
    }
}

impl Seen {
    fn new(connection: usize, request: &Request<Incoming>) -> Self {
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self { connection, version: request.version(), headers }
    }
}

/// By path: type, digest, bytes.
type Documents = BTreeMap<String, (String, String, Bytes)>;

fn documents(built: &BuiltImage) -> Documents {
    let mut documents = Documents::new();
    let BuiltImage { manifest, config, .. } = built;
    for (path, blob) in [
        ("manifests/a".to_owned(), manifest),
        (format!("manifests/{}", manifest.digest), manifest),
        (format!("blobs/{}", config.digest), config),
    ] {
        let entry = (blob.media_type.clone(), blob.digest.to_string(), blob.bytes.clone().into());
        documents.insert(format!("/v2/shop/cart/{path}"), entry);
    }
    documents
}

fn answer(documents: &Documents, guarded: bool, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let sent = request.headers().get("authorization").map(hyper::header::HeaderValue::as_bytes);
    if guarded && sent != Some(LOGIN.as_bytes()) {
        let refusal = Response::builder().status(401).header("www-authenticate", "Basic realm=\"tests\"");
        return refusal.body(Full::default()).unwrap();
    }
    if request.uri().path().ends_with("/manifests/downgraded") {
        // Another registry on this machine, to which plain HTTP may be spoken by whoever begins with it.
        let to = "http://127.0.0.1:1/v2/shop/cart/manifests/a";
        return Response::builder().status(307).header("location", to).body(Full::default()).unwrap();
    }
    match documents.get(request.uri().path()) {
        None => Response::builder().status(404).body(Full::default()).unwrap(),
        Some((media_type, digest, bytes)) => Response::builder()
            .header("content-type", media_type)
            .header("docker-content-digest", digest)
            .body(Full::new(bytes.clone()))
            .unwrap(),
    }
}

fn trusting(url: &str, authority: &str) -> RegistryOptions {
    let mut options = options();
    options.mirrors.insert(HOST.to_owned(), Mirror::Http(url.parse().unwrap()));
    options.authorities = vec![PemAuthority::new("authority.pem", authority)];
    options.retry.retries = 0;
    options
}

fn many() -> Vec<ImageRequest> {
    vec![request(&["a"]); 50]
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    let built = image("linux/amd64").build();
    for (protocols, version) in
        [(&[&b"h2"[..], b"http/1.1"][..], Version::HTTP_2), (&[&b"http/1.1"[..]][..], Version::HTTP_11)]
    {
        let server = Server::start(SERVER, protocols, &built, false);
        let registry = Registry::new(trusting(&format!("https://{}", server.address), AUTHORITY)).unwrap();
        for round in 0..2 {
            let answers = registry.resolve_all(&many(), soon(), &|_| ()).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            let seen = server.seen();
            assert_eq!(seen.len(), 150 * (round + 1), "manifest, configuration and a HEAD, of 50 services");
            assert!(seen.iter().all(|seen| seen.version == version));
        }
        let connections = server.connections().len();
        match version {
            Version::HTTP_2 => assert_eq!(connections, 1, "all requests share one connection"),
            // A few more than requests at a time: one may be begun while another becomes free.
            _ => assert!((2..=64).contains(&connections), "connections are used again: {connections}"),
        }
    }
}

#[tokio::test]
async fn t21_a_redirect_from_https_to_plain_http_is_refused_even_on_this_machine() {
    let server = Server::start(SERVER, &[b"http/1.1"], &image("linux/amd64").build(), false);
    let registry = Registry::new(trusting(&format!("https://{}", server.address), AUTHORITY)).unwrap();
    let unresolved = resolve(&registry, &request(&["downgraded"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Invalid);
    let text = unresolved.reason.to_string();
    assert!(text.contains("redirects from https to plain HTTP"), "{text}");
}

const OWN_KEY: &str = include_str!("../fixtures/own.key.pem");
const OWN: &str = include_str!("../fixtures/own.pem");
/// The same name and key, in another certificate.
const OWN_AGAIN: &str = include_str!("../fixtures/own-again.pem");
const OWN_EXPIRED: &str = include_str!("../fixtures/own-expired.pem");
const OWN_EARLY: &str = include_str!("../fixtures/own-early.pem");
const OWN_ELSEWHERE: &str = include_str!("../fixtures/own-elsewhere.pem");

/// `openssl req -x509` marks what it makes as an authority, and people hand us exactly that file.
#[tokio::test]
async fn t21_a_server_that_vouches_for_itself_is_trusted_by_exactly_its_certificate() {
    let built = image("linux/amd64").build();
    let both = format!("{AUTHORITY}{OWN}");
    for (shown, trusted, refusal) in [
        (OWN, OWN, None),
        (OWN, &both, None),
        (OWN_AGAIN, OWN, Some("CaUsedAsEndEntity")),
        (OWN, AUTHORITY, Some("CaUsedAsEndEntity")),
        (OWN_EXPIRED, OWN_EXPIRED, Some("Expired")),
        (OWN_EARLY, OWN_EARLY, Some("NotValidYet")),
        (OWN_ELSEWHERE, OWN_ELSEWHERE, Some("NotValidForName")),
        (SERVER.0, OWN, Some("UnknownIssuer")),
    ] {
        let key = if shown == SERVER.0 { SERVER.1 } else { OWN_KEY };
        let server = Server::start((shown, key), &[b"h2", b"http/1.1"], &built, false);
        let address = server.address.to_string();
        let of_all = trusting(&format!("https://{address}"), trusted);
        let mut of_host = of_all.clone();
        let mut host = HostOptions::default();
        host.authorities = std::mem::take(&mut of_host.authorities);
        of_host.hosts.insert(address, host);
        for options in [of_all, of_host] {
            let answer = resolve(&Registry::new(options).unwrap(), &request(&["a"])).await;
            match (answer, refusal) {
                (Ok(found), None) => assert_eq!(found.image.digest, built.manifest.digest),
                (Err(unresolved), Some(words)) => {
                    assert_eq!(unresolved.class(), ErrorClass::Denied, "{unresolved}");
                    assert!(format!("{unresolved:?}").contains(words), "{words}: {unresolved:?}");
                }
                (answer, refusal) => panic!("{refusal:?}: {answer:?}"),
            }
        }
    }
}

/// A proxy that knows one name and lets in whoever knows its password; gives its address and what it was asked.
fn tunnel(to: SocketAddr, password: &str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let accepted = base64::engine::general_purpose::STANDARD.encode(format!("user:{password}"));
    let heads = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, heads, accepted) = (client.unwrap(), Arc::clone(&heads), accepted.clone());
            std::thread::spawn(move || {
                let mut head = String::new();
                // Nothing comes behind the head before the tunnel is there.
                let mut reader = BufReader::new(client.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") {
                    if reader.read_line(&mut head).unwrap_or(0) == 0 {
                        return;
                    }
                }
                let allowed = head.lines().any(|line| {
                    line.split_once(':').is_some_and(|(name, value)| {
                        name.eq_ignore_ascii_case("proxy-authorization") && value.trim() == format!("Basic {accepted}")
                    })
                });
                heads.lock().unwrap().push(head);
                if !allowed {
                    client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").ok();
                    return;
                }
                if !heads.lock().unwrap().last().unwrap().starts_with("CONNECT registry.test:") {
                    client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").ok();
                    return;
                }
                let server = TcpStream::connect(to).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut up, mut down) = (server.try_clone().unwrap(), server);
                let mut back = client.try_clone().unwrap();
                std::thread::spawn(move || std::io::copy(&mut down, &mut back));
                std::io::copy(&mut client, &mut up).ok();
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn t21_https_goes_through_a_proxy_that_sees_its_own_login_and_nothing_else() {
    let built = image("linux/amd64").build();
    let server = Server::start(PROXIED, &[b"h2", b"http/1.1"], &built, true);
    let (proxy, asked) = tunnel(server.address, "proxy-canary");
    let through = |password: &str| {
        let mut options = trusting("https://registry.test", PROXIED.0);
        let login = Login::password("me", "canary-password");
        let explicit = vec![EnvCredential::new("V", "registry.test", login)];
        options.credentials = Credentials::load(env_sources(explicit)).unwrap();
        options.proxies.https = Some(format!("http://user:{password}@{proxy}").parse().unwrap());
        options
    };
    let found = resolve(&Registry::new(through("proxy-canary")).unwrap(), &request(&["a"])).await.unwrap();
    assert_eq!(found.image.digest, built.manifest.digest);
    let heads = asked.lock().unwrap().clone();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(head.starts_with("CONNECT registry.test:443 HTTP/1.1\r\n"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("\nauthorization:"), "{head}");
        assert!(!head.contains("/v2/"), "{head}");
    }
    let seen = server.seen();
    assert!(seen.iter().any(|seen| seen.headers.get("authorization").is_some_and(|sent| sent == LOGIN)));
    assert!(seen.iter().all(|seen| !seen.headers.contains_key("proxy-authorization")));

    // A proxy that does not let us in: nothing passes, and no message says with what we tried.
    let before = server.seen().len();
    let options = through("wrong-canary");
    assert!(!format!("{options:?}").contains("canary"), "{options:?}");
    let unresolved = resolve(&Registry::new(options).unwrap(), &request(&["a"])).await.unwrap_err();
    assert_eq!(unresolved.class(), ErrorClass::Denied, "{}", unresolved.reason);
    let text = format!("{} {unresolved:?} {:?}", unresolved.reason, unresolved.tried);
    assert!(!text.contains("canary"), "{text}");
    let words = format!("`registry.test` cannot be reached: the proxy `{proxy}` asks for a login (407)");
    assert!(text.contains(&words), "{text}");
    assert_eq!(server.seen().len(), before);

    // A host that it does not know, which it is asked about once more for the status; and proxies that are not there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, host, class, words) in [
        (
            format!("http://user:proxy-canary@{proxy}"),
            "other.test",
            ErrorClass::Denied,
            "refuses to connect to it (403)",
        ),
        (format!("http://user:canary@{gone}"), "registry.test", ErrorClass::Temporary, "cannot be reached"),
    ] {
        let mut options = trusting(&format!("https://{host}"), PROXIED.0);
        options.proxies.https = Some(address.parse().unwrap());
        options.retry.retries = 0;
        let unresolved = resolve(&Registry::new(options).unwrap(), &request(&["a"])).await.unwrap_err();
        let text = unresolved.reason.to_string();
        assert_eq!(unresolved.class(), class, "{text}");
        let proxy = address.rsplit('@').next().unwrap();
        assert!(text.contains(&format!("`{host}` cannot be reached: the proxy `{proxy}` {words}")), "{text}");
    }
}
