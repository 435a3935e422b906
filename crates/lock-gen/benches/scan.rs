//! A scan beside what people use today, in one run: `cargo bench -p lock-gen`.
//!
//! Everything is measured as a process, from start to end, on the same repositories, and the fastest of several runs
//! counts. Without `--bench` everything happens once and small, so that `cargo test --all-targets` shows that this works.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should panic")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use git::{Git, GitOptions, InitOptions};
use lock_gen::Superproject;
use process::{EnvVars, Invocation, Program};
use tempfile::TempDir;
use test_support::measure::{Mode, Quantity, Table, fastest, own_peak_memory};

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|argument| argument == "--scan").is_some() {
        // Ourselves, as the process that is measured.
        return scan(Path::new(&arguments.next().unwrap()));
    }
    let mode = Mode::from_arguments();
    let table = bench(mode);
    table.finish(mode);
}

/// Prints the number of submodules and the most memory that was used, in bytes.
fn scan(folder: &Path) {
    let superproject = Superproject::open(folder).unwrap();
    let tree = superproject.commit("HEAD").unwrap().tree;
    let scan = superproject.scan(&tree, &"https://forge.example/shop/shop".parse().unwrap()).unwrap();
    assert!(scan.problems.is_empty(), "{:?}", scan.problems);
    println!("{} {}", scan.submodules.len(), own_peak_memory());
}

fn bench(mode: Mode) -> Table {
    let world = World { runs: mode.choose(20, 1), ..World::new() };
    let (few, many) = (mode.choose(1_000, 3), mode.choose(10_000, 5));
    let small = world.superproject("small", few);
    let large = world.superproject("large", many);
    world.initialise(&small, few);

    let mut table = Table::new("scan");
    table.times("1,000 gitlinks; `git ls-tree` and `git config`", world.ours(&small), world.git_reads(&small), 1.0);
    let status = fastest(mode.choose(3, 1), || {
        let output = world.git(&small, &["submodule", "status"]);
        assert_eq!(output.lines().count(), few);
    });
    let what = "1,000 initialised submodules; `git submodule status`";
    table.times(what, world.ours(&small), Quantity::Time(status), 20.0);
    let git = Some(world.git_reads(&large));
    table.beside("10,000 gitlinks; `git ls-tree` and `git config`", world.ours(&large), git);
    let in_process = fastest(world.runs, || {
        let superproject = Superproject::open(&small).unwrap();
        let tree = superproject.commit("HEAD").unwrap().tree;
        superproject.scan(&tree, &"https://forge.example/shop/shop".parse().unwrap()).unwrap();
    });
    table.beside("1,000 gitlinks as a library call", Quantity::Time(in_process), None);
    for (name, number, folder) in [("1,000", few, &small), ("10,000", many, &large)] {
        let said = World::scan(folder);
        let (submodules, peak) = said.split_once(' ').unwrap();
        assert_eq!(submodules, number.to_string());
        let peak = Quantity::Bytes(peak.parse().unwrap());
        table.at_most(&format!("most memory with {name} gitlinks"), peak, None, Quantity::Bytes(200_000_000));
    }
    table
}

