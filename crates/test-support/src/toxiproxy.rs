//! Toxiproxy between a client and a server: slow, narrow, cut, reset, silent.

use std::fmt::Write as _;

use crate::bench::{self, Missing};
use crate::http;
use crate::server::{Says, Server, listening_on};

/// A running Toxiproxy, empty at first; it ends when this is dropped.
///
/// The [toxics] and their attributes are Toxiproxy's own.
///
/// [toxics]: https://github.com/Shopify/toxiproxy#toxics
#[derive(Debug)]
pub struct Toxiproxy {
    server: Server,
}

/// The direction that a toxic works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// One proxied server.
#[derive(Debug)]
pub struct ToxicDoor<'a> {
    proxy: &'a Toxiproxy,
    name: String,
    address: String,
}

impl Toxiproxy {
    /// Starts Toxiproxy, once it listens.
    pub fn start() -> Result<Self, Missing> {
        let command = bench::part("toxiproxy")?.command();
        Ok(Self { server: Server::start(command, Says::Stdout, listening_on) })
    }

    /// Starts Toxiproxy, or reports the running test as skipped.
    pub fn start_or_skip() -> Option<Self> {
        bench::or_skip(Self::start())
    }

    /// Puts a door in front of a server (`127.0.0.1:PORT`): harmless at first. The name is a plain word of its own.
    pub fn door(&self, name: &str, upstream: &str) -> ToxicDoor<'_> {
        let body = format!(r#"{{"name":"{name}","listen":"127.0.0.1:0","upstream":"{upstream}"}}"#);
        let answer = self.send("POST", "/proxies", &body);
        // Toxiproxy's answer is one flat object, and an address needs no escapes.
        let address = answer.split_once(r#""listen":""#).and_then(|(_, rest)| rest.split_once('"'));
        let (address, _) = address.unwrap_or_else(|| panic!("Toxiproxy names no address: {answer}"));
        ToxicDoor { proxy: self, name: name.to_owned(), address: address.to_owned() }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let answer = http::send(self.server.address(), method, path, &[], body);
        assert!(matches!(answer.status, 200 | 201 | 204), "Toxiproxy: {method} {path} {body}: {answer:?}");
        answer.body
    }
}

impl ToxicDoor<'_> {
    /// Where clients connect to: `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The URL for clients that speak plain HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a toxic of a kind, such as `latency`, with its attributes, such as `[("latency", 25)]`.
    ///
    /// It works on connections that are open too. Its name, for [`ToxicDoor::remove`], is the kind and the stream.
    pub fn add(&self, kind: &str, stream: Stream, attributes: &[(&str, u32)]) {
        let mut list = String::new();
        for (name, value) in attributes {
            write!(list, r#"{}"{name}":{value}"#, if list.is_empty() { "" } else { "," }).expect("a string takes all");
        }
        let (name, stream) = (Self::toxic(kind, stream), stream.word());
        let body = format!(r#"{{"name":"{name}","type":"{kind}","stream":"{stream}","attributes":{{{list}}}}}"#);
        self.proxy.send("POST", &format!("/proxies/{}/toxics", self.name), &body);
    }

    /// Takes a toxic away again.
    pub fn remove(&self, kind: &str, stream: Stream) {
        let path = format!("/proxies/{}/toxics/{}", self.name, Self::toxic(kind, stream));
        self.proxy.send("DELETE", &path, "");
    }

    /// Delays every byte in both directions, so that a round trip takes twice as long.
    pub fn delay(&self, milliseconds_each_way: u32) {
        for stream in [Stream::Up, Stream::Down] {
            self.add("latency", stream, &[("latency", milliseconds_each_way)]);
        }
    }

    /// Shuts the door, and cuts open connections: new ones are refused until it is opened.
    pub fn shut(&self) {
        self.enable(false);
    }

    /// Opens the door again, at the same address.
    pub fn open(&self) {
        self.enable(true);
    }

    fn enable(&self, enabled: bool) {
        let body = format!(r#"{{"listen":"{}","enabled":{enabled}}}"#, self.address);
        self.proxy.send("POST", &format!("/proxies/{}", self.name), &body);
    }

    fn toxic(kind: &str, stream: Stream) -> String {
        format!("{kind}-{}", stream.word())
    }
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "upstream",
            Self::Down => "downstream",
        }
    }
}
