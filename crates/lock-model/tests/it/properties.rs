//! Whatever a lock holds: what is written is read as the same, and by another reader alike.

use std::collections::BTreeMap;

use lock_model::{
    ApiFile, ChartVersion, Content, CreatedFrom, Exception, GitSource, KindName, Lock, LockParts, LockedChart,
    LockedImage, LockedMetadata, OneLine, Origin, Revision, Service, Source, ThirdParty, ThirdPartySource, Timestamp,
    TreePath, diff,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// Words that some YAML reader takes for something else than a string, or that its syntax reacts to.
const TRICKY: &[&str] = &[
    "null",
    "Null",
    "~",
    "true",
    "False",
    "yes",
    "NO",
    "on",
    "Off",
    "y",
    "n",
    "0",
    "-0",
    "+1",
    "007",
    "0o17",
    "0x1F",
    "0b1",
    "1_000",
    "2286238",
    "1.5",
    "1.",
    ".5",
    "1e3",
    "1E-3",
    "1.4.0",
    "12e03",
    ".inf",
    "-.INF",
    ".NaN",
    "1:30",
    "190:20:30.5",
    "2025-11-20",
    "2025-1-2",
    "2025-11-20T21:14:07Z",
    "2001-12-14 21:59:43.10 -5",
    "<<",
    "=",
    "-",
    "--",
    "---",
    "...",
    "--- x",
    "- x",
    "? x",
    "?",
    ":",
    ":x",
    "x:",
    "a: b",
    "a #b",
    "a#b",
    "#",
    "&a",
    "*a",
    "!a",
    "!!str",
    "|",
    ">-",
    "%YAML",
    "@a",
    "`a",
    "\"",
    "'",
    "''",
    "\"a\"",
    "'a'",
    "\\n",
    "[",
    "]",
    "{",
    "}",
    "[a]",
    "{a: b}",
    ",",
    "a, b",
    "a\u{a0}b",
    "\u{fffe}x",
    "é",
    "🚂",
    "a\tb",
];

fn line() -> impl Strategy<Value = OneLine> {
    let text = prop_oneof![
        3 => proptest::sample::select(TRICKY).prop_map(str::to_owned),
        1 => "[ -~]{1,40}",
        1 => "\\PC{1,30}",
        1 => vec(proptest::sample::select(TRICKY), 1..4).prop_map(|words| words.join(" ")),
    ];
    text.prop_filter_map("no line of text", |text| OneLine::try_from(text).ok())
}

fn path() -> impl Strategy<Value = TreePath> {
    prop_oneof![line().prop_map(String::from), "[a-z0-9.]{1,8}/[ -~]{1,12}"]
        .prop_filter_map("no path", |text| TreePath::try_from(text).ok())
}

/// Hexadecimal digits, often only decimal ones, often with one `e` between them.
fn hex(length: usize) -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::string::string_regex(&format!("[0-9a-f]{{{length}}}")).unwrap(),
        proptest::string::string_regex(&format!("[0-9]{{{length}}}")).unwrap(),
        (1..length - 1, proptest::string::string_regex(&format!("[0-9]{{{length}}}")).unwrap())
            .prop_map(|(at, digits)| digits.chars().enumerate().map(|(i, c)| if i == at { 'e' } else { c }).collect()),
    ]
}

fn digest() -> impl Strategy<Value = lock_model::Digest> {
    any::<[u8; 32]>().prop_map(lock_model::Digest::from_sha256)
}

fn commit() -> impl Strategy<Value = lock_model::CommitId> {
    prop_oneof![hex(40), hex(64)].prop_map(|text| text.parse().unwrap())
}

fn name() -> impl Strategy<Value = String> {
    let tricky = proptest::sample::select(TRICKY)
        .prop_map(str::to_lowercase)
        .prop_filter("no name", |text| lock_model::ServiceName::try_from(text.as_str()).is_ok());
    prop_oneof!["[a-z0-9][a-z0-9._-]{0,12}", "[0-9]{1,10}", tricky]
}

fn url() -> impl Strategy<Value = lock_model::RepositoryUrl> {
    "https?://[a-z0-9]{1,8}(:[0-9]{1,5})?(/[A-Za-z0-9_~:,&*!'-]{1,8}){1,3}".prop_map(|text| text.parse().unwrap())
}

fn image_repository() -> impl Strategy<Value = lock_model::ImageRepository> {
    "[a-z0-9]{1,8}(\\.[a-z0-9]{1,3}|:[0-9]{1,5})(/[a-z0-9]{1,6}(__[a-z0-9]{1,3})?){1,3}"
        .prop_map(|text| text.parse().unwrap())
}

fn tag() -> impl Strategy<Value = lock_model::Tag> {
    let tricky =
        proptest::sample::select(TRICKY).prop_filter_map("no tag", |text| lock_model::Tag::try_from(text).ok());
    let other = prop_oneof!["[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", "[0-9_.e]{1,8}"]
        .prop_filter_map("no tag", |text| lock_model::Tag::try_from(text).ok());
    prop_oneof![tricky, other]
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(|seconds| Timestamp::from_unix_seconds(seconds % 100_000_000_000))
}

fn image() -> impl Strategy<Value = LockedImage> {
    let platform = "[a-z0-9]{1,6}/[a-z0-9]{1,6}(/v[0-9])?".prop_map(|text| text.parse().unwrap());
    let created_from =
        proptest::sample::select(vec![CreatedFrom::Config, CreatedFrom::Annotation, CreatedFrom::Commit]);
    let revision = proptest::sample::select(vec![
        Revision::Proven,
        Revision::SelfAsserted,
        Revision::Mismatch,
        Revision::Absent,
        Revision::Unchecked,
    ]);
    (image_repository(), tag(), digest(), btree_map(platform, digest(), 0..3), time(), created_from, revision).prop_map(
        |(repository, tag, digest, platforms, created, created_from, revision)| {
            LockedImage::new(repository, tag, digest, created, created_from)
                .with_platforms(platforms)
                .with_revision(revision)
        },
    )
}

