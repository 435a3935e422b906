//! An OCI layout folder: never a panic, and no blob with another digest than the one asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lock_model::Digest;
use registry::layout::LayoutReader;

fuzz_target!(|index: &[u8]| {
    let folder = tempfile::TempDir::new().expect("there is room for a few files");
    std::fs::write(folder.path().join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).expect("it is our folder");
    std::fs::write(folder.path().join("index.json"), index).expect("it is our folder");
    let Ok(reader) = LayoutReader::open(folder.path()) else { return };
    assert_eq!(reader.entries().keys().filter(|name| name.contains(char::is_control)).count(), 0);
    assert_eq!(reader.blob(&Digest::of(index), 1 << 20).ok().flatten(), None, "no blob is there");
});
