//! A file with logins of anybody: never a panic, and every problem can be shown on a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::fuzzing::docker_config;

fuzz_target!(|bytes: &[u8]| match docker_config(bytes) {
    Ok((places, logins)) => assert!(logins <= places.len()),
    Err(problems) => {
        assert!(!problems.is_empty());
        for problem in problems {
            assert!(!problem.contains(char::is_control), "{problem:?}");
        }
    }
});
