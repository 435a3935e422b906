//! The lock file as other languages read it: `PyYAML` and Go's yaml.v3, which follow YAML 1.1 in different parts.
//!
//! Both reader programs print what they saw as JSON, each scalar with its type: `"str:24.0.0"`, `"int:1"`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use lock_model::{
    Content, CreatedFrom, Exception, GitSource, Lock, LockParts, LockedImage, LockedMetadata, Platform, Revision,
    Service, Source, Timestamp,
};
use serde_json::Value;
use test_support::{bench, workspace};

/// What one of the readers takes, or took in an older version, for something else than text.
const TRICKY: &[&str] = &[
    "no",
    "n",
    "y",
    "on",
    "off",
    "true",
    "null",
    "~",
    "2286238",
    "0777",
    "0o17",
    "0x1f",
    "0b10",
    "1_000",
    "1e3",
    "1.5",
    "1.",
    ".5",
    "-.inf",
    ".nan",
    "1.4.0",
    "12:30:45",
    "190:20:30.15",
    "2025-11-20",
    "2025-11-20T21:14:07Z",
    "=",
    "<<",
    "1111111111111111111111111111111111111111",
    "main-1111111",
    "- a",
    "a: b",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "\"a",
    "'a'",
    "[a]",
    "{a}",
    "a\\b",
    "déjà",
    "日本",
    "🛒",
    "? a",
    ": a",
    "a:",
    "---",
    "...",
];

#[test]
fn t39_p6_the_golden_file_is_the_same_text_to_python_and_go() {
    let golden = std::fs::read(workspace().join("crates/lock-model/tests/fixtures/valid/golden.yaml")).unwrap();
    let Some(seen) = read_by_both(&golden) else { return };
    assert_eq!(seen["str:version"], "int:1");
    assert_eq!(seen["str:source"]["str:pull_request"], "int:7");
    let cart = &seen["str:services"]["str:cart"];
    assert_eq!(cart["str:git"]["str:sha"], "str:1111111111111111111111111111111111111111");
    assert_eq!(cart["str:image"]["str:created"], "str:2025-11-20T21:14:07Z");
    assert_eq!(cart["str:metadata"]["str:version"], "str:1.4.0");
    assert_eq!(seen["str:third_party"]["str:redis"]["str:chart"]["str:version"], "str:24.0.0");
}

#[test]
fn b9_p6_t39_tricky_names_tags_and_reasons_stay_text() {
    let lock = tricky_lock(&[TRICKY.iter().map(|text| (*text).to_owned()).collect(), random_text(1000)].concat());
    let written = lock.to_yaml();
    assert_eq!(lock_model::Lock::parse(written.as_bytes(), "lock.yaml").unwrap(), lock, "we read what we wrote");
    let Some(seen) = read_by_both(written.as_bytes()) else { return };

    assert_eq!(not_text(&seen, ""), ["/str:source/str:pull_request", "/str:version"]);
    let services = seen["str:services"].as_object().unwrap();
    assert_eq!(services.len(), lock.services().len());
    for (name, service) in lock.services() {
        let image = service.content.image().unwrap();
        let read = &services[&format!("str:{name}")];
        assert_eq!(read["str:image"]["str:tag"], format!("str:{}", image.tag));
        let version = &service.metadata.as_ref().unwrap().version;
        assert_eq!(read["str:metadata"]["str:version"], format!("str:{version}"));
    }
    let reasons: Vec<String> = lock.exceptions().iter().map(|exception| format!("str:{}", exception.reason)).collect();
    let exceptions = seen["str:exceptions"].as_array().unwrap();
    let read: Vec<&str> = exceptions.iter().map(|exception| exception["str:reason"].as_str().unwrap()).collect();
    assert_eq!(read, reasons);
}

/// A lock that has each text wherever a lock can have it.
fn tricky_lock(texts: &[String]) -> Lock {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64)).parse().unwrap();
    let commit = |digit: &str| digit.repeat(40).parse().unwrap();
    let mut services = BTreeMap::new();
    let mut exceptions = Vec::new();
    for text in texts {
        // Not every text may be a name, a tag or a line; those that may not were refused when they were read.
        if let (Ok(name), Ok(tag), Ok(version)) = (text.parse(), text.parse(), text.parse()) {
            let image = LockedImage::new(
                "registry.example/shop/cart".parse().unwrap(),
                tag,
                digest("2"),
                Timestamp::from_unix_seconds(1_763_672_400),
                CreatedFrom::Config,
            )
            .with_platforms([("linux/amd64".parse::<Platform>().unwrap(), digest("6"))])
            .with_revision(Revision::SelfAsserted);
            let git = GitSource::new("https://forge.example/shop/cart.git".parse().unwrap(), commit("1"));
            let path = format!("services/{text}").parse().unwrap();
            let mut service = Service::new(path, git, Content::Image(image));
            service.metadata = Some(LockedMetadata::new(version));
            services.insert(name, service);
        }
        if let Ok(reason) = text.parse() {
            exceptions.push(Exception::new(
                "left-out".parse().unwrap(),
                format!("entry {:04}", exceptions.len()).parse().unwrap(),
                reason,
                "team-x".parse().unwrap(),
                "2026-12-31".parse().unwrap(),
            ));
        }
    }
    let source = Source::new(
        "https://forge.example/shop/shop".parse().unwrap(),
        commit("a"),
        commit("b"),
        "c".repeat(40).parse().unwrap(),
    )
    .with_pull_request(7);
    assert!(services.len() > 20 && exceptions.len() > 500, "most of the texts are allowed somewhere");
    let mut parts = LockParts::new(source).with_services(services);
    parts.exceptions = exceptions;
    Lock::new(parts).unwrap()
}

/// Short texts of the characters that numbers, dates and the syntax are made of; the same in every run.
fn random_text(count: usize) -> Vec<String> {
    const CHARACTERS: &[char] = &[
        '0', '1', '2', '7', '9', '.', '_', ':', '-', '+', 'e', 'E', 'x', 'o', 'b', 'T', 'Z', '~', 'n', 'y', ' ', '#',
        '"', '\'', '\\', ',',
    ];
    // Knuth's linear congruential generator: the upper bits are good enough.
    let mut state: u64 = 39;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..count).map(|_| (0..=next(6)).map(|_| CHARACTERS[next(CHARACTERS.len())]).collect()).collect()
}

/// Reads a file with both programs, which must agree; none when one of them is not to be had.
fn read_by_both(text: &[u8]) -> Option<Value> {
    let (python, go) = (bench::part_or_skip("pyyaml")?, bench::part_or_skip("yaml-go")?);
    let mut python = python.command();
    python.arg(workspace().join("tests/readers/yaml-python/read.py"));
    let (python, go) = (read_by(python, text), read_by(go.command(), text));
    assert_eq!(python, go, "left: PyYAML, right: yaml.v3");
    Some(python)
}

fn read_by(mut reader: Command, text: &[u8]) -> Value {
    let mut child = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    // Both read to the end before they write.
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{reader:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The paths of all scalars and keys that are not text.
fn not_text(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| {
                let path = format!("{path}/{key}");
                let key = (!key.starts_with("str:")).then(|| path.clone());
                key.into_iter().chain(not_text(inner, &path)).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(|inner| not_text(inner, &format!("{path}/*"))).collect(),
        Value::String(text) if text.starts_with("str:") => Vec::new(),
        _ => vec![path.to_owned()],
    }
}
