use std::collections::{BTreeMap, BTreeSet};

/// What stands where a secret stood.
const MASK: &str = "***";
/// Shorter texts cannot be told from ordinary words: masking them would destroy the output and protect nothing.
const SHORTEST: usize = 4;
/// The same for one line of a secret: those of a key file in JSON are `}` or `"type": "x",`.
const SHORTEST_LINE: usize = 8;

/// The same for a part of a secret, such as the password in an address.
const SHORTEST_PART: usize = 8;
/// How many parts of a secret are registered.
const MOST_PARTS: usize = 32;
/// How much of a secret is searched for parts, in bytes: addresses and connection strings are shorter.
const SEARCHED: usize = 16 * 1024;

/// Hides registered secrets in text, in every form in which they usually leak: as they are, line by line, in
/// base64 (at each of the three alignments, both alphabets), in hexadecimal digits, percent-encoded, and escaped as in
/// JSON and XML; each also where a program broke it into lines, and whichever characters a program escapes.
///
/// The debug form says only how many forms are known.
#[derive(Clone, Default)]
pub struct Redactor {
    /// By their first byte.
    needles: BTreeMap<u8, BTreeSet<Vec<u8>>>,
}

impl Redactor {
    /// Without secrets: text stays as it is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a secret, each of its lines, and the passwords of addresses and connection strings in it, which programs repeat
    /// alone. A secret of less than four bytes is ignored, a line or password of less than eight.
    pub fn add(&mut self, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        let trimmed = secret.trim_ascii();
        let lines = secret.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| line.len() >= SHORTEST_LINE);
        let parts = passwords(secret);
        let parts = parts.iter().map(Vec::as_slice);
        for form in std::iter::once(secret).chain(std::iter::once(trimmed)).chain(lines).chain(parts) {
            if form.len() >= SHORTEST {
                for needle in forms(form) {
                    let Some(first) = needle.first() else { continue };
                    self.needles.entry(*first).or_default().insert(needle);
                }
            }
        }
    }

    /// Registers every secret that another one knows.
    pub fn include(&mut self, other: &Self) {
        for (first, needles) in &other.needles {
            self.needles.entry(*first).or_default().extend(needles.iter().cloned());
        }
    }

    /// Whether no secret is registered.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// The text with `***` in place of every secret.
    pub fn redact(&self, text: &str) -> String {
        if self.needles.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.redact_bytes(text.as_bytes(), Ends::Here)).into_owned()
    }

    /// The same for the beginning of a text whose rest was cut off: at its end, the beginning of a secret is masked too.
    pub fn redact_beginning(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.redact_bytes(text.as_bytes(), Ends::Later)).into_owned()
    }

    fn redact_bytes(&self, bytes: &[u8], ends: Ends) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        // Everything before `masked_until` belongs to a match; overlapping matches melt into one mask.
        let mut masked_until = 0;
        for at in 0..bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            if let Some(length) = self.longest(rest, ends) {
                if at >= masked_until {
                    shown.extend_from_slice(MASK.as_bytes());
                }
                masked_until = masked_until.max(at + length);
            }
            if at >= masked_until {
                shown.extend(rest.first());
            }
        }
        shown
    }

    /// How many bytes of a text are the longest secret that it begins with.
    fn longest(&self, text: &[u8], ends: Ends) -> Option<usize> {
        let first = *text.first()?;
        // What begins an escape can stand for any byte.
        let is_escape = matches!(first, b'%' | b'\\' | b'&' | b'+');
        let all = self.needles.values().filter(|_| is_escape);
        let own = self.needles.get(&first).filter(|_| !is_escape);
        all.chain(own).flatten().filter_map(|needle| wrapped_length(text, needle, ends)).max()
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.needles.values().map(BTreeSet::len).sum::<usize>()).finish()
    }
}

/// The passwords of addresses (`postgres://user:PASSWORD@host`) and of connection strings (`Host=h;Password=PASSWORD`), as they
/// are written and decoded.
fn passwords(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let text = secret.get(..SEARCHED).unwrap_or(secret).utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let addresses = text.match_indices("://").take(4 * MOST_PARTS);
    let in_addresses = addresses.filter_map(|(at, separator)| user_info(text.get(at + separator.len()..)?));
    let in_pairs = [';', '&', ',', ' ', '\n'].into_iter().flat_map(|separator| text.split(separator)).filter_map(value);
    let mut found = BTreeSet::new();
    for part in in_addresses.chain(in_pairs).filter(|part| part.len() >= SHORTEST_PART).take(MOST_PARTS) {
        found.insert(percent_decoded(part));
        found.insert(part.as_bytes().to_vec());
    }
    found.retain(|part| part.len() >= SHORTEST_PART);
    found
}

