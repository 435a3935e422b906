//! MySQL and MariaDB: <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>.
//!
//! A login uses `mysql_native_password` or `caching_sha2_password`, which are a few lines. The latter proves the password by a
//! hash where the server remembers it, and else wants the password itself: that is sent over TLS alone. It is never sent
//! encrypted with an RSA key that the server names: without TLS, another machine that answers could name its own key.

use secrecy::ExposeSecret as _;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::{ANSWERS, Login, ServiceProbe, TAKES_LOGINS};
use crate::connection::{Conversation, Heard, unhealthy, unknown};
use crate::probe::Found;

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";
/// What a server with `caching_sha2_password` says about the proof.
const REMEMBERED: &[u8] = &[1, 3];
const NOT_REMEMBERED: &[u8] = &[1, 4];
/// `CLIENT_PROTOCOL_41`, `CLIENT_SECURE_CONNECTION`, `CLIENT_PLUGIN_AUTH`.
const CAPABILITIES: u32 = 0x200 | 0x8000 | 0x8_0000;
const WITH_DATABASE: u32 = 0x8;
const WITH_TLS: u32 = 0x800;
/// The largest packet that we take.
const PACKET: u32 = 1 << 20;
/// `utf8mb4_general_ci`
const CHARACTERS: u8 = 45;
/// How many packets a login takes at most.
const PACKETS: u32 = 8;

/// The first packet of a server on a new connection.
#[derive(Debug, PartialEq, Eq)]
enum Greeting {
    Handshake(Handshake),
    /// Its own number and text, such as too many connections.
    Refusal(u16, String),
}

/// The parts of version 10 that a login needs.
#[derive(Debug, PartialEq, Eq)]
struct Handshake {
    capabilities: u32,
    salt: Vec<u8>,
    method: String,
}

/// The content of a packet; its number tells nothing here.
fn packet(read: &[u8]) -> Heard<(u8, Vec<u8>)> {
    let Some(&[one, two, three, number]) = read.first_chunk() else { return Heard::More };
    let length = usize::from(one) | (usize::from(two) << 8) | (usize::from(three) << 16);
    if length == 0 || length > 32 * 1024 {
        return Heard::Wrong;
    }
    match read.get(4..4 + length) {
        Some(content) => Heard::Whole((number, content.to_vec()), 4 + length),
        None => Heard::More,
    }
}

fn greeting(read: &[u8]) -> Heard<Greeting> {
    // The first packet has number 0; a text of another protocol would be a long packet that never comes.
    if read.get(3).is_some_and(|number| *number != 0) || read.get(4).is_some_and(|first| !matches!(first, 10 | 0xff)) {
        return Heard::Wrong;
    }
    match packet(read) {
        Heard::More => Heard::More,
        Heard::Wrong => Heard::Wrong,
        Heard::Whole((_, content), length) => match content.first() {
            Some(0xff) => {
                let (code, text) = refusal(&content);
                Heard::Whole(Greeting::Refusal(code, text), length)
            }
            _ => handshake(&content).map_or(Heard::Wrong, |found| Heard::Whole(Greeting::Handshake(found), length)),
        },
    }
}

