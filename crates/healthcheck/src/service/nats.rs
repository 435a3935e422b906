//! NATS: <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{ANSWERS, ServiceProbe, TAKES_LOGINS};
use crate::connection::{Conversation, Heard, unhealthy};
use crate::probe::Found;

/// How many lines a login takes at most.
const LINES: u32 = 8;

fn line(read: &[u8]) -> Heard<String> {
    let beginning = read.get(..read.len().min(4)).unwrap_or_default();
    // Everything that a server says begins with one of these.
    if !["INFO", "-ERR", "PONG", "PING", "+OK"].iter().any(|word| {
        let word = word.as_bytes();
        word.starts_with(beginning) || beginning.starts_with(word)
    }) {
        return Heard::Wrong;
    }
    match read.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Heard::Whole(String::from_utf8_lossy(read.get(..end).unwrap_or_default()).into_owned(), end + 2),
        None => Heard::More,
    }
}

/// The object of `INFO`, the first line of a server on a new connection.
fn info(line: &str) -> Option<Value> {
    let object: Value = serde_json::from_str(line.strip_prefix("INFO ")?.trim()).ok()?;
    object.get("server_id")?.as_str()?;
    Some(object)
}

fn is_yes(info: &Value, key: &str) -> bool {
    info.get(key).and_then(Value::as_bool).unwrap_or_default()
}

impl ServiceProbe {
    pub(super) async fn nats(&self, mut talk: Conversation<'_>) -> Result<String, Found> {
        let said = talk.hear(line).await?;
        let info = info(&said).ok_or_else(|| refused(&talk, &said))?;
        if let Some(tls) = &self.tls {
            if !is_yes(&info, "tls_required") && !is_yes(&info, "tls_available") {
                return Err(unhealthy("the server does not speak TLS"));
            }
            talk = talk.secured(&self.endpoint, tls).await?;
        }
        let Some(login) = &self.login else { return Ok(TAKES_LOGINS.to_owned()) };
        let connect = json!({
            "verbose": false,
            "pedantic": false,
            "tls_required": self.tls.is_some(),
            "name": "orchestrator health",
            "lang": "rust",
            "version": env!("CARGO_PKG_VERSION"),
            "protocol": 1,
            "user": login.user,
            "pass": login.password.expose_secret(),
        });
        talk.send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await?;
        for _ in 0..LINES {
            let said = talk.hear(line).await?;
            match said.split(' ').next() {
                Some("PONG") => return Ok(ANSWERS.to_owned()),
                Some("-ERR") => return Err(refused(&talk, &said)),
                Some(_) | None => {}
            }
        }
        Err(unhealthy("the server does not answer the login"))
    }
}

fn refused(talk: &Conversation<'_>, said: &str) -> Found {
    unhealthy(format!("the server answers `{}`", talk.masked(said.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_info_says_that_logins_are_taken() {
        for (read, is_info) in [
            (r#"INFO {"server_id":"NA","tls_required":true} "#, true),
            (r#"INFO {"server_id":"NA"}"#, true),
            (r#"INFO {"version":"2"}"#, false),
            ("INFO server", false),
            ("INFO []", false),
            ("-ERR 'maximum connections exceeded'", false),
            ("PONG", false),
        ] {
            let line_read = [read, "\r\n"].concat();
            assert_eq!(line(line_read.as_bytes()), Heard::Whole(read.to_owned(), line_read.len()), "{read}");
            assert_eq!(info(read).is_some(), is_info, "{read}");
        }
        for (read, expected) in [
            ("", Heard::More),
            ("I", Heard::More),
            ("INFO {", Heard::More),
            ("IN\r\n", Heard::Wrong),
            ("HTTP/1.1 400 Bad Request\r\n", Heard::Wrong),
            ("+PONG\r\n", Heard::Wrong),
        ] {
            assert_eq!(line(read.as_bytes()), expected, "{read}");
        }
    }
}
