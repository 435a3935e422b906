//! A manifest or an index, served as any media type: never a panic, and no control character in a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use registry::fuzzing::document;
use registry::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

fuzz_target!(|bytes: &[u8]| {
    for served_as in [None, Some(OCI_INDEX), Some(OCI_MANIFEST), Some(DOCKER_LIST), Some(DOCKER_MANIFEST)] {
        if let Err(refusal) = document(bytes, served_as) {
            assert!(!refusal.contains(char::is_control), "{refusal:?}");
        }
    }
    // No document is an index for one reader and a manifest for another.
    assert!(document(bytes, Some(OCI_INDEX)).is_err() || document(bytes, Some(OCI_MANIFEST)).is_err());
});
