use lock_gen::{AssembleProblem, LockDraft, LockDrift, Scan, Submodule, lock_drift};
use lock_model::{
    ApiFile, Content, CreatedFrom, ErrorClass, Exception, Lock, LockedImage, LockedManifests, LockedMetadata, Origin,
    Revision, Service, ServiceName, Source, ThirdParty, ThirdPartySource, Timestamp, TreePath,
};

use crate::world::{World, gitlink, id, scan, shop, tree};

fn source() -> Source {
    Source::new(shop(), id("a"), id("b"), "c".repeat(40).parse().unwrap()).with_pull_request(7)
}

fn path(name: &str) -> TreePath {
    format!("services/{name}").parse().unwrap()
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// A tree with submodules, each with the digit of its commit.
fn scanned(submodules: &[(&str, &str)]) -> Scan {
    let mut scan = Scan::default();
    scan.submodules.extend(submodules.iter().map(|(name, digit)| {
        let url = format!("https://forge.example/shop/{name}.git").parse().unwrap();
        Submodule::new(*name, path(name), url, id(digit))
    }));
    scan
}

fn image(digit: &str) -> Content {
    let digest: lock_model::Digest = format!("sha256:{}", digit.repeat(64)).parse().unwrap();
    let image = LockedImage::new(
        "registry.example/shop/cart".parse().unwrap(),
        "main".parse().unwrap(),
        digest.clone(),
        Timestamp::from_unix_seconds(1_700_000_000),
        CreatedFrom::Config,
    );
    let platforms = [("linux/amd64".parse().unwrap(), digest)];
    Content::Image(image.with_platforms(platforms).with_revision(Revision::SelfAsserted))
}

fn exception(subject: &str) -> Exception {
    Exception::new(
        "not-locked".parse().unwrap(),
        subject.parse().unwrap(),
        "has no image yet".parse().unwrap(),
        "ana".parse().unwrap(),
        "2026-01-31".parse().unwrap(),
    )
}

/// The lock of one service that has its image.
fn earlier(service: &str, digit: &str) -> Service {
    let mut draft = LockDraft::new(source());
    draft.add(name(service), path(service), Content::Configuration, None);
    let lock = draft.assemble(&scanned(&[(service, digit)])).unwrap();
    lock.services()[&name(service)].clone()
}

fn problems(draft: LockDraft, scan: &Scan) -> Vec<String> {
    let error = draft.assemble(scan).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Invalid);
    let texts: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(error.to_string(), texts.join("\n"));
    texts
}

#[test]
fn p8_an_assembled_lock_belongs_to_its_tree() {
    let scan = scanned(&[("cart", "1"), ("kept", "2"), ("later", "3"), ("web", "4")]);
    let digest: lock_model::Digest = format!("sha256:{}", "9".repeat(64)).parse().unwrap();
    let mut metadata = LockedMetadata::new("1.2".parse().unwrap());
    metadata.api.push(ApiFile::new("openapi".parse().unwrap(), "api.yaml".parse().unwrap(), digest.clone()));
    let mut draft = LockDraft::new(source());
    draft.add(name("shop-cart"), path("cart"), image("5"), Some(metadata.clone()));
    draft.add(name("web"), path("web"), Content::Configuration, None);
    draft.keep(name("kept"), earlier("kept", "2"));
    draft.leave_out(path("later"), exception("services/later"));
    let manifests = LockedManifests::new(name("web"), "db.yaml".parse().unwrap(), digest);
    let third_party = ThirdParty::new(ThirdPartySource::Manifests(manifests));
    draft.third_party("db".parse().unwrap(), third_party.clone());
    let lock: Lock = draft.assemble(&scan).unwrap();

    assert_eq!(*lock.source(), source());
    let cart = &lock.services()[&name("shop-cart")];
    assert_eq!((&cart.path, &cart.git.url), (&path("cart"), &scan.submodules[0].url));
    assert_eq!((&cart.content, cart.metadata.as_ref(), cart.origin), (&image("5"), Some(&metadata), Origin::Resolved));
    assert_eq!(lock.services()[&name("kept")], earlier("kept", "2"));
    assert_eq!(lock.services()[&name("web")].content, Content::Configuration);
    assert_eq!(lock.services().len(), 3);
    assert_eq!(lock.exceptions(), [exception("services/later")]);
    assert_eq!(lock.third_party()["db"], third_party);
    // Only what was left out on purpose is drift.
    assert_eq!(lock_drift(&lock, &scan), [LockDrift::NotInLock { path: path("later"), tree: id("3") }]);
}

