use super::*;

fn shop() -> RepositoryUrl {
    "https://forge.example/shop/shop".parse().unwrap()
}

#[test]
fn urls_become_web_addresses() {
    for (declared, expected) in [
        ("https://h.example/a/b.git", "https://h.example/a/b.git"),
        ("https://h.example:8443/a/b", "https://h.example:8443/a/b"),
        ("http://h.example/a/b", "http://h.example/a/b"),
        ("ssh://git@h.example/a/b.git", "https://h.example/a/b.git"),
        ("ssh://git@h.example:2222/a/b.git", "https://h.example/a/b.git"),
        ("git+ssh://h.example/a", "https://h.example/a"),
        ("git://h.example/a/b.git", "https://h.example/a/b.git"),
        ("git@h.example:a/b.git", "https://h.example/a/b.git"),
        ("h.example:/a/b.git", "https://h.example/a/b.git"),
        ("https://H.Example:443/A/b", "https://h.example/A/b"),
        ("http://H.example:80/a/b", "http://h.example/a/b"),
        ("https://h.example:80/a/b", "https://h.example:80/a/b"),
        ("https://token@h.example/a/b", "https://h.example/a/b"),
        ("https://shop@dev.azure.com/shop/My%20Shop/_git/cart", "https://dev.azure.com/shop/My%20Shop/_git/cart"),
        ("git@ssh.dev.azure.com:v3/shop/My%20Shop/cart", "https://dev.azure.com/shop/My%20Shop/_git/cart"),
        ("ssh://git@ssh.dev.azure.com:22/v3/shop/P/cart", "https://dev.azure.com/shop/P/_git/cart"),
        ("shop@vs-ssh.visualstudio.com:v3/shop/P/cart", "https://shop.visualstudio.com/P/_git/cart"),
        ("https://h.example/R%26D/C%2b%2b/caf%C3%A9", "https://h.example/R%26D/C%2B%2B/caf\u{e9}"),
        ("[git@h.example:2222]:a/b.git", "https://h.example/a/b.git"),
        ("[h.example:2222]:/a/b.git", "https://h.example/a/b.git"),
        ("[git@h.example]:a", "https://h.example/a"),
        ("git@[h.example:2222]:a/b.git", "https://h.example/a/b.git"),
        ("[2001:DB8::1]:a/b", "https://[2001:db8::1]/a/b"),
        ("git@[::1]:a/b", "https://[::1]/a/b"),
        ("ssh://git@[::1]:22/a/b", "https://[::1]/a/b"),
        ("https://[0:0::1]:8443/a", "https://[::1]:8443/a"),
        ("../cart.git", "https://forge.example/shop/cart.git"),
        ("../cart/", "https://forge.example/shop/cart"),
        ("./cart", "https://forge.example/shop/shop/cart"),
        (".././../other/cart", "https://forge.example/other/cart"),
    ] {
        assert_eq!(lock_url(declared, &shop()).unwrap().as_str(), expected, "{declared}");
    }
}

#[test]
fn t9_hostile_urls_are_refused() {
    let long = format!("https://h/{}", "a".repeat(3000));
    for declared in [
        "",
        "-u./payload",
        "--upload-pack=touch x",
        "ext::sh -c touch% canary",
        "ext::sh",
        "fd::17",
        "foo::https://h/a",
        "https:///host",
        "https://",
        "https://h",
        "https://h/a%0ahost=evil",
        "https://h/a\nb",
        "https://h/a\r",
        "https://h/a b",
        "https://h/a?x=y",
        "https://h/a#b",
        "https://h\\@evil/a",
        "https://h/../../a",
        "https://user:secret@h/a",
        "https://h/a%",
        "https://h/a%2",
        "https://h/%zz",
        "https://h/%2e%2e/a",
        "https://h/%41",
        "https://h/a%2fb",
        "https://h/a%5cb",
        "https://h/a%2520b",
        // Decoded, git would take `evil.example` for the host.
        "ssh://git@h.example/%40%5Bevil.example%5D:22/a",
        "ssh://git@h.example/@[evil.example]:22/a",
        "git@h.example:a@[evil.example]:b",
        "git@h@[evil.example]:b",
        "[git@[::1]:22]:a",
        "git@[a@h:22]:a",
        "git@[-oProxyCommand=canary]:a",
        "https://h/%e2%80%ae",
        "https://h/%c3%28",
        "https://h/%c3",
        "https://h/%ff",
        "https://h%20/a",
        "https://us%0aer@h/a",
        "https://@h/a",
        "https://h:/a",
        "https://h:+1/a",
        "https://h:65536/a",
        "https://h:1:2/a",
        "https://[::1/a",
        "https://[::g]/a",
        "https://[h]/a",
        "ssh://git:secret@h/a",
        "ssh://-oProxyCommand=canary/a",
        "ssh://-x@h/a",
        "-oProxyCommand=canary:a",
        "git@-oProxyCommand=canary:a",
        "h:-a",
        "[h:22:a",
        "[h:22]a",
        "[]:a",
        "[-oProxyCommand=canary]:a",
        "[git@h:22]:-a",
        "a@[b@[::1]]:c",
        "ftp://h/a",
        "file:///a/b",
        "/a/b",
        "a/b",
        "C:\\a",
        "https://h/\u{202e}a",
        "../../../evil.example/a",
        "../../../../x",
        "../../../../../../x",
        "../..",
        long.as_str(),
    ] {
        let refused = lock_url(declared, &shop());
        let error = refused.expect_err(declared);
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
        if !is_relative(declared) && declared != "https://h" {
            assert!(
                fetch_url(declared, "https://forge.example/shop/shop").is_err() || lock_url(declared, &shop()).is_err(),
                "{declared}"
            );
        }
    }
}