/// The password of an address that begins after its scheme; what stands before the `@` where that is all one word.
fn user_info(address: &str) -> Option<&str> {
    let is_end = |character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>');
    let address = address.split(is_end).next()?;
    let authority = address.split(['/', '?', '#']).next().filter(|authority| authority.contains('@'));
    // A password may hold what ends an authority where it is encoded.
    let (user_info, _) = authority.unwrap_or(address).rsplit_once('@')?;
    Some(user_info.split_once(':').map_or(user_info, |(_, password)| password))
}

/// What the keys of secret values have in common, in lower case.
const SECRET_KEYS: [&str; 7] = ["pass", "pwd", "secret", "token", "key", "sig", "credential"];

/// The value of a pair of a connection string whose key says that it is secret.
fn value(pair: &str) -> Option<&str> {
    let (key, value) = pair.split_once('=')?;
    let key = key.rsplit(['?', '/']).next()?.to_ascii_lowercase();
    let is_secret = SECRET_KEYS.iter().any(|word| key.contains(word));
    is_secret.then(|| value.trim().trim_matches(['"', '\'']))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%').and_then(|digits| number(digits, 16));
        decoded.push(escaped.unwrap_or(first));
        let taken = if escaped.is_some() { 2 } else { 0 };
        rest = after.get(taken..).unwrap_or_default();
    }
    decoded
}

/// Whether a text is whole, or only its beginning is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Here,
    Later,
}

/// How many bytes of a text are the needle that it begins with; line breaks within it do not count, as `base64` and
/// `xxd` write them.
fn wrapped_length(text: &[u8], needle: &[u8], ends: Ends) -> Option<usize> {
    // A secret may hold what looks like an escape.
    [Prefer::Literal, Prefer::Escaped].into_iter().find_map(|prefer| length_as(text, needle, ends, prefer))
}

/// How a byte is read that may stand for itself or begin an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefer {
    Literal,
    Escaped,
}

fn length_as(text: &[u8], needle: &[u8], ends: Ends, prefer: Prefer) -> Option<usize> {
    let mut at = 0;
    for &byte in needle {
        while at > 0 && text.get(at).is_some_and(|&found| found != byte && matches!(found, b'\n' | b'\r')) {
            at += 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        let literal = (rest.first() == Some(&byte)).then_some(1);
        let length = match prefer {
            Prefer::Literal => literal.or_else(|| escape_length(rest, byte)),
            Prefer::Escaped => escape_length(rest, byte).or(literal),
        };
        match length {
            Some(length) => at += length,
            None if at > 0 && ends == Ends::Later && is_cut_off(rest) => return Some(at + rest.len()),
            None => return None,
        }
    }
    Some(at)
}

/// The longest escape of one byte.
const LONGEST_ESCAPE: usize = 6;

/// Whether nothing is left of a text, or the beginning of an escape.
fn is_cut_off(rest: &[u8]) -> bool {
    rest.is_empty() || (rest.len() < LONGEST_ESCAPE && matches!(rest.first(), Some(b'%' | b'\\' | b'&')))
}

/// The short escapes of JSON and XML.
const SHORT_ESCAPES: [(&[u8], u8); 12] = [
    (b"\\\"", b'"'),
    (b"\\\\", b'\\'),
    (b"\\/", b'/'),
    (b"\\'", b'\''),
    (b"\\n", b'\n'),
    (b"\\r", b'\r'),
    (b"\\t", b'\t'),
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&quot;", b'"'),
    (b"&apos;", b'\''),
];

/// How many bytes of a text are an escape of this byte: programs differ in what they escape. Go writes `&` in JSON as
/// `\u0026`, Python leaves `/` in a URL, forms write a space as `+`.
fn escape_length(text: &[u8], byte: u8) -> Option<usize> {
    let (found, length) = match text.first()? {
        b'+' => (b' ', 1),
        b'%' => (number(text.get(1..3)?, 16)?, 3),
        b'\\' | b'&' => short_escape(text).or_else(|| character_escape(text))?,
        _ => return None,
    };
    (found == byte).then_some(length)
}

fn short_escape(text: &[u8]) -> Option<(u8, usize)> {
    SHORT_ESCAPES.iter().find(|(escape, _)| text.starts_with(escape)).map(|(escape, byte)| (*byte, escape.len()))
}

/// `\u0026`, `\x26`, `&#38;` or `&#x26;`; of other characters than ASCII it is more than one byte.
fn character_escape(text: &[u8]) -> Option<(u8, usize)> {
    let (digits, radix, length) = match text {
        [b'\\', b'u', b'0', b'0', ..] => (text.get(4..6)?, 16, 6),
        [b'\\', b'x', ..] => (text.get(2..4)?, 16, 4),
        [b'&', b'#', rest @ ..] => {
            let end = rest.iter().take(LONGEST_ESCAPE).position(|&byte| byte == b';')?;
            match rest.get(..end)? {
                [b'x' | b'X', digits @ ..] => (digits, 16, end + 3),
                digits => (digits, 10, end + 3),
            }
        }
        _ => return None,
    };
    Some((number(digits, radix).filter(u8::is_ascii)?, length))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let is_plain = digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits).ok().filter(|_| is_plain).and_then(|digits| u8::from_str_radix(digits, radix).ok())
}

fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    for digits in [|byte: &u8| format!("{byte:02x}"), |byte: &u8| format!("{byte:02X}")] {
        forms.push(secret.iter().map(digits).collect::<String>().into_bytes());
    }
    for alphabet in [STANDARD, URL_SAFE] {
        for alignment in 0..3 {
            let encoded = base64_inside(secret, alignment, alphabet);
            if encoded.len() >= SHORTEST {
                forms.push(encoded);
            }
        }
    }
    forms.push(percent_encoded(secret, |byte| format!("%{byte:02X}")));
    forms.push(percent_encoded(secret, |byte| format!("%{byte:02x}")));
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = json_escaped(text);
        forms.push(json.replace('/', "\\/").into_bytes());
        forms.push(in_ascii(&json).into_bytes());
        forms.push(json.into_bytes());
        forms.push(text.escape_default().to_string().into_bytes());
    }
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The base64 characters that depend on the secret alone when `alignment` unknown bytes stand before it.
fn base64_inside(secret: &[u8], alignment: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut bits = vec![0; alignment];
    bits.extend_from_slice(secret);
    let known_from = (alignment * 8).div_ceil(6);
    let known_until = bits.len() * 8 / 6;
    (known_from..known_until)
        .map(|character| {
            let bit = character * 6;
            let pair = u16::from(bits.get(bit / 8).copied().unwrap_or(0)) << 8
                | u16::from(bits.get(bit / 8 + 1).copied().unwrap_or(0));
            alphabet[usize::from(pair >> (10 - bit % 8) & 63)]
        })
        .collect()
}

fn percent_encoded(secret: &[u8], escape: fn(u8) -> String) -> Vec<u8> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    secret.iter().flat_map(|&byte| if plain(byte) { vec![byte] } else { escape(byte).into_bytes() }).collect()
}

