use lock_model::escaping::{
    code_block, code_span, credentials_of, escape_markdown, escape_short, escape_terminal, escape_terminal_lines,
    excerpt, is_hidden, mask_address, mask_credentials, mask_credentials_in_place, shorten,
};

/// One of every kind of character that no output shows raw.
const HIDDEN: &[char] = &[
    '\0',
    '\u{7}',
    '\r',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{206f}',
    '\u{feff}',
    '\u{fff9}',
    '\u{e0041}',
];

#[test]
fn t36_no_output_shows_a_hidden_character() {
    for &character in HIDDEN {
        assert!(is_hidden(character), "{character:?}");
        let text = format!("a{character}b");
        let written = if character == '\r' { "\\r".to_owned() } else { character.escape_unicode().to_string() };
        assert_eq!(escape_terminal(&text), format!("a{written}b"));
        assert_eq!(escape_terminal_lines(&text), format!("a{written}b"));
        assert_eq!(escape_short(&text, 3), format!("a{written}b"));
        assert_eq!(code_span(&text), format!("`a{written}b`"));
        assert_eq!(code_block(&text), format!("```text\na{written}b\n```\n"));
        let markdown = format!("a{}b", written.replace('\\', "\\\\").replace('{', "\\{").replace('}', "\\}"));
        assert_eq!(escape_markdown(&text), markdown);
        for error in [
            lock_model::ServiceName::try_from(text.as_str()).unwrap_err().to_string(),
            text.parse::<lock_model::ImageReference>().unwrap_err().to_string(),
            text.parse::<lock_model::Date>().unwrap_err().to_string(),
            text.parse::<lock_model::Timestamp>().unwrap_err().to_string(),
        ] {
            assert!(error.starts_with(&format!("`a{written}b` is not ")), "{error}");
        }
    }
    for plain in ['a', ' ', 'é', '日', '🚂', '\u{a0}', '\u{301}', '\u{fe0f}', '\\', '"', '\''] {
        assert!(!is_hidden(plain), "{plain:?}");
        assert_eq!(escape_terminal(&plain.to_string()), plain.to_string());
    }
}

#[test]
fn a_short_text_is_cut_at_characters_and_bytes() {
    assert_eq!(escape_short("äöü", 3), "äöü");
    assert_eq!(escape_short("äöü", 2), "äö…");
    assert_eq!(escape_short("", 0), "");
    assert_eq!(escape_short("a", 0), "…");
    assert_eq!(escape_short(" a ", 9), " a ");
    assert_eq!(escape_short(b"a\xff\xfeb", 9), "a\\xff\\xfeb");
    assert_eq!(escape_short(b"a\xffb", 2), "a\\xff…");
    assert_eq!(escape_short(b"a\xffb", 1), "a…");
    assert_eq!(excerpt(" a\nb\n"), "a\\nb");
    assert_eq!(excerpt("é".repeat(300)), "é".repeat(200) + "…");
    assert_eq!(excerpt("é".repeat(200)), "é".repeat(200));
}

#[test]
fn credentials_of_addresses_are_masked() {
    for (text, masked, in_place) in [
        ("url: https://user:secret@host/a", "url: https://***@host/a", "url: https://***********@host/a"),
        ("https://a@b@host", "https://***@host", "https://***@host"),
        (
            "https://host/a and ssh://git@host/x",
            "https://host/a and ssh://***@host/x",
            "https://host/a and ssh://***@host/x",
        ),
        ("(https://host/a?token=secret).", "(https://host/a?***).", "(https://host/a?************)."),
        ("bob:secret@host:a/b", "***@host:a/b", "**********@host:a/b"),
        ("git@host:a/b", "git@host:a/b", "git@host:a/b"),
        ("https://host/a#usage, really?", "https://host/a#usage, really?", "https://host/a#usage, really?"),
        ("host/cart:1@sha256:00", "host/cart:1@sha256:00", "host/cart:1@sha256:00"),
        ("oci://host/cart:1@sha256:00", "oci://host/cart:1@sha256:00", "oci://host/cart:1@sha256:00"),
        ("`https://a:b@c`, `d@e`", "`https://***@c`, `d@e`", "`https://***@c`, `d@e`"),
        ("https://é:p?#@host", "https://***@host", "https://*****@host"),
        ("no address @ all", "no address @ all", "no address @ all"),
    ] {
        assert_eq!(mask_credentials(text), masked);
        assert_eq!(mask_credentials_in_place(text), in_place);
    }
}

