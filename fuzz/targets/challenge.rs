//! `WWW-Authenticate`: never a panic, and the parsed form parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::fuzzing::rewritten_challenges;

fuzz_target!(|headers: &[u8]| {
    let values: Vec<&[u8]> = headers.split(|byte| *byte == b'\n').collect();
    let once = rewritten_challenges(&values);
    assert_eq!(rewritten_challenges(&[once.as_bytes()]), once);
});