fn handshake(content: &[u8]) -> Option<Handshake> {
    let rest = content.get(1..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    // The connection's number, and the first part of the salt with a zero byte.
    let rest = rest.get(end + 1 + 4..)?;
    let (first, rest) = rest.split_at_checked(8)?;
    let low: [u8; 2] = rest.get(1..3)?.try_into().ok()?;
    // Characters and status.
    let high: [u8; 2] = rest.get(6..8)?.try_into().ok()?;
    let rest = rest.get(19..)?;
    let (second, method) = rest.split_at_checked(12)?;
    let method = method.get(1..)?.split(|byte| *byte == 0).next()?;
    Some(Handshake {
        capabilities: u32::from(u16::from_le_bytes(low)) | (u32::from(u16::from_le_bytes(high)) << 16),
        salt: [first, second].concat(),
        method: String::from_utf8_lossy(method).into_owned(),
    })
}

/// Number and text; SQLSTATE stands between them after a `#`, where the connection is that far.
fn refusal(content: &[u8]) -> (u16, String) {
    let code = content.get(1..3).and_then(|code| code.try_into().ok()).map_or(0, u16::from_le_bytes);
    let text = content.get(3..).unwrap_or_default();
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    (code, String::from_utf8_lossy(text).into_owned())
}

/// What proves a password without sending it: `SHA1(password) XOR SHA1(salt + SHA1(SHA1(password)))`.
fn native_proof(password: &[u8], salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password);
    let twice = Sha1::digest(once);
    let mask = Sha1::new().chain_update(salt).chain_update(twice).finalize();
    once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

/// The same by SHA-256: `SHA256(password) XOR SHA256(SHA256(SHA256(password)) + salt)`.
fn caching_proof(password: &[u8], salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha256::digest(password);
    let twice = Sha256::digest(once);
    let mask = Sha256::new().chain_update(twice).chain_update(salt).finalize();
    once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

/// What proves the password by a method; `None` for one that is not known.
fn proof(method: &str, login: &Login, salt: &[u8]) -> Option<Vec<u8>> {
    let password = login.password.expose_secret().as_bytes();
    match method {
        NATIVE => Some(native_proof(password, salt)),
        CACHING => Some(caching_proof(password, salt)),
        _ => None,
    }
}

fn framed(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
    [length.get(..3).unwrap_or_default(), &[number], content].concat()
}

impl ServiceProbe {
    pub(super) async fn mysql(&self, mut talk: Conversation<'_>) -> Result<String, Found> {
        let handshake = match talk.hear(greeting).await? {
            Greeting::Handshake(handshake) => handshake,
            Greeting::Refusal(code, text) => return Err(refused(&talk, code, &text)),
        };
        let mut capabilities = CAPABILITIES;
        if self.login.is_some() && !self.part.is_empty() {
            capabilities |= WITH_DATABASE;
        }
        let mut number = 1;
        if let Some(tls) = &self.tls {
            if handshake.capabilities & WITH_TLS == 0 {
                return Err(unhealthy("the server does not speak TLS"));
            }
            capabilities |= WITH_TLS;
            talk.send(&framed(number, &beginning(capabilities))).await?;
            talk = talk.secured(&self.endpoint, tls).await?;
            number += 1;
        }
        match &self.login {
            None => Ok(TAKES_LOGINS.to_owned()),
            Some(login) => {
                talk.send(&framed(number, &self.response(login, &handshake, capabilities))).await?;
                log_in(&mut talk, login, self.tls.is_some()).await
            }
        }
    }

    fn response(&self, login: &Login, handshake: &Handshake, capabilities: u32) -> Vec<u8> {
        // A server whose own method is another one asks for one of these in a packet of its own, or refuses.
        let known = proof(&handshake.method, login, &handshake.salt);
        let method = if known.is_some() { handshake.method.as_str() } else { NATIVE };
        let proof = known.unwrap_or_default();
        let mut content = beginning(capabilities);
        content.extend_from_slice(login.user.as_bytes());
        content.push(0);
        content.push(u8::try_from(proof.len()).unwrap_or_default());
        content.extend_from_slice(&proof);
        if capabilities & WITH_DATABASE != 0 {
            content.extend_from_slice(self.part.as_bytes());
            content.push(0);
        }
        content.extend_from_slice(method.as_bytes());
        content.push(0);
        content
    }
}

/// What every response begins with; alone it asks for TLS.
fn beginning(capabilities: u32) -> Vec<u8> {
    let mut content = [capabilities.to_le_bytes(), PACKET.to_le_bytes()].concat();
    content.push(CHARACTERS);
    content.extend_from_slice(&[0; 23]);
    content
}

/// `is_secured`: the connection is encrypted, and the certificate of the server was verified.
async fn log_in(talk: &mut Conversation<'_>, login: &Login, is_secured: bool) -> Result<String, Found> {
    let mut is_asked = false;
    for _ in 0..PACKETS {
        let (number, content) = talk.hear(packet).await?;
        match content.split_first() {
            Some((0xff, _)) => {
                let (code, text) = refusal(&content);
                return Err(refused(talk, code, &text));
            }
            // The head of the result.
            Some(_) if is_asked => return Ok(ANSWERS.to_owned()),
            Some((1, _)) if content == REMEMBERED => {}
            Some((1, _)) if content == NOT_REMEMBERED && is_secured => {
                let password = [login.password.expose_secret().as_bytes(), &[0]].concat();
                talk.send(&framed(number.wrapping_add(1), &password)).await?;
            }
            Some((1, _)) if content == NOT_REMEMBERED => {
                return Err(unknown(format!(
                    "the server wants the password itself (`{CACHING}`), which is sent over TLS alone: `tls: true`"
                )));
            }
            Some((0, _)) => {
                is_asked = true;
                talk.send(&framed(0, b"\x03SELECT 1")).await?;
            }
            Some((0xfe, rest)) => {
                let mut parts = rest.splitn(2, |byte| *byte == 0);
                let method = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
                let salt = parts.next().unwrap_or_default();
                let salt = salt.strip_suffix(&[0]).unwrap_or(salt);
                let Some(proof) = proof(&method, login, salt) else {
                    let method = talk.masked(method.as_bytes());
                    return Err(unknown(format!(
                        "the server asks for the method `{method}`, and only `{NATIVE}` and `{CACHING}` are supported"
                    )));
                };
                talk.send(&framed(number.wrapping_add(1), &proof)).await?;
            }
            Some(_) | None => return Err(unhealthy("the server does not answer the login")),
        }
    }
    Err(unhealthy("the server does not come to an end"))
}

fn refused(talk: &Conversation<'_>, code: u16, text: &str) -> Found {
    unhealthy(format!("the server refuses: {} (error {code})", talk.masked(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// As a MariaDB 10.11 wrote it.
    const MARIADB: &[u8] = b"d\x00\x00\x00\n5.5.5-10.11.19-MariaDB-0+deb12u1\x00\x03\x00\x00\x00s+zF/U@~\x00\xfe\xf7\x08\x02\x00\xff\x81\x15\x00\x00\x00\x00\x00\x00\x1d\x00\x00\x00}vX8M[`OLolP\x00mysql_native_password\x00";

    /// Speaks as a server with `caching_sha2_password` does by its documentation, and gives what it was sent: by a cache that
    /// `remembers` the password, or not.
    async fn log_in_to(remembers: bool, is_secured: bool) -> (Result<String, Found>, Vec<Vec<u8>>) {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let server = tokio::spawn(async move {
            let mut heard = Vec::new();
            let mut hear = async |stream: &mut tokio::io::DuplexStream| {
                let mut head = [0; 4];
                if stream.read_exact(&mut head).await.is_err() {
                    return false;
                }
                let mut content = vec![0; usize::from(head[0])];
                stream.read_exact(&mut content).await.unwrap();
                heard.push(content);
                true
            };
            // The server asks for its method by a salt of its own.
            let change = [b"\xfecaching_sha2_password\0".as_slice(), SALT, b"\0"].concat();
            theirs.write_all(&framed(2, &change)).await.unwrap();
            assert!(hear(&mut theirs).await);
            let answer = if remembers { REMEMBERED } else { NOT_REMEMBERED };
            theirs.write_all(&framed(4, answer)).await.unwrap();
            if remembers || hear(&mut theirs).await {
                theirs.write_all(&framed(6, &[0, 0, 0, 2, 0, 0, 0])).await.unwrap();
                assert!(hear(&mut theirs).await);
                theirs.write_all(&framed(1, &[1])).await.unwrap();
            }
            heard
        });
        let (secrets, login) = (process::Redactor::new(), Login { user: "shop".to_owned(), password: "canary".into() });
        let mut talk = Conversation::new(Box::new(ours), "MySQL", &secrets);
        let found = log_in(&mut talk, &login, is_secured).await;
        drop(talk);
        (found, server.await.unwrap())
    }

    const SALT: &[u8] = b"0123456789abcdefghij";
    const ASKED: &[u8] = b"\x03SELECT 1";

    #[tokio::test]
    async fn a_server_that_remembers_the_password_is_given_its_proof_alone() {
        for is_secured in [false, true] {
            let (found, heard) = log_in_to(true, is_secured).await;
            assert_eq!(found, Ok(ANSWERS.to_owned()));
            assert_eq!(heard, [caching_proof(b"canary", SALT), ASKED.to_vec()]);
        }
    }

    #[tokio::test]
    async fn t48_the_password_itself_is_sent_over_tls_alone() {
        let (found, heard) = log_in_to(false, true).await;
        assert_eq!(found, Ok(ANSWERS.to_owned()));
        assert_eq!(heard, [caching_proof(b"canary", SALT), b"canary\0".to_vec(), ASKED.to_vec()]);
        let (found, heard) = log_in_to(false, false).await;
        let (state, detail) = found.unwrap_err();
        assert_eq!(state, crate::report::CheckState::Unknown);
        assert!(detail.contains("`tls: true`"), "{detail}");
        assert_eq!(heard, [caching_proof(b"canary", SALT)]);
    }

    /// By the formula of the documentation, computed by another program.
    #[test]
    fn the_proof_is_that_of_the_documentation() {
        let hex: Vec<String> = caching_proof(b"canary", SALT).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.concat(), "70cfff382de4eed680721a707e293e4129a0730f247dc9dd833242129a8c3241");
        assert_eq!(caching_proof(b"", SALT), [0; 0]);
    }

    #[test]
    fn the_greeting_says_whether_logins_are_taken() {
        let Heard::Whole(Greeting::Handshake(found), length) = greeting(MARIADB) else { panic!("it is a handshake") };
        assert_eq!((found.salt.as_slice(), length), (b"s+zF/U@~}vX8M[`OLolP".as_slice(), MARIADB.len()));
        assert_eq!((found.method.as_str(), found.capabilities & CAPABILITIES), (NATIVE, CAPABILITIES));
        let many = b"\x17\0\0\0\xff\x10\x04Too many connections";
        let blocked = b"\x10\0\0\0\xff\x69\x04#HY000blocked";
        for (read, expected) in [
            (many.as_slice(), Heard::Whole(Greeting::Refusal(1040, "Too many connections".to_owned()), many.len())),
            (blocked, Heard::Whole(Greeting::Refusal(1129, "blocked".to_owned()), blocked.len())),
            (b"", Heard::More),
            (&MARIADB[..4], Heard::More),
            (&MARIADB[..60], Heard::More),
            // Version 9, a packet that is not the first, other protocols.
            (b"\x05\0\0\0\x093.2", Heard::Wrong),
            (b"\x05\0\0\x01\x0a3.2", Heard::Wrong),
            (b"HTTP/1.1 400 Bad Request\r\n", Heard::Wrong),
            (b"+PONG\r\n", Heard::Wrong),
            (b"\0\0\0\0\x0a", Heard::Wrong),
        ] {
            assert_eq!(greeting(read), expected, "{}", String::from_utf8_lossy(read));
        }
        // Cut anywhere inside of its packet, it is none.
        for length in 1..72_u8 {
            let cut = [&[length, 0, 0, 0], &MARIADB[4..4 + usize::from(length)]].concat();
            assert_eq!(greeting(&cut), Heard::Wrong, "{length}");
        }
    }
}
