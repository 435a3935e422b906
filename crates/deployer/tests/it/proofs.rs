//! What a proof finds in a stored tree that is not what was locked.

use deployer::render::{RELEASE_FILE, RenderedTree, prove};
use deployer::{Finding, Proof, ProofLevel, UnpinnedImageRule};

use crate::shop::{pin, shop, tree};
use crate::stores::Store;

const CART_FILE: &str = "services/cart/cart.yaml";

type Manipulation = Box<dyn FnOnce(&mut RenderedTree)>;

fn proof_after(change: impl FnOnce(&mut RenderedTree)) -> Proof {
    let mut tree = tree(&shop());
    change(&mut tree);
    prove(&shop(), &tree)
}

fn edit(path: &'static str, from: &str, to: &str) -> impl FnOnce(&mut RenderedTree) + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |tree| {
        let text = String::from_utf8(tree.files[path].clone()).unwrap();
        assert!(text.contains(&from), "{text}");
        tree.files.insert(path.to_owned(), text.replace(&from, &to).into_bytes());
    }
}

fn findings(proof: &Proof) -> String {
    assert_eq!(proof.is_proven(), proof.findings.is_empty());
    proof.findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_was_rendered_is_proven_and_every_locked_image_is_named() {
    let proof = proof_after(|_| ());
    assert_eq!(findings(&proof), "");
    assert_eq!(proof.level, ProofLevel::Stored);
    let images: Vec<&str> = proof.images.iter().map(|it| it.image.as_str()).collect();
    assert_eq!(images, [pin("cart", "1").to_string(), pin("web", "2").to_string()]);
    let json = serde_json::to_value(&proof).unwrap();
    assert_eq!((&json["level"], &json["verdict"]), (&"stored".into(), &"proven".into()));
}

#[test]
fn every_manipulation_of_the_stored_tree_is_found() {
    let digest = "1".repeat(64);
    let cases: Vec<(Manipulation, &str)> = vec![
        (
            Box::new(edit(CART_FILE, &digest, &"e".repeat(64))),
            "`services/cart/cart.yaml`: `spec.template.spec.containers[0].image` of Deployment/cart is",
        ),
        (
            Box::new(edit(CART_FILE, &format!("@sha256:{digest}"), "")),
            "locked is `registry.example/shop/cart:main-1111111@",
        ),
        (Box::new(edit(CART_FILE, "containers:", "boxes:")), "`cart`: is deployed here, but no container runs"),
        (
            Box::new(edit(CART_FILE, "namespace: shop-staging", "namespace: shop-prod")),
            "is `shop-prod`, the environment's",
        ),
        (Box::new(edit(CART_FILE, "  namespace: shop-staging\n", "")), "Deployment/cart names no namespace"),
        (Box::new(edit(CART_FILE, "kind: Service", "kind: ClusterRole")), "ClusterRole/cart belongs to no namespace"),
        (Box::new(edit(CART_FILE, "kind: Service", "kind: [")), "not readable as YAML"),
        (Box::new(|tree| drop(tree.files.remove(CART_FILE))), "`cart`: is deployed here, but has no objects"),
        (Box::new(|tree| drop(tree.files.remove(RELEASE_FILE))), "nothing says which release this is"),
        (
            Box::new(edit(RELEASE_FILE, "release: sha256:aa", "release: sha256:bb")),
            "`release.yaml`: says release `sha256:bb",
        ),
        (
            Box::new(edit(RELEASE_FILE, "environment: staging", "environment: production")),
            "says environment `production`",
        ),
        (Box::new(edit(RELEASE_FILE, "lock: sha256:bb", "lock: sha256:cc")), "says lock `sha256:cc"),
        (
            Box::new(|tree| drop(tree.files.insert("services/ghost/x.yaml".to_owned(), Vec::new()))),
            "`services/ghost/x.yaml`: belongs to no service that is deployed here",
        ),
        (
            Box::new(|tree| drop(tree.files.insert("extra.yaml".to_owned(), Vec::new()))),
            "`extra.yaml`: belongs to no service",
        ),
        (Box::new(|tree| tree.irregular.push("services/cart/link".to_owned())), "is not a regular file"),
        (
            Box::new(|tree| {
                let bytes = tree.files[CART_FILE].clone();
                tree.files.insert("services/cart/copy.yaml".to_owned(), bytes);
            }),
            "Deployment/cart is there twice",
        ),
    ];
    for (change, expected) in cases {
        let proof = proof_after(change);
        assert!(findings(&proof).contains(expected), "expected {expected:?} in\n{}", findings(&proof));
    }
}

#[test]
fn t19_an_injected_sidecar_is_a_leftover_and_refused_by_rule() {
    let inject =
        || edit(CART_FILE, "        name: cart\n", "        name: cart\n      - image: evil.example/miner:1\n");
    let proof = proof_after(inject());
    assert_eq!(findings(&proof), "");
    assert_eq!(proof.unpinned_images[0].image, "evil.example/miner:1");
    let mut tree = tree(&shop());
    inject()(&mut tree);
    let mut strict = shop();
    strict.unpinned_images = UnpinnedImageRule::Refuse;
    assert!(findings(&prove(&strict, &tree)).contains("`evil.example/miner:1`, which the lock does not decide"));
}

#[test]
fn b26_no_tree_and_an_empty_tree_prove_nothing() {
    let store = Store::new();
    assert_eq!(findings(&store.prove(&shop())), "branch `deploy/staging` holds no rendered tree");
    let proof = prove(&shop(), &RenderedTree::default());
    assert_eq!(proof.findings.len(), 4, "the record and three services: {}", findings(&proof));
}
