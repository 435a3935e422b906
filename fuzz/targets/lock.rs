//! A lock: never a panic, errors without control characters, and one text for each lock.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    match lock_model::Lock::parse(text, "release.lock.yaml") {
        Ok(lock) => {
            let written = lock.to_yaml();
            assert_eq!(written.as_bytes(), text, "only the canonical text is read");
            let again = lock_model::Lock::parse(written.as_bytes(), "again").expect("what is written can be read");
            assert_eq!(again.id(), lock.id());
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
        }
    }
});
