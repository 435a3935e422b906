//! Servers on loopback ports that the kernel chose, so that no other process can have taken them.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest time that a server may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that listens; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    address: String,
}

/// Where a server says that it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Stdout,
    Stderr,
}

impl Server {
    /// Starts a program that chooses a port itself and writes a line in which `address` finds `127.0.0.1:PORT`.
    pub(crate) fn start(mut command: Command, says: Says, address: fn(&str) -> Option<String>) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        match says {
            Says::Stdout => command.stdout(Stdio::piped()).stderr(Stdio::null()),
            Says::Stderr => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut process = command.spawn().unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
        let output: Option<Box<dyn Read + Send>> = match says {
            Says::Stdout => process.stdout.take().map(|output| Box::new(output) as _),
            Says::Stderr => process.stderr.take().map(|output| Box::new(output) as _),
        };
        let output = output.expect("the output is piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads to the end: a full pipe would stop the server.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        let mut seen = Vec::new();
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) => match address(&line) {
                    Some(address) => return Self { process, address },
                    None => seen.push(line),
                },
                Err(error) => {
                    process.kill().ok();
                    panic!("`{name}` does not listen ({error}); its output: {seen:#?}");
                }
            }
        }
    }

    /// Starts a program that chooses a port itself and says nothing: the kernel is asked where it listens.
    pub(crate) fn start_silent(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("`{name}` does not start: {error}"));
        let start = Instant::now();
        while start.elapsed() < PATIENCE && process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if let Some(port) = listens_at(process.id()).first() {
                return Self { process, address: format!("127.0.0.1:{port}") };
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        process.kill().ok();
        panic!("`{name}` does not listen");
    }

    /// Takes over a process that was handed a socket with this address.
    pub(crate) fn of(process: Child, address: String) -> Self {
        Self { process, address }
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits for a server that was told to end.
    pub(crate) fn wait(mut self) {
        self.process.wait().expect("the server is a child of ours");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The ports of 127.0.0.1 that a process listens at, by what the kernel shows of its sockets.
pub(crate) fn listens_at(process: u32) -> Vec<u16> {
    let folder = PathBuf::from(format!("/proc/{process}"));
    let sockets: Vec<String> = std::fs::read_dir(folder.join("fd"))
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()?.into_os_string().into_string().ok())
        .filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string(folder.join("net/tcp")).unwrap_or_default();
    // `sl local_address rem_address st … inode`: state 0A is LISTEN, 0100007F is 127.0.0.1.
    let ports = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (&local, &state, &inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let port = local.strip_prefix("0100007F:")?;
        let ours = state == "0A" && sockets.iter().any(|socket| socket == inode);
        ours.then(|| u16::from_str_radix(port, 16).ok())?
    });
    ports.collect()
}

/// A socket that listens already, to be handed to a server, and its address: who connects early waits in its queue.
pub(crate) fn listening_socket() -> (OwnedFd, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("a bound socket has an address").to_string();
    (listener.into(), address)
}

/// The address in the line `listening on 127.0.0.1:PORT` of the servers that this repository builds.
pub(crate) fn listening_on(line: &str) -> Option<String> {
    line.strip_prefix("listening on ").map(str::to_owned)
}
