//! URLs mean what git says they mean: relative ones to `git submodule`, those by ssh to the ssh that git starts.

use std::os::unix::fs::PermissionsExt as _;

use git::{Git, GitOptions, InitOptions};
use lock_gen::{fetch_url, lock_url};
use lock_model::RepositoryUrl;

use crate::world::{World, commit, file, git_program, gitlink, id, section};

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
        "[git@forge.example:2222]:shop/shop.git",
        "[git@forge.example:2222]:org/shop/shop",
        "git@[2001:db8::1]:shop/shop.git",
        "ssh://git@[2001:db8::1]:2222/shop/shop.git",
        "https://shop@dev.azure.com/shop/My%20Shop/_git/shop",
        "git@ssh.dev.azure.com:v3/shop/My%20Shop/shop",
        "https://FORGE.example:443/shop/shop",
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
            let normal = |url: &str| url.replace("FORGE.example:443", "forge.example");
            if let Ok(repository) = RepositoryUrl::try_from(remote) {
                match lock_url(declared, &repository) {
                    Ok(ours) => assert_eq!(ours.as_str(), normal(&theirs), "{remote} {declared}"),
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

#[test]
fn t8_t9_the_host_in_the_lock_is_the_one_that_git_asks() {
    let world = World::new();
    let (log, ssh) = (world.path("log"), world.path("ssh"));
    std::fs::write(&ssh, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\nexit 1\n", log.display())).unwrap();
    std::fs::set_permissions(&ssh, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = ssh.into_os_string();
    command.push(" --");
    let options = GitOptions { ssh_command: command, ..world.options() };
    let git = Git::init(&git_program(), &world.path("own"), &InitOptions::default(), options).unwrap();
    let base = "https://forge.example/shop/shop".parse().unwrap();
    let authorities = [
        "h.example",
        "git@h.example",
        "git@H.example:2222",
        "git@[::1]",
        "[2001:db8::1]",
        "git@[::1]:22",
        "[git@h.example:2222]",
        "[h.example:22]",
        "[git@h.example]",
        "git@h@[evil.example]",
        "[git@[::1]:22]",
        "git@[h.example:22]",
        "h.example]evil.example",
    ];
    let paths = [
        "shop/cart.git",
        "My%20Shop/cart",
        "R%26D/cart",
        "caf%C3%A9/cart",
        "%40%5Bevil.example%5D:22/cart",
        "%40evil.example/cart",
        "@[evil.example]:22/cart",
        "a]:b/cart",
        "[a]/cart",
        "~me/cart",
    ];
    let mut compared = 0;
    for authority in authorities {
        for path in paths {
            for address in
                [format!("ssh://{authority}/{path}"), format!("{authority}:{path}"), format!("{authority}:/{path}")]
            {
                let Ok(url) = lock_url(&address, &base) else { continue };
                assert_eq!(fetch_url(&address, "/srv/shop.git").unwrap(), address);
                drop(std::fs::remove_file(&log));
                git.ls_remote(&address, &[]).unwrap_err();
                let asked = std::fs::read_to_string(&log).unwrap_or_else(|_| panic!("git starts no ssh for {address}"));
                // `[-p PORT] [USER@]HOST git-upload-pack 'PATH'`
                let words: Vec<&str> = asked.lines().collect();
                let host = words.iter().rev().nth(1).unwrap().rsplit('@').next().unwrap().to_ascii_lowercase();
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                assert!(url.as_str().starts_with(&format!("https://{host}/")), "{address}: {url}, but {asked}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "{compared} addresses were accepted");
}
