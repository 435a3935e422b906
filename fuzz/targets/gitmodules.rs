//! `.gitmodules`: never a panic, and no unsafe name or URL in the result.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lock_gen::{Gitmodules, fetch_url, lock_url};
use lock_model::TreePath;

fuzz_target!(|text: &[u8]| {
    let read = Gitmodules::parse(text);
    let shop = "https://forge.example/shop/shop".parse().expect("it is a plain address");
    for declared in &read.declared {
        TreePath::try_from(declared.name.as_str()).expect("a name in the result is a valid path");
        let Some(url) = &declared.url else { continue };
        if let Ok(address) = lock_url(url, &shop) {
            let relative = url.starts_with("./") || url.starts_with("../");
            assert!(!relative || address.as_str().starts_with("https://forge.example/"), "{url:?} leaves the host");
            assert!(!address.as_str().contains(char::is_control));
        }
        for remote in ["git@forge.example:shop/shop.git", "ext:shop", "ssh://git@[::1]/shop/shop", "/srv/git/shop.git"]
        {
            if let Ok(fetched) = fetch_url(url, remote) {
                assert!(!fetched.starts_with('-') && !fetched.contains(char::is_control), "{fetched:?}");
                let helper = fetched.split_once("::").is_some_and(|(name, _)| !name.contains(['/', '@', ':']));
                assert!(!helper, "{fetched:?} names a program");
            }
        }
    }
    for finding in read.problems.iter().chain(&read.warnings) {
        assert!(!finding.to_string().contains(char::is_control), "{finding:?}");
    }
});
