//! What resolving costs, beside what is to be reached and what others take: `cargo bench -p registry`.
//!
//! The registry is nginx with the answers as files, the client a process of its own. Without `--bench` everything
//! happens once and small, so that `cargo test --all-targets` shows that this works.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

mod client;
mod images;
mod latency;
mod server;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use process::{EnvVars, Invocation, Program};
use tempfile::TempDir;
use test_support::bench;
use test_support::measure::{Mode, Quantity, Table, cost};

use crate::client::{CLIENT, Errand, Spent};
use crate::images::{CHAIN, COLD_QUESTIONS, Image, computed};
use crate::latency::LongWay;
use crate::server::{AUTHORITY, Nginx};

/// Requests at one time, as by default.
const CONCURRENCY: usize = 32;
const ROUND_TRIP: Duration = Duration::from_millis(50);

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == CLIENT).is_some() {
        return client::run(arguments);
    }
    if let Err(missing) = bench::part("nginx") {
        return bench::skip(&missing.to_string());
    }
    let mode = Mode::from_arguments();
    let mut table = Table::new("registry");
    processor(mode, &mut table);
    long_way(mode, &mut table);
    multiplexed(mode, &mut table);
    tokens(mode, &mut table);
    table.finish(mode);
}

/// What one request costs us.
fn processor(mode: Mode, table: &mut Table) {
    let number = mode.choose(1_000, 3);
    let images: Vec<Image> = (0..number).map(Image::new).collect();
    let server = Nginx::of_images(&images).unwrap();
    let folder = folder();
    let errand = |cache| Errand { host: server.address().to_owned(), images: number, cache, authority: None };
    let mut run = 0;
    let mut fresh = || {
        run += 1;
        Some(folder.path().join(run.to_string()))
    };

    let cold: Vec<Spent> =
        (0..mode.choose(5, 1)).map(|_| asked(&server, &errand(fresh()), number * COLD_QUESTIONS)).collect();
    let uncached: Vec<Spent> =
        (0..mode.choose(5, 1)).map(|_| asked(&server, &errand(None), number * COLD_QUESTIONS)).collect();
    let kept = errand(fresh());
    asked(&server, &kept, number * COLD_QUESTIONS);
    let warm: Vec<Spent> = (0..mode.choose(10, 1)).map(|_| asked(&server, &kept, number)).collect();
    let ab = apache_bench(
        mode,
        &format!("http://{}/v2/{}/manifests/{}", server.address(), images[0].repository, images[0].tag),
    );

    let of_warm = per_request(&warm, number);
    let ab = ab.map(Quantity::Time);
    table.at_most("CPU a request, 1,000 images known from the last run; beside it `ab -i -k`", of_warm, ab, micros(80));
    let of_cold = per_request(&cold, number * COLD_QUESTIONS);
    table.at_most("CPU a request, 1,000 new images, read, hashed and kept", of_cold, ab, micros(120));
    let of_uncached = per_request(&uncached, number * COLD_QUESTIONS);
    table.at_most("the same, nothing kept", of_uncached, ab, micros(120));
    let peak = cold.iter().chain(&uncached).map(|spent| spent.peak_memory).max().unwrap();
    table.at_most("most memory meanwhile", Quantity::Bytes(peak), None, Quantity::Bytes(100_000_000));
}

/// Runs an errand, and checks that it took as many requests as it should, over no more connections than allowed.
fn asked(server: &Nginx, errand: &Errand, questions: usize) -> Spent {
    let before = server.served();
    let spent = errand.run();
    let served = server.served().since(before);
    assert_eq!(served.requests, questions, "requests");
    assert!(served.connections <= CONCURRENCY, "{} connections", served.connections);
    spent
}

fn per_request(runs: &[Spent], requests: usize) -> Quantity {
    Quantity::Time(runs.iter().map(|spent| spent.cpu).min().unwrap() / u32::try_from(requests).unwrap())
}

fn micros(number: u64) -> Quantity {
    Quantity::Time(Duration::from_micros(number))
}

/// What a request costs a client that does nothing else.
fn apache_bench(mode: Mode, url: &str) -> Option<Duration> {
    let ab = bench::part("ab").ok()?;
    let requests = mode.choose(100_000, 100);
    let spent = cost(|| {
        let mut command = ab.command();
        command.args(["-q", "-i", "-k", "-c", "32", "-n", &requests.to_string(), url]);
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
    });
    Some(spent.cpu / u32::try_from(requests).unwrap())
}