#[test]
fn the_origin_is_that_of_new_entries_only() {
    let mut draft = LockDraft::new(source()).with_origin(Origin::Migrated);
    draft.add(name("cart"), path("cart"), image("5"), None);
    draft.keep(name("kept"), earlier("kept", "2"));
    let lock = draft.assemble(&scanned(&[("cart", "1"), ("kept", "2")])).unwrap();
    let origins: Vec<Origin> = lock.services().values().map(|service| service.origin).collect();
    assert_eq!(origins, [Origin::Migrated, Origin::Resolved]);
}

#[test]
fn all_problems_of_a_draft_are_reported_at_once() {
    let scan = scanned(&[("cart", "1"), ("forgotten", "2"), ("later", "3"), ("stale", "4"), ("twin", "5")]);
    let mut draft = LockDraft::new(source());
    draft.add(name("cart"), path("cart"), image("5"), None);
    draft.add(name("cart"), path("twin"), image("5"), None);
    draft.add(name("later"), path("later"), image("6"), None);
    draft.add(name("gone"), path("gone"), image("5"), None);
    draft.leave_out(path("later"), exception("services/later"));
    draft.leave_out(path("nowhere"), exception("services/nowhere"));
    let mut stale = earlier("stale", "8");
    stale.git.url = "https://forge.example/fork/stale.git".parse().unwrap();
    draft.keep(name("stale"), stale);
    draft.keep(name("vanished"), earlier("vanished", "7"));
    let digest = "6".repeat(64);
    assert_eq!(
        problems(draft, &scan),
        [
            "`services/twin` has the name of another service, `cart`",
            "`services/later` is left out, and locked as `later`",
            "`gone` is locked, but `services/gone` is no submodule of the tree",
            "`services/nowhere` is left out, but is no submodule of the tree",
            "`services/forgotten` is a submodule at 222222222222, but not locked",
            "`stale` is locked at 888888888888, but `services/stale` is at 444444444444",
            "`stale` is locked from `https://forge.example/fork/stale.git`, but `services/stale` comes from \
             `https://forge.example/shop/stale.git`",
            "`vanished` is locked, but `services/vanished` is no submodule of the tree",
            &format!(
                "`services.later.image.digest`: `registry.example/shop/cart:main` has another digest in `cart`: \
                 `sha256:{}`",
                digest.replace('6', "5")
            ),
        ]
    );
}

#[test]
fn one_problem_is_enough() {
    let scan = scanned(&[("cart", "1"), ("web", "2")]);
    let cart = || {
        let mut draft = LockDraft::new(source());
        draft.add(name("cart"), path("cart"), image("5"), None);
        draft
    };
    assert_eq!(problems(cart(), &scan), ["`services/web` is a submodule at 222222222222, but not locked"]);
    let mut draft = cart();
    draft.leave_out(path("web"), exception("services/web"));
    draft.leave_out(path("web"), exception("services/web"));
    assert_eq!(problems(draft, &scan), ["`exceptions.1.subject`: `services/web` is excepted twice as `not-locked`"]);
}

#[test]
fn a_tree_with_problems_has_no_lock() {
    let world = World::new();
    let git = world.bare("shop.git");
    let broken = scan(&git, &tree(&git, &[gitlink("services/cart", &id("1"))]));
    let mut draft = LockDraft::new(source());
    draft.add(name("cart"), path("cart"), image("5"), None);
    draft.leave_out(path("cart"), exception("services/cart"));
    let error = draft.assemble(&broken).unwrap_err();
    // What the problem hides is not reported as missing as well.
    let [AssembleProblem::Drift(LockDrift::Tree(finding))] = error.problems() else { panic!("{error}") };
    assert_eq!(*finding, broken.problems[0]);
}
