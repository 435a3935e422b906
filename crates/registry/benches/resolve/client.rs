//! Ourselves, as the process that is measured.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use process::{Invocation, Program};
use registry::{Mirror, PemAuthority, Registry, RegistryOptions};
use test_support::measure;

use crate::images::requests;

/// The argument that makes this program the client.
pub(crate) const CLIENT: &str = "--client";

/// Which images are resolved where.
#[derive(Clone)]
pub(crate) struct Errand {
    pub(crate) host: String,
    pub(crate) images: usize,
    pub(crate) cache: Option<PathBuf>,
    /// Which authority is trusted, for a host with TLS.
    pub(crate) authority: Option<PathBuf>,
}

/// What it took.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    pub(crate) peak_memory: u64,
}

impl Errand {
    /// Runs it in a process of its own.
    pub(crate) fn run(&self) -> Spent {
        let program = Program::at(std::env::current_exe().unwrap());
        let invocation = Invocation::new(&program).arg(CLIENT).arg(&self.host).arg(self.images.to_string());
        let path = |path: &Option<PathBuf>| path.clone().unwrap_or_default();
        let invocation = invocation.arg(path(&self.cache)).arg(path(&self.authority));
        let output = invocation.run().unwrap().checked().unwrap();
        let text = output.stdout_text();
        let mut numbers = text.split_whitespace().map(|number| number.parse::<u64>().unwrap());
        Spent {
            cpu: Duration::from_nanos(numbers.next().unwrap()),
            wall: Duration::from_nanos(numbers.next().unwrap()),
            peak_memory: numbers.next().unwrap(),
        }
    }
}

/// What the process does: resolves all images, and prints processor time, time and memory.
///
/// Everything counts from the making of the client to the last answer.
#[expect(clippy::print_stdout, reason = "the numbers are for the process that started this one")]
pub(crate) fn run(mut arguments: impl Iterator<Item = String>) {
    let host = arguments.next().unwrap();
    let requests = requests(&host, arguments.next().unwrap().parse().unwrap());
    let mut path = || arguments.next().filter(|path| !path.is_empty()).map(PathBuf::from);
    let (cache, authority) = (path(), path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (start, cpu) = (Instant::now(), measure::own_cpu());
    let mut options = RegistryOptions::default();
    options.cache = cache;
    if authority.is_some() {
        // A host on this machine is otherwise asked without TLS.
        options.mirrors.insert(host.clone(), Mirror::Http(format!("https://{host}").parse().unwrap()));
    }
    options.authorities = authority.iter().map(|path| PemAuthority::new("ca", std::fs::read(path).unwrap())).collect();
    let registry = Registry::new(options).unwrap();
    let deadline = start + Duration::from_secs(300);
    let answers = runtime.block_on(registry.resolve_all(&requests, deadline, &|_| ()));
    let (wall, cpu) = (start.elapsed(), measure::own_cpu().saturating_sub(cpu));
    assert_eq!(answers.len(), requests.len());
    for answer in &answers {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(registry.cache_problem(), None);
    println!("{} {} {}", cpu.as_nanos(), wall.as_nanos(), measure::own_peak_memory());
}