/// A registry that is far away.
fn long_way(mode: Mode, table: &mut Table) {
    let number = mode.choose(1_000, 2);
    let images: Vec<Image> = (0..number).map(Image::new).collect();
    let server = Nginx::of_images(&images).unwrap();
    let round_trip = mode.choose(50, 1);
    let round_trip = Duration::from_millis(u64::try_from(round_trip).unwrap());
    let proxy = LongWay::to(server.address(), round_trip);
    let folder = folder();
    let cache = Some(folder.path().to_owned());
    let errand = Errand { host: proxy.address().to_owned(), images: number, cache, authority: None };
    for (what, chain, requests) in [("cold", CHAIN, number * COLD_QUESTIONS), ("warm", 1, number)] {
        let spent = asked(&server, &errand, requests);
        let computed = computed(chain, requests, CONCURRENCY, round_trip);
        let what = format!("1,000 images, {} ms away, {what}", ROUND_TRIP.as_millis());
        table.within(&what, Quantity::Time(spent.wall), Quantity::Time(computed), 1.2);
    }
}

/// A registry that is far away, as those of the net are: over HTTP/2. Beside it a process an image, 32 at one time.
fn multiplexed(mode: Mode, table: &mut Table) {
    let number = mode.choose(1_000, 2);
    let images: Vec<Image> = (0..number).map(Image::new).collect();
    let server = Nginx::of_images_with_tls(&images).unwrap();
    let proxy = LongWay::to(server.address(), ROUND_TRIP);
    let folder = folder();
    let errand = |run: usize| Errand {
        host: proxy.address().to_owned(),
        images: number,
        cache: Some(folder.path().join(run.to_string())),
        authority: Some(AUTHORITY.into()),
    };
    let cold = (0..mode.choose(3, 1)).map(|run| errand(run).run().wall).min().unwrap();
    let crane = crane(proxy.address(), &images);
    let limit = Quantity::Time(Duration::from_secs(4));
    let what = "1,000 images for two platforms, 50 ms away over HTTP/2, cold; `crane digest` in `xargs -P 32`";
    table.at_most(what, Quantity::Time(cold), crane.map(Quantity::Time), limit);
}

/// How long `crane digest` takes for all images.
fn crane(host: &str, images: &[Image]) -> Option<Duration> {
    let part = bench::part("crane").ok()?;
    let xargs = Program::find("xargs", "/usr/bin:/bin".as_ref()).unwrap();
    let references: Vec<String> =
        images.iter().map(|image| format!("{host}/{}:{}", image.repository, image.tag)).collect();
    let invocation = Invocation::new(&xargs).args(["-P", "32", "-n", "1"]).arg(part.program()).arg("digest");
    let environment = EnvVars::new().set("HOME", folder().path()).set("SSL_CERT_FILE", AUTHORITY);
    let start = Instant::now();
    let output = invocation.envs(&environment).stdin(references.join("\n")).run().unwrap().checked().unwrap();
    let time = start.elapsed();
    assert_eq!(output.stdout_text().matches("sha256:").count(), images.len());
    Some(time)
}

/// The same, with a token for each repository.
fn tokens(mode: Mode, table: &mut Table) {
    let number = mode.choose(64, 2);
    let images: Vec<Image> = (0..number).map(Image::new).collect();
    let round_trip = if mode == Mode::Measure { ROUND_TRIP } else { Duration::from_millis(1) };
    let service = Nginx::of_tokens().unwrap();
    let way_to_service = LongWay::to(service.address(), round_trip);
    let server = Nginx::behind_tokens(&images, &format!("http://{}", way_to_service.address())).unwrap();
    let proxy = LongWay::to(server.address(), round_trip);
    let before = server.served();
    let spent = Errand { host: proxy.address().to_owned(), images: number, cache: None, authority: None }.run();
    let served = server.served().since(before);
    let scopes = service.scopes();
    let different: BTreeSet<&String> = scopes.iter().collect();
    assert_eq!(different.len(), number, "{scopes:?}");
    // Two more than without tokens: the refusal that names the service, and the service.
    let computed = computed(CHAIN + 2, served.requests, CONCURRENCY, round_trip);
    let what = format!("64 repositories behind tokens, {} ms away, cold", ROUND_TRIP.as_millis());
    table.within(&what, Quantity::Time(spent.wall), Quantity::Time(computed), 1.2);
    let count = |number: usize| Quantity::Count(u64::try_from(number).unwrap());
    table.at_most("token requests for them", count(scopes.len()), None, count(number));
}

/// A folder on the disk that the build is on: `/tmp` may be of another kind, and is full of other programs' waste.
fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}
