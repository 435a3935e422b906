//! A legacy lock: never a panic, and each service that is read names its commit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lock_model::LegacyLock;

fuzz_target!(|text: &[u8]| match LegacyLock::parse(text, "lock-pr-1.yml") {
    Ok(lock) => {
        assert!(!lock.services.is_empty());
        for service in lock.services.values() {
            assert!(service.tag.as_str().contains(service.commit.short(7)));
        }
    }
    Err(error) => {
        let shown = error.to_string();
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
});
