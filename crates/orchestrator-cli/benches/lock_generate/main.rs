//! The whole binary beside what people use today, in one run: `cargo bench -p orchestrator-cli`.
//!
//! Every program asks the same registry for the same images. Without `--bench` everything happens once and small,
//! so that `cargo test --all-targets` shows that this works.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]
#![expect(clippy::string_slice, reason = "digests are hexadecimal")]

#[path = "../../../registry/benches/resolve/images.rs"]
#[expect(dead_code, reason = "the other bench needs more of it")]
mod images;
mod shop;
#[path = "../../../../tests/it/shop/mod.rs"]
#[expect(dead_code, reason = "the system tests need more of it")]
mod train;

use std::path::Path;
use std::time::{Duration, Instant};

use lock_model::{Lock, LockParts};
use process::{EnvVars, Invocation, Program};
use test_support::bench::{self, Missing};
use test_support::measure::{self, Mode, Quantity, Table, fastest};
use test_support::{GitShim, RegistryRelease, Skopeo};

use crate::shop::{Kept, NO_IMAGES, ONE_PLATFORM, Shop, TWO_PLATFORMS};

fn main() {
    measure::run("orchestrator", measure);
}

fn measure(mode: Mode, table: &mut Table) -> Result<(), Missing> {
    let services = mode.choose(1_000, 3);
    let shop = Shop::new(Kept::Docker(RegistryRelease::V2), services, 0)?;
    let text = shop.lock(ONE_PLATFORM, "kept");
    let lock = lock_model::Lock::parse(text.as_bytes(), "lock.yaml").unwrap();
    for digest in shop.digests() {
        assert!(text.contains(digest), "{digest}");
    }
    let runs = mode.choose(5, 1);
    let warm = Quantity::Time(shop.time(ONE_PLATFORM, runs, |_| "kept".to_owned()));
    let cold = Quantity::Time(shop.time(ONE_PLATFORM, mode.choose(3, 1), |run| format!("cold-{run}")));

    let references = shop.references();
    let skopeo = Quantity::Time(of_skopeo(mode, &references)?);
    let crane =
        Quantity::Time(side_by_side(&bench::part("crane")?, &["digest", "--insecure"], &references, &shop.home()));
    let regctl = bench::part("regctl")?;
    plain_http(&regctl, shop.registry(), &shop.home());
    let regctl = Quantity::Time(side_by_side(&regctl, &["image", "digest"], &references, &shop.home()));
    table.times("`lock generate`, 1,000 services, warm; a loop of `skopeo inspect --no-tags`", warm, skopeo, 20.0);
    table.times("`lock generate`, 1,000 services, cold; the same loop", cold, skopeo, 5.0);
    table.times("warm; `crane digest` in `xargs -P 32`, which gives a digest alone", warm, crane, 1.0);
    table.times("cold; the same", cold, crane, 1.0);
    table.times("warm; `regctl image digest` in `xargs -P 32`, which gives a digest alone", warm, regctl, 1.0);
    table.times("cold; the same", cold, regctl, 1.0);

    let both = shop.time(TWO_PLATFORMS, mode.choose(3, 1), |run| format!("both-{run}"));
    table.beside("cold, two platforms an image; the loop, which looks at one", Quantity::Time(both), Some(skopeo));

    let large = many(&lock, mode.choose(10_000, 6));
    let text = large.to_yaml();
    let time = fastest(mode.choose(5, 1), || {
        let lock = lock_model::Lock::parse(text.as_bytes(), "lock.yaml").unwrap();
        assert_eq!(lock.to_yaml().len(), text.len());
    });
    let limit = Quantity::Time(Duration::from_secs(1));
    table.at_most("a lock of 10,000 services read, checked and written", Quantity::Time(time), None, limit);
    let version = Quantity::Time(shop::version(mode.choose(20, 1)));
    table.at_most("`orchestrator --version`", version, None, Quantity::Time(Duration::from_millis(10)));
    let size = std::fs::metadata(shop::binary().path()).unwrap().len();
    table.at_most("the binary", Quantity::Bytes(size), None, Quantity::Bytes(25_000_000));
    real_size(mode, table)?;
    settled(mode, table);
    Ok(())
}

/// What a pull request of a shop costs that has 19 submodules, 16 of them with images.
fn real_size(mode: Mode, table: &mut Table) -> Result<(), Missing> {
    let runs = mode.choose(20, 1);
    let shop = Shop::new(Kept::InMemory, 16, 3)?;
    let [cold, warm, crane] = sixteen_images(&shop, runs)?;
    table.times("19 submodules, 16 images, cold; `crane digest` in `xargs -P 32`", cold, crane, 1.5);
    table.times("the same, warm", warm, crane, 4.0);
    for (release, name) in [(RegistryRelease::V3, "distribution 3"), (RegistryRelease::V2, "docker-registry 2.8")] {
        let [cold, warm, crane] = sixteen_images(&Shop::new(Kept::Docker(release), 16, 3)?, runs)?;
        table.beside(&format!("the same with {name}, cold"), cold, Some(crane));
        table.beside(&format!("the same with {name}, warm"), warm, Some(crane));
    }
    let (children, time) = shop.command(runs, &["lock", "generate", "--rev", NO_IMAGES]);
    let theirs = Some(Quantity::Time(shop.by_git(runs)));
    table.at_most("19 submodules without images; `git ls-tree` and `git config`", Quantity::Time(time), theirs, ms(10));
    table.at_most("git processes of it", count(children), None, count(3));
    Ok(())
}