#[test]
fn t49_no_error_shows_credentials() {
    let shop = shop();
    for declared in [
        "https://h/a/b.git?token=S3CRET",
        "https://bob:S3CRET@h/a/b%20c.git",
        "https://bob:S3CRET@h",
        "https://S3CRET@h",
        "https://bob:pa/S3CRET@h/a/b",
        "ftp://bob:S3CRET@h/x",
        "file://bob:S3CRET@h/x",
        "HTTPS://bob:S3CRET@h/a/b",
        "ext::https://bob:S3CRET@h/x",
        "bob:S3CRET@h:a/b",
        "//bob:S3CRET@h/a/b",
        "ssh://bob:S3CRET@h",
        "git://bob:S3CRET@h/a",
        "S3CRET::https://h/a@b",
        "../a.git?token=S3CRET",
        "../../../../bob:S3CRET@h/x",
        "https://bob:pa S3CRET@h/a/b",
        "-bob:S3CRET@h",
    ] {
        for refused in [lock_url(declared, &shop).map(drop), fetch_url(declared, "https://h.example/a").map(drop)] {
            if let Err(error) = refused {
                let text = format!("{error} {error:?} {}", error.hint());
                assert!(!text.contains("S3CRET@") && !text.contains("=S3CRET"), "{declared}: {text}");
            }
        }
        assert!(lock_url(declared, &shop).is_err(), "{declared}");
    }
    let base = "https://bob:S3CRET@h/a";
    let error = fetch_url("../../../x", base).unwrap_err().to_string();
    assert!(!error.contains("S3CRET"), "{error}");
}

#[test]
fn t8_where_git_is_led_is_compared_without_its_credentials() {
    for (address, expected) in [
        ("https://x-access-token:gh%2F%0a@github.com/shop/cart", Some("https://github.com/shop/cart")),
        ("https://mirror.example:8443/github/shop/cart", Some("https://mirror.example:8443/github/shop/cart")),
        ("git@github.com:shop/cart", Some("https://github.com/shop/cart")),
        ("ssh://git:x@github.com/shop/cart", Some("https://github.com/shop/cart")),
        ("file:///srv/cart", None),
        ("ext::sh -c canary", None),
    ] {
        let source = source_url(address);
        assert_eq!(source.ok().as_ref().map(RepositoryUrl::as_str), expected, "{address}");
    }
}

#[test]
fn fetching_uses_the_real_remote() {
    for (declared, remote, expected) in [
        ("../cart.git", "/srv/git/shop.git", "/srv/git/cart.git"),
        ("../cart.git", "/srv/git/shop.git/", "/srv/git/cart.git"),
        ("../cart.git", "git@h.example:shop/shop.git", "git@h.example:shop/cart.git"),
        ("../cart.git", "git@h.example:shop.git", "git@h.example:cart.git"),
        ("../cart.git", "ssh://git@h.example:22/shop/shop", "ssh://git@h.example:22/shop/cart.git"),
        ("../cart.git", "[git@h.example:2222]:shop/shop.git", "[git@h.example:2222]:shop/cart.git"),
        ("../cart.git", "[git@h.example:2222]:shop.git", "[git@h.example:2222]:cart.git"),
        ("../cart.git", "git@[::1]:shop/shop.git", "git@[::1]:shop/cart.git"),
        (
            "../cart",
            "https://shop@dev.azure.com/shop/My%20Shop/_git/shop",
            "https://shop@dev.azure.com/shop/My%20Shop/_git/cart",
        ),
        ("../cart", "git@ssh.dev.azure.com:v3/shop/P/shop", "git@ssh.dev.azure.com:v3/shop/P/cart"),
        ("https://me@h.example/a", "/srv/git/shop.git", "https://me@h.example/a"),
        ("../cart.git", "https://user@h.example/shop/shop", "https://user@h.example/shop/cart.git"),
        ("../../x/cart.git", "file:///srv/git/shop.git", "file:///srv/x/cart.git"),
        ("../cart.git", "ssh://git@[::1]:22/shop/shop", "ssh://git@[::1]:22/shop/cart.git"),
        ("https://h.example/a", "/srv/git/shop.git", "https://h.example/a"),
        ("git@h.example:a/b", "/srv/git/shop.git", "git@h.example:a/b"),
        ("git://h.example/a", "/srv/git/shop.git", "https://h.example/a"),
    ] {
        assert_eq!(fetch_url(declared, remote).unwrap(), expected, "{declared} {remote}");
    }
    for (declared, remote) in [
        ("../cart.git", "../shop.git"),
        ("../cart.git", "shop.git"),
        ("../cart.git", ""),
        ("../cart.git", "-x"),
        ("../../../../cart.git", "/srv/shop.git"),
        ("../../../evil/a", "https://h/shop/shop"),
        ("../../evil:a", "h.example:shop"),
        ("../../../x", "[git@h.example:2222]:shop/shop"),
        ("../../x", "[git@h.example:2222]:shop"),
        ("../../x", "git@[::1]:shop"),
        // After the join it would be the helper `git-remote-ext`.
        ("../:sh -c x", "ext:shop"),
        ("../:x", "ext:shop"),
        ("../cart::", "git@h.example:shop/shop"),
        ("/srv/git/cart.git", "/srv/git/shop.git"),
        ("file:///srv/git/cart.git", "/srv/git/shop.git"),
    ] {
        assert!(fetch_url(declared, remote).is_err(), "{declared} {remote}");
    }
}