/// Every way to write credentials into an address, well formed or not.
#[test]
fn t49_credentials_are_masked_in_every_form_of_an_address() {
    let schemes = [
        "https://",
        "HTTPS://",
        "HtTp://",
        "ssh://",
        "git+ssh://",
        "ftp://",
        "file://",
        "ext::https://",
        "x::",
        "//",
        "",
        "https:",
        "https:/",
        "https:\\\\",
        "https:////",
    ];
    let users = [
        "bob:S3CRET@",
        "bob:pa/S3CRET@",
        "bob:p?S3CRET@",
        "bob:p#S3CRET@",
        "bob:a@S3CRET@",
        "bob:p:S3CRET@",
        ":S3CRET@",
        "S3CRET:@",
        "bob:S3CRET%2F@",
        "bob%3AS3CRET%40",
        "bob%3aS3CRET@",
    ];
    let hosts = ["host", "host:8443", "[::1]:22", "127.0.0.1"];
    let paths = ["", "/", "/a/b.git", ":a/b", "/a/b%20c.git", "/a@sha256:00"];
    let queries = [
        "",
        "?token=S3CRET",
        "?S3CRET",
        "#S3CRET",
        "?a=b&token=S3CRET#c",
        ";token=S3CRET",
        "%3Ftoken=S3CRET",
        "%3btoken=S3CRET?x",
    ];
    for scheme in schemes {
        for user in users {
            for host in hosts {
                for path in paths {
                    for query in queries {
                        let address = format!("{scheme}{user}{host}{path}{query}");
                        let shown = mask_address(&address);
                        assert!(!shown.contains("S3CRET"), "{address} is shown as {shown}");
                        assert!(shown.contains(host), "{address} is shown as {shown}");
                        assert!(!credentials_of(&address).is_empty(), "{address}");
                        if !query.starts_with('#') {
                            let text = mask_credentials(&format!("the URL `{address}`, which")).into_owned();
                            assert!(!text.contains("S3CRET"), "{address} is shown as {text}");
                        }
                    }
                }
            }
        }
        if scheme.contains("://") || scheme == "//" {
            assert!(!mask_address(&format!("{scheme}S3CRET@host")).contains("S3CRET"), "{scheme}");
            assert!(!mask_credentials(&format!("{scheme}S3CRET@host/a")).contains("S3CRET"), "{scheme}");
        }
    }
    assert_eq!(mask_address("https://bob:pa S3CRET\"'@host/a"), "https://***@host/a");
    assert_eq!(mask_address("https://bob:S3CRET/shop/cart.git"), "https://bob:***/shop/cart.git");
    assert_eq!(
        mask_credentials("see https://host/a; or https://host/b;c"),
        "see https://host/a; or https://host/b;***"
    );
    for plain in [
        "../cart.git",
        "git@host:a/b",
        "/srv/git/cart.git",
        "https://host/a",
        "https://[::1]:8/a",
        "",
        "@",
        "https://@host",
        "?",
    ] {
        assert_eq!(mask_address(plain), plain);
        assert!(credentials_of(plain).is_empty());
    }
    let error = lock_model::RepositoryUrl::try_from("https://bob:pa S3CRET@host/a").unwrap_err().to_string();
    assert!(!error.contains("S3CRET"), "{error}");
}

#[test]
fn t36_nothing_moves_the_cursor_or_turns_the_text_around() {
    for (hostile, shown) in [
        ("\u{1b}[2J", "\\u{1b}[2J"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("\u{1b}]8;;https://evil\u{7}x", "\\u{1b}]8;;https://evil\\u{7}x"),
        ("a\u{202e}b", "a\\u{202e}b"),
        ("a\u{2066}b\u{200f}", "a\\u{2066}b\\u{200f}"),
        ("a\rb", "a\\rb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u{7f}\u{0}", "\\u{7f}\\u{0}"),
        ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ("line\u{2028}separator", "line\\u{2028}separator"),
        ("naïve 日本語 🚂", "naïve 日本語 🚂"),
    ] {
        assert_eq!(escape_terminal(hostile), shown);
        assert!(!escape_terminal_lines(hostile).contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r', '\t']));
    }
    assert_eq!(escape_terminal_lines("a\nb\u{7}"), "a\nb\\u{7}");
}

/// What a renderer could make something of, and how it is written instead (`·` is the invisible character).
#[test]
fn t37_foreign_text_is_only_text() {
    for (hostile, written) in [
        ("**APPROVED by @lead**", "\\*\\*APPROVED by @·lead\\*\\*"),
        ("&#64;team", "&amp;#·64;team"),
        ("</details><img src=x>", "&lt;/details&gt;&lt;img src=x&gt;"),
        ("![b](https://evil/x.png)", "\\!\\[b\\]\\(https:·//evil/x.png\\)"),
        ("<!-- orchestrator:lock -->", "&lt;\\!-- orchestrator:·lock --&gt;"),
        ("closes #12", "closes #·12"),
        ("closes GH-12", "closes GH-·12"),
        ("www.evil.example", "www·.evil.example"),
        ("a@b.example", "a@·b.example"),
        ("a|b", "a\\|b"),
        ("`code`", "\\`code\\`"),
        ("$\\color{red}x$", "\\$\\\\color\\{red\\}x\\$"),
        ("# heading", "\\#· heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("= x", "\\= x"),
        ("line\nbreak", "line break"),
        ("a\u{202e}b", "a\\\\u\\{202e\\}b"),
        ("version 1.4.0-rc", "version 1.4.0-rc"),
        ("team-ai: not ready", "team-ai: not ready"),
    ] {
        assert_eq!(escape_markdown(hostile).replace('\u{200b}', "·"), written);
    }
}

#[test]
fn t37_fences_are_longer_than_what_they_hold() {
    assert_eq!(code_span("a`b``c"), "```a`b``c```");
    assert_eq!(code_span("`"), "`` ` ``");
    assert_eq!(code_span("two\nlines"), "`two lines`");
    assert_eq!(code_span(""), "`  `");
    assert_eq!(code_block("x\n````\ny\n"), "`````text\nx\n````\ny\n`````\n");
    assert_eq!(shorten("äöü", 5), "ä…");
    assert_eq!(shorten("äöü", 6), "äöü");
}
