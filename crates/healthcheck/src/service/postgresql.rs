//! PostgreSQL: <https://www.postgresql.org/docs/current/protocol-flow.html>.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret as _;

use super::{ANSWERS, Login, ServiceProbe, TAKES_LOGINS};
use crate::connection::{Conversation, Heard, unhealthy, unknown};
use crate::probe::Found;

/// The user that is named where there is no login; a server asks for a password whether it knows the user or not.
const STRANGER: &str = "orchestrator";
/// The longest message that counts as one.
const LONGEST: usize = 32 * 1024;
/// How many messages a login takes at most.
const MESSAGES: u32 = 200;

/// A message of the server: its kind, and what follows its length.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    kind: u8,
    body: Vec<u8>,
}

fn message(read: &[u8]) -> Heard<Message> {
    let Some(kind) = read.first() else { return Heard::More };
    if !b"RENSKZTDCIvn".contains(kind) {
        return Heard::Wrong;
    }
    let Some(length) = read.get(1..5) else { return Heard::More };
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if !(4..=LONGEST).contains(&length) {
        return Heard::Wrong;
    }
    match read.get(5..=length) {
        Some(body) => Heard::Whole(Message { kind: *kind, body: body.to_vec() }, length + 1),
        None => Heard::More,
    }
}

/// The answer of a server to a startup message.
#[derive(Debug, PartialEq, Eq)]
enum First {
    /// It asks for a login by this method; 0: it needs none.
    Authentication(u32),
    /// SQLSTATE and text; `57P03` is a server that starts, ends or recovers.
    Refusal(String, String),
}

fn first(read: &[u8]) -> Heard<First> {
    match message(read) {
        Heard::More => Heard::More,
        Heard::Wrong => Heard::Wrong,
        Heard::Whole(message, length) => match message.kind {
            b'R' => {
                method(&message.body).map_or(Heard::Wrong, |method| Heard::Whole(First::Authentication(method), length))
            }
            b'E' => {
                let (code, text) = refusal(&message.body);
                Heard::Whole(First::Refusal(code, text), length)
            }
            _ => Heard::Wrong,
        },
    }
}

fn method(body: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(body.get(..4)?.try_into().ok()?))
}

/// SQLSTATE and text of an error.
fn refusal(body: &[u8]) -> (String, String) {
    let field = |kind: u8| {
        let mut fields = body.split(|byte| *byte == 0).filter(|field| field.first() == Some(&kind));
        fields.next().map(|field| String::from_utf8_lossy(field.get(1..).unwrap_or_default()).into_owned())
    };
    (field(b'C').unwrap_or_default(), field(b'M').unwrap_or_default())
}

impl ServiceProbe {
    pub(super) async fn postgresql(&self, mut talk: Conversation<'_>) -> Result<String, Found> {
        if let Some(tls) = &self.tls {
            talk.send(&written(|buffer| {
                frontend::ssl_request(buffer);
                Ok(())
            })?)
            .await?;
            let agreed = talk.hear(|read| match read.first() {
                None => Heard::More,
                Some(b'S') => Heard::Whole(true, 1),
                Some(b'N') => Heard::Whole(false, 1),
                Some(_) => Heard::Wrong,
            });
            if !agreed.await? {
                return Err(unhealthy("the server does not speak TLS"));
            }
            talk = talk.secured(&self.endpoint, tls).await?;
        }
        let user = self.login.as_ref().map_or(STRANGER, |login| &login.user);
        let mut parameters = vec![("user", user), ("application_name", "orchestrator health")];
        if !self.part.is_empty() {
            parameters.push(("database", &self.part));
        }
        talk.send(&written(|buffer| frontend::startup_message(parameters, buffer))?).await?;
        match &self.login {
            Some(login) => self.log_in(&mut talk, login).await,
            None => match talk.hear(first).await? {
                First::Authentication(_) => Ok(TAKES_LOGINS.to_owned()),
                First::Refusal(code, text) => Err(refused(&talk, &code, &text)),
            },
        }
    }