/// Repositories made by script in a temporary folder.
struct World {
    folder: TempDir,
    program: Program,
    environment: EnvVars,
    runs: usize,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let program = Program::find("git", SEARCH_PATH.as_ref()).unwrap();
        let environment = EnvVars::new().set("PATH", SEARCH_PATH).set("HOME", folder.path());
        Self { folder, program, environment, runs: 1 }
    }

    fn init(&self, name: &str, bare: bool) -> Git {
        let options = GitOptions { environment: self.environment.clone(), ..GitOptions::default() };
        let init = InitOptions { bare, ..InitOptions::default() };
        Git::init(&self.program, &self.folder.path().join(name), &init, options).unwrap()
    }

    /// Runs git as people do.
    fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let invocation = Invocation::new(&self.program).envs(&self.environment).current_dir(folder);
        invocation.args(arguments).run().unwrap().checked().unwrap().stdout_text().into_owned()
    }

    /// What git needs to know the same: the gitlinks, and the sections of `.gitmodules`.
    fn git_reads(&self, folder: &Path) -> Quantity {
        self.fastest(|| {
            self.git(folder, &["ls-tree", "-r", "HEAD"]);
            self.git(folder, &["config", "--no-includes", "--blob", "HEAD:.gitmodules", "-l"]);
        })
    }

    /// Runs ourselves.
    fn scan(folder: &Path) -> String {
        let program = Program::at(std::env::current_exe().unwrap());
        let output = Invocation::new(&program).arg("--scan").arg(folder).run().unwrap().checked().unwrap();
        output.stdout_text().trim().to_owned()
    }

    fn ours(&self, folder: &Path) -> Quantity {
        self.fastest(|| {
            Self::scan(folder);
        })
    }

    fn fastest(&self, what: impl FnMut()) -> Quantity {
        Quantity::Time(fastest(self.runs, what))
    }

    /// A repository with that many submodules, beside some thousand ordinary files.
    fn superproject(&self, name: &str, submodules: usize) -> PathBuf {
        let module = self.module();
        let git = self.init(name, false);
        let mut gitmodules = String::new();
        let mut entries = String::new();
        for number in 0..submodules {
            let path = path(number);
            writeln!(gitmodules, "[submodule \"{path}\"]\n\tpath = {path}\n\turl = ../shop-service-{number:05}.git")
                .unwrap();
            writeln!(entries, "M 160000 {module} {path}").unwrap();
            writeln!(entries, "M 100644 inline deploy/{number:05}/values.yaml\ndata 2\n{}\n", number % 10).unwrap();
        }
        let head = "commit refs/heads/main\ncommitter T <t@shop.example> 1700000000 +0000\ndata 1\nx\n";
        let size = gitmodules.len();
        let stream = format!("{head}M 100644 inline .gitmodules\ndata {size}\n{gitmodules}\n{entries}");
        import(&git, stream);
        let folder = git.work_tree().unwrap().to_owned();
        self.git(&folder, &["gc", "--quiet"]);
        self.git(&folder, &["read-tree", "HEAD"]);
        folder
    }

    /// The one commit of a repository that stands for all submodules.
    fn module(&self) -> String {
        let git = self.init("module.git", true);
        let head = "commit refs/heads/main\ncommitter T <t@shop.example> 1700000000 +0000\ndata 1\nx\n";
        import(&git, format!("{head}M 100644 inline a\ndata 1\nx\n"));
        git.rev_parse("main").unwrap().unwrap()
    }

    /// As `git submodule update --init` leaves them, in a moment instead of minutes.
    fn initialise(&self, superproject: &Path, submodules: usize) {
        let template = self.folder.path().join("module.git");
        let head = self.module();
        let mut config = std::fs::read_to_string(superproject.join(".git/config")).unwrap();
        for number in 0..submodules {
            let path = path(number);
            writeln!(config, "[submodule \"{path}\"]\n\tactive = true\n\turl = https://forge.example/x.git").unwrap();
            let work_tree = superproject.join(&path);
            let own = superproject.join(".git/modules").join(&path);
            link(&template, &own);
            std::fs::write(own.join("HEAD"), format!("{head}\n")).unwrap();
            let up = "../".repeat(3 + path.matches('/').count());
            let text = format!("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = {up}{path}\n");
            std::fs::write(own.join("config"), text).unwrap();
            std::fs::create_dir_all(&work_tree).unwrap();
            std::fs::write(work_tree.join("a"), "x").unwrap();
            let up = "../".repeat(1 + path.matches('/').count());
            std::fs::write(work_tree.join(".git"), format!("gitdir: {up}.git/modules/{path}\n")).unwrap();
        }
        std::fs::write(superproject.join(".git/config"), config).unwrap();
    }
}

fn path(number: usize) -> String {
    format!("services/group-{:02}/shop-service-{number:05}", number % 50)
}

fn import(git: &Git, stream: String) {
    let import = git.invocation(["fast-import", "--quiet", "--force"]).stdin(stream).run().unwrap().checked();
    drop(import.unwrap());
}

/// A copy whose files are the same files, but for those that a module has of its own.
fn link(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            link(&entry.path(), &target);
        } else if name != "HEAD" && name != "config" {
            std::fs::hard_link(entry.path(), target).unwrap();
        }
    }
}
