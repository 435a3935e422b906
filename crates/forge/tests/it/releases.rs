use forge::{ForgeErrorKind, NewRelease, ReleaseOutcome};
use lock_model::{Digest, ErrorClass};

use crate::shop::{Shop, at, commit_id};

fn release(shop: &Shop) -> NewRelease {
    let (tag, commit) = ("release-2025-11-20-6c1f90ab".try_into().unwrap(), shop.rev("refs/heads/main"));
    NewRelease::new(tag, commit, "Release\n\nrelease: sha256:abc\n")
        .asset("lock.yaml", b"version: 1\n")
        .asset("NOTES.md", b"# Notes\n")
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
    shop.at(5);
    let made = match robot.create_release(&new).unwrap() {
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
    shop.at(6);
    assert_eq!(robot.create_release(&new).unwrap(), ReleaseOutcome::Exists(made.clone()), "f13");
    assert_eq!(robot.simulator().release(&new.tag).unwrap().as_ref(), Some(&made));
    assert_eq!(robot.releases().unwrap(), [made]);
    assert_eq!(robot.simulator().release_asset(&new.tag, "lock.yaml").unwrap().unwrap(), b"version: 1\n");
    assert_eq!(robot.simulator().release_asset(&new.tag, "other").unwrap(), None);
    assert_eq!(robot.simulator().release(&"none".try_into().unwrap()).unwrap(), None);
}

#[test]
fn a_release_never_changes() {
    let shop = Shop::new();
    let (robot, first) = (shop.forge("robot"), release(&shop));
    shop.at(5);
    robot.create_release(&first).unwrap();
    let tag = &first.tag;
    let head = shop.push_dev("x.txt", "x\n");
    let other = NewRelease::new(tag.clone(), head.clone(), first.message.clone());
    shop.at(6);
    let said = refused(robot.create_release(&other).unwrap());
    assert_eq!(
        said,
        [
            format!("tag `{tag}` exists and names `{}`, not `{head}`", first.commit),
            format!("release `{tag}` has other files"),
        ]
    );
    let mut reworded = first.clone();
    reworded.message = "Another text".to_owned();
    assert!(refused(robot.create_release(&reworded).unwrap()).len() == 2);
    assert_eq!(robot.releases().unwrap().len(), 1);

    std::fs::write(shop.file(&format!("releases/{tag}/assets/lock.yaml")), "changed").unwrap();
    let error = robot.simulator().release_asset(tag, "lock.yaml").unwrap_err();
    assert_eq!(error.kind(), ForgeErrorKind::Damaged, "{error}");
}

#[test]
fn what_cannot_be_a_release_is_refused() {
    let shop = Shop::new();
    let (robot, good) = (shop.forge("robot"), release(&shop));
    shop.bare.git(&["tag", "light", "main"]);
    let mut light = good.clone();
    light.tag = "light".try_into().unwrap();
    shop.at(1);
    assert_eq!(refused(robot.create_release(&light).unwrap()), ["tag `light` exists and is not annotated"]);
    let mut nowhere = good.clone();
    nowhere.commit = commit_id(&"9".repeat(40));
    let said = refused(robot.create_release(&nowhere).unwrap());
    assert_eq!(said, [format!("there is no commit `{}`", "9".repeat(40))]);
    let said = refused(shop.forge("rita").create_release(&good).unwrap());
    assert_eq!(said, ["`rita` has the role read, and this needs write"]);
    let mut twice = good.clone();
    twice.assets[1].name = "lock.yaml".to_owned();
    let error = robot.create_release(&twice).unwrap_err();
    assert_eq!(error.to_string(), "asset `lock.yaml` is not acceptable: there are two of that name");
    let mut hostile = good;
    hostile.assets[0].name = "../lock.yaml".to_owned();
    assert_eq!(robot.create_release(&hostile).unwrap_err().class(), ErrorClass::Invalid);
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
                shop.at(n);
                scope.spawn(move || robot.create_release(new).unwrap())
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let created = outcomes.iter().filter(|outcome| matches!(outcome, ReleaseOutcome::Created(_))).count();
    let exists = outcomes.iter().filter(|outcome| matches!(outcome, ReleaseOutcome::Exists(_))).count();
    assert_eq!((created, exists), (1, 19));
    assert_eq!(shop.bare.git(&["for-each-ref", "--format=%(refname)", "refs/tags"]).lines().count(), 1);
}