    async fn log_in(&self, talk: &mut Conversation<'_>, login: &Login) -> Result<String, Found> {
        let password = login.password.expose_secret().as_bytes();
        let mut scram = None;
        let mut is_asked = false;
        for _ in 0..MESSAGES {
            let Message { kind, body } = talk.hear(message).await?;
            let rest = body.get(4..).unwrap_or_default();
            match (kind, method(&body)) {
                (b'R', Some(0)) => {}
                (b'R', Some(3)) if self.tls.is_some() || self.endpoint.is_private() => {
                    talk.send(&written(|buffer| frontend::password_message(password, buffer))?).await?;
                }
                (b'R', Some(5)) => {
                    let salt = rest.try_into().map_err(|_| unhealthy("the server sends no salt"))?;
                    let hash = md5_hash(login.user.as_bytes(), password, salt);
                    talk.send(&written(|buffer| frontend::password_message(hash.as_bytes(), buffer))?).await?;
                }
                (b'R', Some(10)) if rest.split(|byte| *byte == 0).any(|name| name == SCRAM_SHA_256.as_bytes()) => {
                    let exchange = scram.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
                    let begin = |buffer: &mut BytesMut| {
                        frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), buffer)
                    };
                    talk.send(&written(begin)?).await?;
                }
                (b'R', Some(11)) => {
                    let exchange = scram.as_mut().ok_or_else(|| unhealthy("the server mixes up the login"))?;
                    exchange.update(rest).map_err(|_| unhealthy("the server does not prove the login"))?;
                    talk.send(&written(|buffer| frontend::sasl_response(exchange.message(), buffer))?).await?;
                }
                (b'R', Some(12)) => {
                    let exchange = scram.as_mut().ok_or_else(|| unhealthy("the server mixes up the login"))?;
                    exchange
                        .finish(rest)
                        .map_err(|_| unhealthy("the server does not know the password that it accepts"))?;
                }
                (b'R', other) => {
                    let method = other.map_or_else(|| "none".to_owned(), |method| method.to_string());
                    return Err(unknown(format!(
                        "the server asks for authentication method {method}, which is not supported"
                    )));
                }
                (b'E', _) => {
                    let (code, text) = refusal(&body);
                    return Err(refused(talk, &code, &text));
                }
                (b'Z', _) if is_asked => return Ok(ANSWERS.to_owned()),
                (b'Z', _) => {
                    is_asked = true;
                    talk.send(&written(|buffer| frontend::query("SELECT 1", buffer))?).await?;
                }
                _ => {}
            }
        }
        Err(unhealthy("the server does not come to an end"))
    }
}

fn refused(talk: &Conversation<'_>, code: &str, text: &str) -> Found {
    unhealthy(format!(
        "the server refuses: {} (SQLSTATE {})",
        talk.masked(text.as_bytes()),
        talk.masked(code.as_bytes())
    ))
}

/// The bytes of a message of ours.
fn written(write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<BytesMut, Found> {
    let mut buffer = BytesMut::new();
    write(&mut buffer).map_err(|_| unknown("user, password or database have a zero byte"))?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, text: &str) -> Vec<u8> {
        let body = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0Fpostmaster.c\0\0");
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [b"E".as_slice(), &length, body.as_bytes()].concat()
    }

    #[test]
    fn the_first_answer_says_whether_logins_are_taken() {
        let starting = error("57P03", "the database system is starting up");
        let sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
        for (read, expected) in [
            (b"R\0\0\0\x08\0\0\0\0".as_slice(), Heard::Whole(First::Authentication(0), 9)),
            (b"R\0\0\0\x0c\0\0\0\x05abcd", Heard::Whole(First::Authentication(5), 13)),
            (sasl, Heard::Whole(First::Authentication(10), 24)),
            (
                &starting,
                Heard::Whole(
                    First::Refusal("57P03".to_owned(), "the database system is starting up".to_owned()),
                    starting.len(),
                ),
            ),
            (b"", Heard::More),
            (b"R\0\0", Heard::More),
            (&sasl[..10], Heard::More),
            (b"HTTP/1.1 400 Bad Request", Heard::Wrong),
            (b"R\0\0\0\x04", Heard::Wrong),
            (b"R\0\0\0\x03", Heard::Wrong),
            (b"RFB 003.008\n", Heard::Wrong),
            // A parameter before the login is none of a server that asks for one.
            (b"S\0\0\0\x08a\0b\0", Heard::Wrong),
            (b"-ERR unknown command", Heard::Wrong),
        ] {
            assert_eq!(first(read), expected, "{}", String::from_utf8_lossy(read));
        }
    }
}
