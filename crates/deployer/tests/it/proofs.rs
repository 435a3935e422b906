//! What a proof finds in a stored tree that is not what was locked.

use deployer::render::{RELEASE_FILE, RenderedTree, prove};
use deployer::{Finding, FindingKind, ForeignNamespace, ImagePin, NamespaceRule, Proof, ProofLevel, UnpinnedImageRule};

use crate::shop::{WEB, pin, shop, tree};
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
fn every_image_is_compared_with_the_digest_that_is_locked_for_its_service() {
    // Two services share a repository, each with an image of its own.
    let mut request = shop();
    let mut web = pin("cart", "2");
    web.tag = None;
    request.services[2].image = Some(web.clone());
    request.services[2].files[0].1 = WEB.replace("shop/web", "shop/cart").into_bytes();
    let tree = tree(&request);
    let proof = prove(&request, &tree);
    assert_eq!(findings(&proof), "");
    let images: Vec<&str> = proof.images.iter().map(|it| it.image.as_str()).collect();
    assert_eq!(images, [pin("cart", "1").to_string(), web.to_string()]);

    let swapped = |path: &'static str, from: &ImagePin, to: &ImagePin| {
        let mut tree = tree.clone();
        edit(path, &from.to_string(), &to.to_string())(&mut tree);
        prove(&request, &tree)
    };
    let proof = swapped(CART_FILE, &pin("cart", "1"), &web);
    assert_eq!(
        proof.findings.iter().map(|it| it.kind).collect::<Vec<_>>(),
        [FindingKind::NothingDeployed, FindingKind::Image],
        "{}",
        findings(&proof)
    );
    assert_eq!(proof.images.len(), 1);
}

#[test]
fn a_sidecar_of_another_service_is_compared_too_and_does_not_stand_for_the_service() {
    let sidecar =
        |image: &str| edit(CART_FILE, "        name: cart\n", &format!("        name: cart\n      - image: {image}\n"));
    let locked = pin("web", "2");
    let proof = proof_after(sidecar(&locked.to_string()));
    assert_eq!((findings(&proof).as_str(), proof.images.len()), ("", 3));
    let proof = proof_after(sidecar(&pin("web", "3").to_string()));
    assert!(findings(&proof).contains(&format!("locked is `{locked}`")), "{}", findings(&proof));
    // The locked image is mounted, and something else runs.
    let mounted =
        edit(CART_FILE, "      containers:\n      - image: ", "      volumes:\n      - image:\n          reference: ");
    let proof = proof_after(mounted);
    assert!(findings(&proof).contains("no container runs"), "{}", findings(&proof));
}

#[test]
fn what_is_stored_is_judged_as_it_is_although_the_rule_moves_objects() {
    let mut request = shop();
    request.namespace_rule.foreign = ForeignNamespace::Rewrite;
    let mut tree = tree(&request);
    edit(CART_FILE, "namespace: shop-staging", "namespace: shop-prod")(&mut tree);
    assert!(findings(&prove(&request, &tree)).contains("is `shop-prod`"));
    request.services[0].namespace_rule =
        Some(NamespaceRule { allow: ["shop-prod".to_owned()].into(), ..NamespaceRule::default() });
    assert_eq!(findings(&prove(&request, &tree)), "");
}

#[test]
fn b26_no_tree_and_an_empty_tree_prove_nothing() {
    let store = Store::new();
    assert_eq!(findings(&store.prove(&shop())), "branch `deploy/staging` holds no rendered tree");
    let proof = prove(&shop(), &RenderedTree::default());
    assert_eq!(proof.findings.len(), 4, "the record and three services: {}", findings(&proof));
}
