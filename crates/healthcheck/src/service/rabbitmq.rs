//! RabbitMQ: AMQP 0-9-1, <https://www.rabbitmq.com/amqp-0-9-1-protocol>.

use secrecy::ExposeSecret as _;

use super::{ANSWERS, Login, ServiceProbe, TAKES_LOGINS};
use crate::connection::{Conversation, Heard, unhealthy};
use crate::probe::Found;

/// What a client begins with: the protocol and its version.
const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const METHOD: u8 = 1;
const END: u8 = 0xce;
const CONNECTION: u16 = 10;
const START: u16 = 10;
const START_OK: u16 = 11;
const TUNE: u16 = 30;
const TUNE_OK: u16 = 31;
const OPEN: u16 = 40;
const OPEN_OK: u16 = 41;
const CLOSE: u16 = 50;

/// A method of class `connection`: its number and its arguments.
#[derive(Debug, PartialEq, Eq)]
struct Method {
    number: u16,
    arguments: Vec<u8>,
}

/// A frame with a method on channel 0. A server of another version answers with its own header, which is none.
fn method(read: &[u8]) -> Heard<Method> {
    for (byte, expected) in read.iter().zip([METHOD, 0, 0]) {
        if *byte != expected {
            return Heard::Wrong;
        }
    }
    let Some(length) = read.get(3..7) else { return Heard::More };
    let length = length.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    if !(4..=32 * 1024).contains(&length) {
        return Heard::Wrong;
    }
    let Some(frame) = read.get(7..=7 + length) else { return Heard::More };
    let (class, number) = (number(frame), number(frame.get(2..).unwrap_or_default()));
    if class != Some(CONNECTION) || frame.last() != Some(&END) {
        return Heard::Wrong;
    }
    let arguments = frame.get(4..length).unwrap_or_default().to_vec();
    number.map_or(Heard::Wrong, |number| Heard::Whole(Method { number, arguments }, 8 + length))
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn frame(number: u16, arguments: &[u8]) -> Vec<u8> {
    let length = u32::try_from(arguments.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    [&[METHOD, 0, 0], length.as_slice(), &CONNECTION.to_be_bytes(), &number.to_be_bytes(), arguments, &[END]].concat()
}

/// A text with its length in one byte.
fn short(text: &str) -> Vec<u8> {
    let text = text.as_bytes().get(..text.len().min(255)).unwrap_or_default();
    [&[u8::try_from(text.len()).unwrap_or_default()], text].concat()
}

/// Bytes with their length in four.
fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes(), bytes].concat()
}

/// `connection.start-ok`
fn start_ok(login: &Login) -> Vec<u8> {
    // So that a refused login is a method; otherwise the server closes without a word.
    let capability = [short("authentication_failure_close"), b"t\x01".to_vec()].concat();
    let properties = [short("capabilities"), b"F".to_vec(), long(&capability)].concat();
    let plain = ["", &login.user, login.password.expose_secret()].join("\0");
    let arguments = [long(&properties), short("PLAIN"), long(plain.as_bytes()), short("en_US")].concat();
    frame(START_OK, &arguments)
}

impl ServiceProbe {
    pub(super) async fn rabbitmq(&self, mut talk: Conversation<'_>) -> Result<String, Found> {
        talk.send(HEADER).await?;
        expect(&mut talk, START).await?;
        let Some(login) = &self.login else { return Ok(TAKES_LOGINS.to_owned()) };
        talk.send(&start_ok(login)).await?;
        let tune = expect(&mut talk, TUNE).await?;
        // The server's own limits, and no heartbeat.
        let limits = tune.get(..6).ok_or_else(|| unhealthy("the server names no limits"))?;
        talk.send(&frame(TUNE_OK, &[limits, &[0, 0]].concat())).await?;
        let host = if self.part.is_empty() { "/" } else { &self.part };
        talk.send(&frame(OPEN, &[short(host), vec![0, 0]].concat())).await?;
        expect(&mut talk, OPEN_OK).await?;
        Ok(ANSWERS.to_owned())
    }
}

/// The arguments of the method that has to come; another one is a refusal.
async fn expect(talk: &mut Conversation<'_>, number: u16) -> Result<Vec<u8>, Found> {
    let method = talk.hear(method).await?;
    if method.number == number {
        return Ok(method.arguments);
    }
    if method.number == CLOSE {
        let (code, text) = closed(&method.arguments);
        return Err(unhealthy(format!("the server refuses: {} ({code})", talk.masked(text))));
    }
    Err(unhealthy(format!("the server answers with method {}, not {number}", method.number)))
}

/// Code and text of `connection.close`.
fn closed(arguments: &[u8]) -> (u16, &[u8]) {
    let text = arguments.get(2).and_then(|length| arguments.get(3..3 + usize::from(*length)));
    (number(arguments).unwrap_or_default(), text.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connection_start_says_that_logins_are_taken() {
        let start = frame(START, b"\0\x09");
        let close = frame(CLOSE, b"\x01\x93\x03no!\0\0\0\0");
        let whole =
            |number, arguments: &[u8], length| Heard::Whole(Method { number, arguments: arguments.to_vec() }, length);
        for (read, expected) in [
            (start.as_slice(), whole(START, b"\0\x09", start.len())),
            (&close, whole(CLOSE, b"\x01\x93\x03no!\0\0\0\0", close.len())),
            (b"", Heard::More),
            (&start[..6], Heard::More),
            (&start[..start.len() - 1], Heard::More),
            (HEADER, Heard::Wrong),
            (b"HTTP/1.1 400", Heard::Wrong),
            // On another channel, of another class, without its end.
            (b"\x01\0\x01\0\0\0\x04\0\x0a\0\x0a\xce", Heard::Wrong),
            (b"\x01\0\0\0\0\0\x04\0\x14\0\x0a\xce", Heard::Wrong),
            (b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xcd", Heard::Wrong),
            (b"\x01\0\0\xff\xff\xff\xff", Heard::Wrong),
        ] {
            assert_eq!(method(read), expected, "{read:?}");
        }
        assert_eq!(closed(b"\x01\x93\x03no!\0\0\0\0"), (403, b"no!".as_slice()));
        assert_eq!(closed(b""), (0, b"".as_slice()));
    }
}
