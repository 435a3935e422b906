use test_support::{Repository, Sandbox};

const COMMIT: &str = "1111111111111111111111111111111111111111";

fn shop(sandbox: &Sandbox, name: &str) -> Repository {
    let shop = sandbox.repository(name);
    shop.write("README.md", "the shop\n").submodule("services/cart", "../cart.git", COMMIT);
    shop.write_executable("tests/system", "#!/bin/sh\n").symlink("latest", "README.md");
    shop.commit("the shop opens");
    shop
}

#[test]
fn two_runs_make_the_same_commits() {
    let (first, second) = (Sandbox::new(), Sandbox::new());
    assert_eq!(shop(&first, "a").head(), shop(&second, "b").head());
}

#[test]
fn a_submodule_is_a_gitlink_that_later_commits_keep() {
    let sandbox = Sandbox::new();
    let shop = shop(&sandbox, "shop");
    shop.write("README.md", "changed\n").commit("a change elsewhere");
    let tree = shop.git(&["ls-tree", "-r", "HEAD"]);
    assert!(tree.contains(&format!("160000 commit {COMMIT}\tservices/cart")), "{tree}");
    assert!(tree.contains("120000 blob"), "{tree}");
    assert!(tree.contains("100755 blob"), "{tree}");
    assert!(shop.read("HEAD", ".gitmodules").unwrap().contains("url = ../cart.git"));

    shop.remove("services/cart").commit("the cart leaves");
    assert!(!shop.git(&["ls-tree", "-r", "HEAD"]).contains("services/cart"));
}

#[test]
fn branches_are_merged_with_a_commit_and_pushed() {
    let sandbox = Sandbox::new();
    let (shop, server) = (shop(&sandbox, "shop"), sandbox.bare_repository("shop.git"));
    let base = shop.head();
    let head = shop.branch("dev").write("more", "").commit("more");
    let merge = shop.switch("main").merge("dev", "merge dev");
    assert_eq!(shop.git(&["rev-list", "--parents", "-1", "HEAD"]), format!("{merge} {base} {head}"));
    shop.git(&["push", "--quiet", server.path().to_str().unwrap(), "main"]);
    assert_eq!(server.rev("refs/heads/main"), merge);
    let clone = Repository::clone_from(server.path(), sandbox.join("clone"));
    assert_eq!(clone.tree("HEAD"), shop.tree("HEAD"));
    assert_eq!(clone.read("HEAD", "nowhere"), None);
}
