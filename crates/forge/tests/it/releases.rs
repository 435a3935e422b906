use forge::{ForgeErrorKind, NewAsset, NewRelease, ReleaseOutcome};
use lock_model::{Digest, ErrorClass};

use crate::shop::{Shop, at};

fn release(shop: &Shop) -> NewRelease {
    let asset = |name: &str, bytes: &[u8]| NewAsset { name: name.to_owned(), bytes: bytes.to_vec() };
    NewRelease {
        tag: "release-2025-11-20-6c1f90ab".try_into().unwrap(),
        commit: shop.rev("refs/heads/main"),
        message: "Release\n\nrelease: sha256:abc\n".to_owned(),
        assets: vec![asset("lock.yaml", b"version: 1\n"), asset("NOTES.md", b"# Notes\n")],
    }
}

fn refused(outcome: ReleaseOutcome) -> Vec<String> {
    match outcome {
        ReleaseOutcome::Refused { reasons } => reasons,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_release_is_an_annotated_tag_and_files() {
    let shop = Shop::new();
    let (robot, new) = (shop.forge("robot"), release(&shop));
    let made = match robot.create_release(&new, at(5)).unwrap() {
        ReleaseOutcome::Created(release) => release,
        other => panic!("{other:?}"),
    };
    assert_eq!((made.by.as_str(), made.at, &made.commit), ("robot", at(5), &new.commit));
    let names: Vec<_> = made.assets.iter().map(|asset| asset.name.as_str()).collect();
    assert_eq!(names, ["NOTES.md", "lock.yaml"]);
    assert_eq!(made.assets[1].digest, Digest::of(b"version: 1\n"));

    let tag = shop.bare.git(&["cat-file", "tag", new.tag.as_str()]);
    let expected = format!(
        "object {}\ntype commit\ntag {}\ntagger robot <robot@users.forge.invalid> {} +0000\n\nRelease\n\nrelease: \
         sha256:abc",
        new.commit,
        new.tag,
        at(5).as_unix_seconds()
    );
    assert_eq!(tag, expected);
    assert_eq!(robot.create_release(&new, at(6)).unwrap(), ReleaseOutcome::Exists(made.clone()), "f13");
    assert_eq!(robot.release(&new.tag).unwrap().as_ref(), Some(&made));
    assert_eq!(robot.releases().unwrap(), [made]);
    assert_eq!(robot.release_asset(&new.tag, "lock.yaml").unwrap().unwrap(), b"version: 1\n");
    assert_eq!(robot.release_asset(&new.tag, "other").unwrap(), None);
    assert_eq!(robot.release(&"none".try_into().unwrap()).unwrap(), None);
}

#[test]
fn a_release_never_changes() {
    let shop = Shop::new();
    let (robot, first) = (shop.forge("robot"), release(&shop));
    robot.create_release(&first, at(5)).unwrap();
    let tag = &first.tag;
    let head = shop.push_dev("x.txt", "x\n");
    let mut other = NewRelease { commit: head.clone(), ..first.clone() };
    other.assets.clear();
    let said = refused(robot.create_release(&other, at(6)).unwrap());
    assert_eq!(
        said,
        [
            format!("tag `{tag}` exists and names `{}`, not `{head}`", first.commit),
            format!("release `{tag}` has other files"),
        ]
    );
    let reworded = NewRelease { message: "Another text".to_owned(), ..first.clone() };
    assert!(refused(robot.create_release(&reworded, at(6)).unwrap()).len() == 2);
    assert_eq!(robot.releases().unwrap().len(), 1);

    std::fs::write(shop.file(&format!("releases/{tag}/assets/lock.yaml")), "changed").unwrap();
    let error = robot.release_asset(tag, "lock.yaml").unwrap_err();
    assert_eq!(error.kind(), ForgeErrorKind::Damaged, "{error}");
}

#[test]
fn what_cannot_be_a_release_is_refused() {
    let shop = Shop::new();
    let (robot, good) = (shop.forge("robot"), release(&shop));
    shop.bare.git(&["tag", "light", "main"]);
    let light = NewRelease { tag: "light".try_into().unwrap(), ..good.clone() };
    assert_eq!(refused(robot.create_release(&light, at(1)).unwrap()), ["tag `light` exists and is not annotated"]);
    let nowhere = NewRelease { commit: "9".repeat(40).as_str().try_into().unwrap(), ..good.clone() };
    let said = refused(robot.create_release(&nowhere, at(1)).unwrap());
    assert_eq!(said, [format!("there is no commit `{}`", "9".repeat(40))]);
    let said = refused(shop.forge("rita").create_release(&good, at(1)).unwrap());
    assert_eq!(said, ["`rita` has the role read, and this needs write"]);
    let mut twice = good.clone();
    twice.assets[1].name = "lock.yaml".to_owned();
    let error = robot.create_release(&twice, at(1)).unwrap_err();
    assert_eq!(error.to_string(), "asset `lock.yaml` is not acceptable: there are two of that name");
    let mut hostile = good;
    hostile.assets[0].name = "../lock.yaml".to_owned();
    assert_eq!(robot.create_release(&hostile, at(1)).unwrap_err().class(), ErrorClass::Invalid);
    assert!(robot.releases().unwrap().is_empty());
}

#[test]
fn f13_twenty_releases_at_once_are_one() {
    let shop = Shop::new();
    let new = release(&shop);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..20)
            .map(|n| {
                let (robot, new) = (shop.forge("robot"), &new);
                scope.spawn(move || robot.create_release(new, at(n)).unwrap())
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let created = outcomes.iter().filter(|outcome| matches!(outcome, ReleaseOutcome::Created(_))).count();
    let exists = outcomes.iter().filter(|outcome| matches!(outcome, ReleaseOutcome::Exists(_))).count();
    assert_eq!((created, exists), (1, 19));
    assert_eq!(shop.bare.git(&["for-each-ref", "--format=%(refname)", "refs/tags"]).lines().count(), 1);
}