/// The lock, cold and warm, and `crane digest` for its images, turn and turn about, so that a disturbance meets all three.
fn sixteen_images(shop: &Shop, runs: usize) -> Result<[Quantity; 3], Missing> {
    let (references, part, home) = (shop.references(), bench::part("crane")?, shop.home());
    drop(shop.lock(ONE_PLATFORM, "kept"));
    let mut times = [const { Vec::new() }; 3];
    for run in 0..runs {
        times[0].push(fastest(1, || drop(shop.lock(ONE_PLATFORM, &format!("cold-{run}")))));
        times[1].push(fastest(1, || drop(shop.lock(ONE_PLATFORM, "kept"))));
        times[2].push(side_by_side(&part, &["digest", "--insecure"], &references, &home));
    }
    Ok(times.map(|times| Quantity::Time(shop::middle(times))))
}

/// What commands cost that find everything done, in the same shop once it is deployed.
fn settled(mode: Mode, table: &mut Table) {
    let names: Vec<String> = (0..16).map(|number| format!("services/shop-service-{number:02}")).collect();
    let others = (0..3).map(|number| format!("ops/shop-other-{number}"));
    let all: Vec<String> = names.into_iter().chain(others).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let shop = train::Shop::with_services(&all, train::CONFIGURATION);
    shop.merge_dev();
    shop.ok("run staging");
    let runs = mode.choose(20, 1);
    for line in ["run staging", "status", "config check"] {
        let counting = GitShim::counting();
        shop.orchestrator(line).search_path(counting.search_path()).run().expect_code(0);
        let time = shop::median(runs, || drop(shop.ok(line)));
        table.at_most(&format!("`{line}`, nothing to do"), Quantity::Time(time), None, ms(50));
        table.at_most("git processes of it", count(counting.count()), None, count(15));
    }
}

impl train::Shop {
    /// What a part of the shop asks for that the system tests have elsewhere.
    fn json(&self, line: &str, code: i32) -> serde_json::Value {
        let finished = self.ends(&format!("--format json {line}"), code);
        let document: serde_json::Value = serde_json::from_str(finished.stdout()).unwrap();
        document["result"].clone()
    }
}

fn ms(number: u64) -> Quantity {
    Quantity::Time(Duration::from_millis(number))
}

fn count(number: usize) -> Quantity {
    Quantity::Count(u64::try_from(number).unwrap())
}

/// The loop that a pipeline without us would run: some of its rounds, and from them the time of all.
fn of_skopeo(mode: Mode, references: &[String]) -> Result<Duration, Missing> {
    let skopeo = Skopeo::find()?;
    let sample = mode.choose(50, 2);
    let start = Instant::now();
    for reference in &references[..sample] {
        let inspected = skopeo.run(&["inspect", "--no-tags", "--tls-verify=false", &format!("docker://{reference}")]);
        assert!(inspected.contains("\"Digest\": \"sha256:"), "{inspected}");
    }
    Ok(start.elapsed().mul_f64(ratio(references.len(), sample)))
}

#[expect(clippy::cast_precision_loss, reason = "thousands are exact in a float")]
fn ratio(all: usize, sample: usize) -> f64 {
    all as f64 / sample as f64
}

/// All references, one process each, 32 at one time.
fn side_by_side(part: &bench::Part, arguments: &[&str], references: &[String], home: &Path) -> Duration {
    let xargs = Program::find("xargs", "/usr/bin:/bin".as_ref()).unwrap();
    fastest(1, || {
        let invocation = Invocation::new(&xargs).args(["-P", "32", "-n", "1"]).arg(part.program()).args(arguments);
        let invocation = invocation.envs(&environment(home)).stdin(references.join("\n"));
        let output = invocation.run().unwrap().checked().unwrap();
        assert_eq!(output.stdout_text().matches("sha256:").count(), references.len());
    })
}

fn plain_http(regctl: &bench::Part, address: &str, home: &Path) {
    let program = Program::at(regctl.program());
    let invocation = Invocation::new(&program).args(["registry", "set", "--tls", "disabled", "--skip-check", address]);
    drop(invocation.envs(&environment(home)).run().unwrap().checked().unwrap());
}

fn environment(home: &Path) -> EnvVars {
    EnvVars::new().set("HOME", home).set("PATH", "/usr/bin:/bin")
}

/// A lock with the same services again and again, under other names.
fn many(lock: &Lock, services: usize) -> Lock {
    let mut copies = std::collections::BTreeMap::new();
    for (number, (name, service)) in lock.services().iter().cycle().take(services).enumerate() {
        let path = format!("{}-{number}", service.path).parse().unwrap();
        let mut copy = service.clone();
        copy.path = path;
        copies.insert(format!("{name}-{number}").parse().unwrap(), copy);
    }
    let mut parts = LockParts::new(lock.source().clone()).with_services(copies);
    parts.third_party.clone_from(lock.third_party());
    Lock::new(parts).unwrap()
}
