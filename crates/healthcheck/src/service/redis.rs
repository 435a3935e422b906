//! Redis: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use secrecy::ExposeSecret as _;

use super::{ANSWERS, ServiceProbe, TAKES_LOGINS};
use crate::connection::{Conversation, Heard, unhealthy};
use crate::probe::Found;

/// A reply of one line.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Status(String),
    Error(String),
}

fn reply(read: &[u8]) -> Heard<Reply> {
    let Some(kind) = read.first() else { return Heard::More };
    if !b"+-".contains(kind) {
        return Heard::Wrong;
    }
    let Some(end) = read.windows(2).position(|pair| pair == b"\r\n") else { return Heard::More };
    let text = String::from_utf8_lossy(read.get(1..end).unwrap_or_default()).into_owned();
    let reply = if *kind == b'+' { Reply::Status(text) } else { Reply::Error(text) };
    Heard::Whole(reply, end + 2)
}

/// Whether the reply to `PING` is that of a server that takes commands, or logins.
fn takes(reply: &Reply) -> bool {
    match reply {
        Reply::Status(text) => text == "PONG",
        Reply::Error(text) => text.starts_with("NOAUTH "),
    }
}

fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

impl ServiceProbe {
    pub(super) async fn redis(&self, mut talk: Conversation<'_>) -> Result<String, Found> {
        let Some(login) = &self.login else {
            talk.send(&command(&["PING"])).await?;
            let said = talk.hear(reply).await?;
            return if takes(&said) { Ok(TAKES_LOGINS.to_owned()) } else { Err(refused(&talk, &said)) };
        };
        talk.send(&command(&["AUTH", &login.user, login.password.expose_secret()])).await?;
        match talk.hear(reply).await? {
            Reply::Status(text) if text == "OK" => {}
            other => return Err(refused(&talk, &other)),
        }
        talk.send(&command(&["PING"])).await?;
        match talk.hear(reply).await? {
            Reply::Status(text) if text == "PONG" => Ok(ANSWERS.to_owned()),
            other => Err(refused(&talk, &other)),
        }
    }
}

fn refused(talk: &Conversation<'_>, reply: &Reply) -> Found {
    let (Reply::Status(text) | Reply::Error(text)) = reply;
    unhealthy(format!("the server answers `{}`", talk.masked(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_to_ping_says_whether_logins_are_taken() {
        for (read, expected) in [
            ("+PONG\r\n", Some(true)),
            ("-NOAUTH Authentication required.\r\n", Some(true)),
            ("-LOADING Redis is loading the dataset in memory\r\n", Some(false)),
            ("-DENIED Redis is running in protected mode\r\n", Some(false)),
            ("-NOAUTHENTICITY\r\n", Some(false)),
            ("+OK\r\n", Some(false)),
            ("-MASTERDOWN Link with MASTER is down\r\n", Some(false)),
            ("HTTP/1.1 400 Bad Request\r\n", None),
            (":1\r\n", None),
        ] {
            let found = match reply(read.as_bytes()) {
                Heard::Whole(reply, length) => {
                    assert_eq!(length, read.len());
                    Some(takes(&reply))
                }
                Heard::Wrong => None,
                Heard::More => panic!("{read}"),
            };
            assert_eq!(found, expected, "{read}");
        }
        for beginning in ["", "+", "+PON", "+PONG\r"] {
            assert_eq!(reply(beginning.as_bytes()), Heard::More, "{beginning}");
        }
    }
}
