//! Relative URLs mean what `git submodule` says they mean.

use lock_gen::{fetch_url, lock_url};
use lock_model::RepositoryUrl;

use crate::world::{World, commit, file, gitlink, id, section};

const DECLARED: &[&str] = &[
    "../cart.git",
    "../cart",
    "./cart.git",
    "../../other/cart.git",
    ".././../other/./cart.git",
    "../cart/",
    "../a/../b",
];

#[test]
fn relative_urls_equal_those_of_git_submodule() {
    let world = World::new();
    let git = world.work("shop");
    let mut gitmodules = String::new();
    let mut changes = Vec::new();
    for (number, declared) in DECLARED.iter().enumerate() {
        let name = format!("s{number}");
        gitmodules.push_str(&section(&name, &name, declared));
        changes.push(gitlink(&name, &id("1")));
    }
    changes.push(file(".gitmodules", gitmodules));
    commit(&git, &changes);
    let _done = git.checked(["reset", "--quiet", "--hard", "main"]).unwrap();
    let _done = git.checked(["remote", "add", "origin", "set-by-each-case"]).unwrap();

    for remote in [
        "https://forge.example/shop/shop",
        "https://forge.example/shop/shop.git",
        "https://forge.example/shop/shop/",
        "https://forge.example:8443/deep/er/shop/shop.git",
        "http://forge.example/shop/shop",
        "ssh://git@forge.example:2222/shop/shop.git",
        "git@forge.example:shop/shop.git",
        "git@forge.example:/shop/shop.git",
        "git@forge.example:org/shop/shop.git",
        "/srv/git/shop.git",
        "/srv/git/shop/",
        "file:///srv/git/shop.git",
    ] {
        let _done = git.checked(["config", "remote.origin.url", remote]).unwrap();
        let _done = git.checked(["submodule", "--quiet", "init"]).unwrap();
        for (number, declared) in DECLARED.iter().enumerate() {
            let key = format!("submodule.s{number}.url");
            let theirs = git.text(["config", "--get", key.as_str()]).unwrap();
            // So that the next `init` writes it again.
            let _done = git.checked(["config", "--unset", key.as_str()]).unwrap();
            assert_eq!(fetch_url(declared, remote).unwrap(), theirs, "{remote} {declared}");
            if let Ok(repository) = RepositoryUrl::try_from(remote) {
                match lock_url(declared, &repository) {
                    Ok(ours) => assert_eq!(ours.as_str(), theirs, "{remote} {declared}"),
                    // The lock has one spelling of a URL: no `..` inside.
                    Err(_) => assert!(theirs.contains("/../") || theirs.contains("/./"), "{remote} {declared}"),
                }
            }
        }
    }
}

#[test]
fn with_and_without_git_suffix_the_answer_is_the_same() {
    let with: RepositoryUrl = "https://forge.example/shop/shop.git".parse().unwrap();
    let without: RepositoryUrl = "https://forge.example/shop/shop".parse().unwrap();
    for declared in ["../cart.git", "../../other/cart"] {
        assert_eq!(lock_url(declared, &with).unwrap(), lock_url(declared, &without).unwrap());
    }
}
