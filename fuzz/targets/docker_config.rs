//! Docker's `config.json`: never a panic, and no control character in a problem.
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