fn json_escaped(text: &str) -> String {
    let escape = |character| match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        control if control < ' ' => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// JSON as some programs write it: other characters than ASCII as `\u` and four digits.
fn in_ascii(json: &str) -> String {
    let escape = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        Ok(_) | Err(_) => format!("\\u{unit:04x}"),
    };
    json.encode_utf16().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secret: &str) -> Redactor {
        let mut redactor = Redactor::new();
        redactor.add(secret);
        redactor
    }

    #[test]
    fn t25_secret_is_hidden_in_every_form() {
        let secret = "s3cr3t/+pa\"ss wörd";
        let redactor = redactor(secret);
        assert_eq!(redactor.redact(&format!("a {secret} b")), "a *** b");
        assert_eq!(redactor.redact("s3cr3t%2F%2Bpa%22ss%20w%C3%B6rd"), "***");
        assert_eq!(redactor.redact("s3cr3t%2f%2bpa%22ss%20w%c3%b6rd"), "***");
        assert_eq!(redactor.redact(r#"{"token":"s3cr3t/+pa\"ss wörd"}"#), r#"{"token":"***"}"#);
        assert_eq!(redactor.redact(r#"{"token":"s3cr3t\/+pa\"ss wörd"}"#), r#"{"token":"***"}"#);
        assert_eq!(redactor.redact(r#"{"token":"s3cr3t/+pa\"ss w\u00f6rd"}"#), r#"{"token":"***"}"#);
        assert_eq!(
            redactor.redact("7333637233742f2b7061227373 2077c3b67264"),
            "7333637233742f2b7061227373 2077c3b67264"
        );
        assert_eq!(redactor.redact("7333637233742f2b70612273732077c3b67264"), "***");
        assert_eq!(redactor.redact("7333637233742F2B70612273732077C3B67264"), "***");
    }

    #[test]
    fn t25_base64_is_hidden_at_every_alignment() {
        let redactor = redactor("hunter2-hunter2");
        // `printf 'x:hunter2-hunter2!' | base64` with zero, one and two bytes before the secret.
        for (plain, encoded) in [
            ("hunter2-hunter2", "aHVudGVyMi1odW50ZXIy"),
            ("x:hunter2-hunter2", "eDpodW50ZXIyLWh1bnRlcjI="),
            ("u:hunter2-hunter2!", "dTpodW50ZXIyLWh1bnRlcjIh"),
            ("xhunter2-hunter2!", "eGh1bnRlcjItaHVudGVyMiE="),
        ] {
            let shown = redactor.redact(encoded);
            assert!(shown.contains(MASK) && shown.len() < 12, "{plain}: {shown}");
        }
    }

    #[test]
    fn t25_each_line_of_a_secret_counts() {
        let redactor = redactor("-----BEGIN KEY-----\nabcdefgh\n\nxy\n-----END KEY-----\n");
        assert_eq!(redactor.redact("line abcdefgh, xy"), "line ***, xy");
    }

    #[test]
    fn t48_line_breaks_within_a_secret_do_not_show_it() {
        let secret = "a-secret-that-is-longer-than-one-line-of-base64-output-can-hold-1234567890";
        let redactor = redactor(secret);
        // `printf %s "$SECRET" | base64`, which breaks lines after 76 characters.
        let encoded =
            "YS1zZWNyZXQtdGhhdC1pcy1sb25nZXItdGhhbi1vbmUtbGluZS1vZi1iYXNlNjQtb3V0cHV0LWNh\nbi1ob2xkLTEyMzQ1Njc4OTA=";
        assert_eq!(redactor.redact(encoded), "***A=", "the last character belongs to the secret in part only");
        let (begin, end) = secret.split_at(20);
        assert_eq!(redactor.redact(&format!("{begin}\r\n{end}")), "***");
        assert_eq!(redactor.redact("a\n\nb"), "a\n\nb");
    }

    #[test]
    fn t76_a_secret_is_hidden_whichever_of_its_characters_are_escaped() {
        let secret = "p&ss/w<rd 'x\"+1";
        let redactor = redactor(secret);
        for shown in [
            // Go's `encoding/json`, Python's `urllib.parse.quote`, JavaScript's `encodeURIComponent`, a form, XML.
            r#"p\u0026ss/w\u003crd 'x\"+1"#,
            "p%26ss/w%3Crd%20%27x%22%2B1",
            "p%26ss%2Fw%3Crd%20'x%22%2B1",
            "p%26ss%2fw%3crd+%27x%22%2b1",
            "p&amp;ss/w&lt;rd 'x&quot;+1",
            "p&amp;ss/w&lt;rd &#39;x&#34;+1",
            "p&amp;ss/w&lt;rd &#x27;x&quot;+1",
            r#"p&ss\/w<rd \'x\"+1"#,
            "p&amp;ss/w&lt;rd &#39;x&#34;&#43;1",
        ] {
            assert_eq!(redactor.redact(&format!("a={shown}&b")), "a=***&b", "{shown}");
        }
        assert_eq!(redactor.redact_beginning("a=p%26ss/w%3"), "a=***");
        assert_eq!(redactor.redact("p%26ss/w%3Frd%20%27x%22%2B1"), "p%26ss/w%3Frd%20%27x%22%2B1");
        // A secret that looks like an escape itself.
        let redactor = self::redactor("100%25&amp;x");
        for shown in ["100%25&amp;x", "100%2525&amp;amp;x", "100%2525%26amp%3bx"] {
            assert_eq!(redactor.redact(shown), "***", "{shown}");
        }
    }

    #[test]
    fn t48_the_beginning_of_a_secret_at_a_cut_is_hidden() {
        let redactor = redactor("hunter2-hunter2");
        let text = "the password is hunter2-hunter2";
        for length in 17..text.len() {
            let cut = text.get(..length).unwrap();
            assert_eq!(redactor.redact_beginning(cut), "the password is ***", "{cut}");
            assert_eq!(redactor.redact(cut), cut, "a whole text that ends so is another");
        }
        assert_eq!(redactor.redact_beginning("x aHVudGVy"), "x ***", "in base64 too");
        assert_eq!(redactor.redact_beginning("x hunter2-\n"), "x ***");
        assert_eq!(redactor.redact_beginning("hunter3 and more"), "hunter3 and more");
    }

    #[test]
    fn t25_the_password_in_an_address_is_hidden_alone() {
        for (secret, password) in [
            ("postgres://shop:hunter2-hunter2@db.example:5432/shop?sslmode=require", "hunter2-hunter2"),
            ("jdbc:postgresql://db/shop?user=shop&password=hunter2-hunter2&ssl=true", "hunter2-hunter2"),
            ("Host=db.example;Username=shop;Password=hunter2;hunter2", "hunter2"),
            ("Server=db;Pwd=\"hunter2-hunter2\";Encrypt=True", "hunter2-hunter2"),
            (
                "Endpoint=sb://x.example/;SharedAccessKeyName=root;SharedAccessKey=hunter2+/hunter2=",
                "hunter2+/hunter2=",
            ),
            ("host=db user=shop password=hunter2-hunter2", "hunter2-hunter2"),
            ("redis.example:6379,password=hunter2-hunter2,ssl=True", "hunter2-hunter2"),
            ("https://ghp_hunter2hunter2@git.example/shop", "ghp_hunter2hunter2"),
            ("amqp://shop:hunter2%2Fhunter2@mq/%2f", "hunter2/hunter2"),
            ("amqp://shop:hunter2%2Fhunter2@mq/%2f", "hunter2%2Fhunter2"),
            ("redis://:hunter2/hunter2@cache:6379", "hunter2/hunter2"),
            ("{\n  \"url\": \"mysql://shop:hunter2-hunter2@db/shop\",\n  \"pool\": 7\n}", "hunter2-hunter2"),
        ] {
            let redactor = redactor(secret);
            let text = format!("login failed for {password}: db.example, shop, sslmode=require");
            let shown = redactor.redact(&text);
            if password.len() < SHORTEST_PART {
                assert_eq!(shown, text, "too short to be told from other words");
                continue;
            }
            assert_eq!(shown, text.replace(password, MASK), "{secret}");
        }
        // Neither users nor hosts are secret.
        let redactor = redactor("postgres://postgres:hunter2-hunter2@db.example.com/postgres");
        assert_eq!(redactor.redact("postgres is not at db.example.com"), "postgres is not at db.example.com");
    }

    #[test]
    fn t40_a_secret_of_many_parts_is_searched_in_bounds() {
        let many = (0..2000).map(|number| format!("x://u:password-{number:06}@h")).collect::<Vec<_>>().join(" ");
        let begin = std::time::Instant::now();
        let found = passwords(many.as_bytes());
        assert!((1..=2 * MOST_PARTS).contains(&found.len()), "{}", found.len());
        let longest = "://".repeat(100_000);
        assert!(passwords(longest.as_bytes()).is_empty());
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[test]
    fn t25_the_secrets_of_two_redactors_are_hidden_by_one() {
        let mut both = redactor("hunter2-hunter2");
        both.include(&redactor("hunter2-hunter2-and-more"));
        both.include(&redactor("p&ss-of-another"));
        assert_eq!(
            both.redact("a hunter2-hunter2-and-more b p%26ss-of-another &#112;&amp;ss-of-another"),
            "a *** b *** ***"
        );
    }

    #[test]
    fn overlapping_secrets_leave_nothing_over() {
        let mut redactor = redactor("abcdef");
        redactor.add("defghi");
        assert_eq!(redactor.redact("-abcdefghi-abcdefdefghi-"), "-***-******-");
        assert!(!format!("{redactor:?}").contains("abc"));
    }
}
