//! The pattern that the schema has and the check that the parser runs are two forms of one rule.

use schemars::JsonSchema;

use super::*;

/// Texts around the edges of every rule.
const TEXTS: &[&str] = &[
    "",
    "a",
    "-a",
    ".a",
    "_a",
    "A",
    "a-",
    "a.b",
    "a..b",
    "a_b",
    "a__b",
    "a/b",
    "a//b",
    "/a",
    "a/",
    "a/b/c",
    "a/b/c/d",
    "a/./b",
    "a/../b",
    "..",
    ".",
    "...",
    ".../a",
    "a/.git",
    ".GIT/a",
    "a/.gitmodules",
    "a\\b",
    "a\nb",
    "a\n",
    "\na",
    "a b",
    " a",
    "a ",
    "\u{a0}a",
    "a\u{a0}",
    "\u{3000}",
    "a\u{202e}b",
    "a\u{feff}",
    "\u{feff}a",
    "a\u{2028}",
    "a\u{85}b",
    "a\u{7f}",
    "a\u{ad}b",
    "déjà/vu",
    "🚂",
    "\u{fffe}",
    "2286238",
    "1.2.3+b",
    "1.2.3\"",
    "sha256:00",
    "ghcr.io/a",
    "ghcr.io",
    "GHCR.io/a",
    "ghcr.io/A",
    "ghcr.io/a:1",
    "ghcr.io/a/",
    "ghcr.io/a.b/c__d/e---f",
    "ghcr.io/a._b",
    "ghcr.io/a___b",
    "ghcr.io/-a",
    "ghcr.io/a-",
    "-ghcr.io/a",
    "ghcr-.io/a",
    "ghcr..io/a",
    ".io/a",
    "localhost/a",
    "localhost:5000/a",
    "localhost:/a",
    "host:500000/a",
    "host:5000/a",
    "host/a",
    "https://host/a",
    "http://HOST:80/a.git/",
    "https://host/a//",
    "https://host//a",
    "https://host",
    "https://host/",
    "https://-host/a",
    "https://host./a",
    "https://ho_st/a",
    "https://u@host/a",
    "https://host/a@b",
    "https://host/a?b",
    "https://host/a#b",
    "https://host/%41",
    "https://host/a%20b",
    "https://host/%2B%2",
    "https://host/%2b",
    "https://host/%",
    "https://[::1]/a",
    "https://[2001:db8::1]:22/a",
    "https://[2001:DB8::1]/a",
    "https://[::1]:/a",
    "https://[]/a",
    "https://[::1/a",
    "https://host/..",
    "https://host/.../a",
    "https://host/a/./b",
    "https://host/a b",
    "https://host/a\u{a0}b",
    "https://host/é",
    "HTTPS://host/a",
    "oci://host/a",
    "oci://host/a:1",
    "oci://host/a/..",
    "oci://host:1/a~b/c+d",
    "ssh://host/a",
];

fn check<T: JsonSchema + TryFrom<String>>() {
    let long = [64, 65, 128, 129, 255, 256, 1000, 1001, 2048, 2049, 4096, 4097].into_iter().flat_map(|length| {
        ["", "ghcr.io/", "https://host/", "oci://host/", "a/", "é"].map(|start| padded(start, length))
    });
    let digests = [39, 40, 41, 63, 64, 65].into_iter().flat_map(|length| {
        let hex = "0a".repeat(length).chars().take(length).collect::<String>();
        [format!("sha256:{hex}"), hex.to_uppercase(), hex]
    });
    check_texts::<T>(TEXTS.iter().map(|&text| text.to_owned()).chain(long).chain(digests));
}

fn check_texts<T: JsonSchema + TryFrom<String>>(texts: impl IntoIterator<Item = String>) {
    let schema = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let validator = jsonschema::validator_for(schema.as_value()).expect("a generated schema is valid");
    for text in texts {
        let by_schema = validator.is_valid(&serde_json::Value::String(text.clone()));
        let by_parser = T::try_from(text.clone()).is_ok();
        assert_eq!(by_schema, by_parser, "{}: `{}`", T::schema_name(), text.escape_debug());
    }
}

/// The start, filled up to a number of characters.
fn padded(start: &str, length: usize) -> String {
    format!("{start}{}", "x".repeat(length - start.chars().count()))
}

#[test]
fn p4_schema_and_parser_agree_on_every_identifier() {
    check::<ServiceName>();
    check::<ThirdPartyName>();
    check::<KindName>();
    check::<OneLine>();
    check::<CommitId>();
    check::<CommitPrefix>();
    check::<TreeId>();
    check::<Digest>();
    check::<LockId>();
    check::<ImageRepository>();
    check::<Tag>();
    check::<Platform>();
    check::<RepositoryUrl>();
    check::<TreePath>();
    check::<ChartReference>();
    check::<ChartVersion>();
}

/// The length of a short name is limited in its full form, which a pattern cannot count: no long texts here.
#[test]
fn p4_schema_and_parser_agree_on_image_references() {
    let digest = format!("@sha256:{}", "0a".repeat(32));
    let tags = ["", ":", ":v1", ":v1.2_x-y", ":-x", ":.x", ":a/b", ":a:b", ":5000", &format!(":{}", "x".repeat(128))];
    let mut texts = Vec::new();
    for text in TEXTS {
        for tag in tags {
            texts.extend(["", "@", &digest, "@sha256:00"].map(|digest| format!("{text}{tag}{digest}")));
        }
    }
    check_texts::<ImageReference>(texts);
}
