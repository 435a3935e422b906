//! Git over HTTP, as hosts of private repositories speak it: git's own `http-backend` behind a check of one header.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

use crate::environment;
use crate::http::basic;

/// Serves the bare repositories of a folder to whoever sends the right `Authorization`, until the test process ends.
#[derive(Debug)]
pub struct GitServer {
    address: String,
    authorization: String,
}

impl GitServer {
    /// Serves a folder to a user with a password.
    pub fn start(folder: impl Into<PathBuf>, user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        let authorization = basic(user, password);
        let (folder, expected): (PathBuf, Arc<str>) = (folder.into(), authorization.as_str().into());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (folder, expected) = (folder.clone(), Arc::clone(&expected));
                // A client that goes away is no fault of the server.
                thread::spawn(move || answer(client, &folder, &expected).ok());
            }
        });
        Self { address, authorization }
    }

    /// Where it listens: `127.0.0.1:PORT`, without TLS.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The value of the header that it asks for: `Basic …`.
    pub fn authorization(&self) -> &str {
        &self.authorization
    }
}

/// One request a connection.
fn answer(mut client: TcpStream, folder: &Path, expected: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let header = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if header("authorization").is_none_or(|sent| !sent.eq_ignore_ascii_case(expected)) {
        client.write_all(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )?;
        return client.shutdown(Shutdown::Write);
    }
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    if header("transfer-encoding").is_some() {
        body = chunks(&mut reader)?;
    } else {
        reader.read_exact(&mut body)?;
    }
    let mut command = environment::command("git");
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding").unwrap_or_default())
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut backend = command.spawn()?;
    backend.stdin.take().expect("it is piped").write_all(&body)?;
    let output = backend.wait_with_output()?.stdout;
    // CGI: headers, of which `Status` is the status.
    let text = String::from_utf8_lossy(&output);
    let status = text.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    client.write_all(format!("HTTP/1.0 {status}\r\nConnection: close\r\n").as_bytes())?;
    client.write_all(&output)?;
    client.shutdown(Shutdown::Write)
}

fn chunks(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or(0);
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok(body);
        }
        chunk.truncate(length);
        body.extend(chunk);
    }
}