fn kind() -> impl Strategy<Value = KindName> {
    prop_oneof!["[a-z][a-z0-9-]{0,8}", "(no|null|true|off|y|n|yes)"].prop_map(|text| text.parse().unwrap())
}

fn service() -> impl Strategy<Value = Service> {
    let api = vec((kind(), path(), digest()).prop_map(|(kind, path, digest)| ApiFile::new(kind, path, digest)), 0..3);
    let metadata = (line(), api).prop_map(|(version, api)| {
        let mut metadata = LockedMetadata::new(version);
        metadata.api = api;
        metadata
    });
    let content = prop_oneof![image().prop_map(Content::Image), Just(Content::Configuration)];
    let origin = prop_oneof![Just(Origin::Resolved), Just(Origin::Migrated)];
    (path(), url(), commit(), content, option::of(metadata), origin).prop_map(
        |(path, url, commit, content, metadata, origin)| {
            let mut service = Service::new(path, GitSource::new(url, commit), content);
            service.metadata = metadata;
            service.origin = origin;
            service
        },
    )
}

fn third_party() -> impl Strategy<Value = ThirdParty> {
    let chart = ("(oci|https)://[a-z]{1,8}(/[a-z0-9_~.+-]{3,8}){1,3}", "[0-9][0-9.e_+-]{0,8}", digest()).prop_map(
        |(reference, version, digest)| {
            let version = ChartVersion::try_from(version).unwrap();
            ThirdPartySource::Chart(LockedChart::new(reference.parse().unwrap(), version, digest))
        },
    );
    (chart, btree_map(image_repository(), digest(), 0..3)).prop_map(|(source, images)| {
        let mut entry = ThirdParty::new(source);
        entry.images = images;
        entry
    })
}

fn exception() -> impl Strategy<Value = Exception> {
    (kind(), line(), line(), line(), time())
        .prop_map(|(kind, subject, reason, owner, time)| Exception::new(kind, subject, reason, owner, time.date()))
}

/// Any consistent lock; parts that contradict each other are given up.
fn lock() -> impl Strategy<Value = Lock> {
    let source = (url(), option::of(1..=(1_u64 << 53) - 1), commit(), commit(), hex(40)).prop_map(
        |(repository, pull_request, head, base, tree)| {
            let mut source = Source::new(repository, head, base, tree.parse().unwrap());
            source.pull_request = pull_request;
            source
        },
    );
    let services = btree_map(name().prop_map(|name| name.parse().unwrap()), service(), 0..5);
    let third_party = btree_map(name().prop_map(|name| name.parse().unwrap()), third_party(), 0..3);
    (source, services, third_party, vec(exception(), 0..3)).prop_filter_map(
        "parts that contradict each other",
        |(source, services, third_party, exceptions)| {
            let mut parts = LockParts::new(source).with_services(services);
            parts.third_party = third_party;
            parts.exceptions = exceptions;
            Lock::new(parts).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same_lock(lock in lock()) {
        let text = lock.to_yaml();
        let again = match Lock::parse(text.as_bytes(), "lock.yaml") {
            Ok(again) => again,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        prop_assert_eq!(&again, &lock);
        prop_assert_eq!(again.to_yaml(), text);
        prop_assert!(diff(&lock, &again).is_empty());
    }

    #[test]
    fn t39_another_reader_sees_the_same_strings(lock in lock()) {
        // Without any option: this reader takes `no`, `0777` and the like for something else than a string.
        let text = lock.to_yaml();
        let other: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        prop_assert_eq!(other, serde_json::to_value(&lock).unwrap(), "{}", text);
    }

    #[test]
    fn p4_every_lock_fits_the_schema(lock in lock()) {
        static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
            std::sync::LazyLock::new(|| jsonschema::validator_for(&lock_model::lock_schema()).unwrap());
        let json = serde_json::to_value(&lock).unwrap();
        let errors: Vec<String> = SCHEMA.iter_errors(&json).map(|error| format!("{error} at {}", error.instance_path())).collect();
        prop_assert!(errors.is_empty(), "{:#?}\n{}", errors, lock.to_yaml());
    }

    #[test]
    fn ids_differ_exactly_when_something_pinned_does(one in lock(), other in lock()) {
        let difference = diff(&one, &other);
        prop_assert_eq!(difference.is_pinned(), one.id() != other.id());
    }

    #[test]
    fn t39_no_text_makes_the_reader_panic(text in "(version: 1\n)?[ -~\n]{0,200}") {
        prop_assert!(Lock::parse(text.as_bytes(), "noise.yaml").is_err());
    }

    #[test]
    fn t39_no_change_of_a_byte_is_overlooked(at in 0..1000_usize, byte in any::<u8>()) {
        let golden = include_bytes!("../fixtures/valid/golden.yaml");
        let mut text = golden.to_vec();
        text[at % golden.len()] = byte;
        match Lock::parse(&text, "golden.yaml") {
            Ok(lock) => prop_assert_eq!(lock.to_yaml().into_bytes(), text),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn an_empty_map_is_not_written() {
    let mut parts = crate::sample::golden_parts();
    parts.services = BTreeMap::new();
    parts.third_party = BTreeMap::new();
    let text = Lock::new(parts).unwrap().to_yaml();
    assert!(!text.contains("services") && !text.contains("third_party") && !text.contains("exceptions"), "{text}");
}
