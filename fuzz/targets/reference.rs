//! Identifiers from text: never a panic, and a value shows as the text that it was parsed from.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lock_model::{Digest, ImageReference, ImageRepository, Platform, RepositoryUrl, Tag, TreePath};

/// A valid text parses to a value that shows as the same text.
fn stays<T>(text: &str)
where
    T: for<'a> TryFrom<&'a str> + ToString,
{
    if let Ok(value) = T::try_from(text) {
        assert_eq!(value.to_string(), text);
    }
}

fuzz_target!(|text: &str| {
    stays::<ImageRepository>(text);
    stays::<Tag>(text);
    stays::<Digest>(text);
    stays::<Platform>(text);
    stays::<RepositoryUrl>(text);
    stays::<TreePath>(text);
    if let Ok(repository) = ImageRepository::normalize(text) {
        let again = ImageRepository::normalize(&repository.to_string()).expect("a normalised name is valid");
        assert_eq!(again, repository);
        assert_eq!(format!("{}/{}", repository.host(), repository.path()), repository.to_string());
    }
    if let Ok(reference) = text.parse::<ImageReference>() {
        let full = reference.to_string();
        assert_eq!(full.parse::<ImageReference>().expect("the full form is a reference"), reference);
        assert_eq!(ImageReference::parse_qualified(&full).expect("the full form names its host"), reference);
    }
});
