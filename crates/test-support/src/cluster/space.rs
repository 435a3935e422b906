//! Namespaces of its own for a cluster: its processes, mounts and network go away together and leave nothing behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::bench::{Missing, Part};
use crate::environment;

/// What the space is made with, past the parts of the bench.
const PROGRAMS: &[&str] = &["bash", "ip", "mount", "nsenter", "unshare"];

/// Keeps the space while its standard input is open, and clears up behind it: also when the test process is killed.
///
/// The first process of a process namespace takes all others with it when it ends, containers and their shims too, and
/// the mounts and the network go with the last process. What is left is the folder and the control groups.
///
/// The three programs here are fixed texts, and what differs are their operands, so nothing of them is read as a
/// program. None of them is given a secret.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1 group=$2 first=$3
unshare --net --mount --pid --fork bash -c "$first"
exec >&2
for _ in 1 2 3 4 5; do
    find "/sys/fs/cgroup/$group" /sys/fs/cgroup/*/"$group" -depth -type d -exec rmdir {} + && break
    sleep 0.1
done
rm -rf --one-file-system "$folder"
"#;

/// The first process: says its id as the machine knows it, and waits for the end. `/run`, `/var/lib` and `/var/log`
/// take what containers' programs write at fixed places.
const FIRST: &str = r#"
trap '' INT TERM HUP
read -r id _ < /proc/self/stat
mount -t proc proc /proc && mount -t tmpfs tmpfs /run && ip link set lo up || exit 1
for name in lib log; do
    mkdir -p "/run/over/$name" "/run/over/$name.work"
    mount -t overlay -o "lowerdir=/var/$name,upperdir=/run/over/$name,workdir=/run/over/$name.work" over "/var/$name" || exit 1
done
echo 1 > /proc/sys/net/ipv4/ip_forward
echo "$id"
exec >&2
read -r _
"#;

/// Writes its own id as the space knows it, and becomes the program.
const BECOME: &str = r#"echo $$ > "$0"; exec "$@""#;

/// A running space; everything in it ends when this is dropped, or with the test process.
#[derive(Debug)]
pub(crate) struct Space {
    keeper: Child,
    first: u32,
    folder: PathBuf,
    /// The name of its control group.
    group: String,
    address: Ipv4Addr,
    /// Started from here, by name.
    processes: Mutex<Vec<(String, Child)>>,
}

/// The network that a process of the space sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// That of the space.
    Own,
    /// The machine's, where the tests are.
    Machine,
}

impl Space {
    /// Makes a space with an address that this machine reaches, or says why that cannot be.
    pub(crate) fn open() -> Result<Self, Missing> {
        let missing = |reason: String| Missing { name: "cluster".to_owned(), reason };
        if let Some(reason) = environment::variable("ORCHESTRATOR_WITHOUT_CLUSTER") {
            return Err(missing(reason.to_string_lossy().into_owned()));
        }
        if fs::metadata("/proc/self").map_or(1, |own| own.uid()) != 0 {
            return Err(missing("the tests do not run as root, which namespaces and containers need".to_owned()));
        }
        if let Some(absent) = PROGRAMS.iter().find(|name| environment::find_program(name).is_none()) {
            return Err(missing(format!("`{absent}` is not on PATH")));
        }
        // The keeper removes it. A short name: it is part of the paths of sockets.
        let folder = tempfile::Builder::new().prefix("orc-").tempdir().expect("a temporary folder can be made");
        let folder = TempDir::keep(folder).canonicalize().expect("the folder is there");
        let group = folder.file_name().expect("it has a name").to_string_lossy().into_owned();
        for name in ["log", "id"] {
            fs::create_dir(folder.join(name)).expect("the folder is ours");
        }
        let log = folder.join("log/keeper.log");
        let mut command = environment::command("bash");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(&folder).arg(&group).arg(FIRST);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&log).expect("the log is ours"));
        // Of its own: a terminal's Ctrl-C ends the test process, and the keeper clears up then.
        let mut keeper = command.process_group(0).spawn().expect("bash starts");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("it is piped")).read_line(&mut said).ok();
        let Ok(first) = said.trim().parse() else {
            let why = fs::read_to_string(&log).unwrap_or_default();
            drop(keeper.stdin.take());
            keeper.wait().ok();
            return Err(missing(format!("no namespaces can be made here: {}", why.trim().replace('\n', "; "))));
        };
        let processes = Mutex::new(Vec::new());
        let mut space = Self { keeper, first, folder, group, address: Ipv4Addr::UNSPECIFIED, processes };
        space.connect().map_err(missing)?;
        Ok(space)
    }

    /// Lays a pair of devices between the machine and the space. The first free number is taken: the kernel gives a
    /// device's name once, also where several processes ask at the same time.
    fn connect(&mut self) -> Result<(), String> {
        let first = self.first.to_string();
        let mut number = 1;
        let device = loop {
            let device = format!("orc{number}");
            let add = ["link", "add", &device, "type", "veth", "peer", "name", "eth0", "netns", &first];
            match run(environment::command("ip").args(add)) {
                Ok(_) => break device,
                Err(reason) if reason.contains("File exists") && number < 250 => number += 1,
                Err(reason) => return Err(reason),
            }
        };
        self.address = Ipv4Addr::new(10, 213, number, 2);
        let (here, there) = (format!("10.213.{number}.1"), format!("{}/30", self.address));
        for words in [vec!["addr", "add", &format!("{here}/30"), "dev", &device], vec!["link", "set", &device, "up"]] {
            run(environment::command("ip").args(words))?;
        }
        for words in [
            vec!["ip", "addr", "add", &there, "dev", "eth0"],
            vec!["ip", "link", "set", "eth0", "up"],
            vec!["ip", "route", "add", "default", "via", &here],
        ] {
            run(self.enter(Network::Own).args(words))?;
        }
        Ok(())
    }

    /// The folder of everything that the cluster writes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in it.
    pub(crate) fn join(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The control group that containers belong below, made in each hierarchy.
    pub(crate) fn control_group(&self) -> String {
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(root).expect("control groups are mounted").filter_map(Result::ok);
        let hierarchies = hierarchies.map(|entry| entry.path()).chain([root.to_owned()]);
        for hierarchy in hierarchies.filter(|path| path.join("cgroup.procs").is_file()) {
            // The one hierarchy of version 2 has other control groups beside ours.
            if hierarchy == root || !root.join("cgroup.procs").is_file() {
                fs::create_dir_all(hierarchy.join(&self.group)).expect("root may make a control group");
            }
        }
        format!("/{}", self.group)
    }

    /// The address of the space as both sides know it.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs in the space; the program and its arguments follow.
    pub(crate) fn enter(&self, network: Network) -> Command {
        let mut command = environment::command("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--pid"]);
        command.args((network == Network::Own).then_some("--net")).arg("--");
        command
    }

    /// A command that becomes a part of the bench in the space, under a name; arguments follow.
    pub(crate) fn command(&self, part: &Part, name: &str, network: Network) -> Command {
        let mut command = self.enter(network);
        let of_part = part.command();
        command.envs(of_part.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.args(["sh", "-c", BECOME]).arg(self.id_file(name)).arg(part.program());
        command
    }

    /// Starts what [`Space::command`] made under this name; its output goes to a log of the same name.
    pub(crate) fn spawn(&self, name: &str, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(name)).expect("the log is ours");
        let errors = log.try_clone().expect("a file can be shared");
        let child = command.stdout(log).stderr(errors).spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        self.processes.lock().expect("no thread panicked meanwhile").push((name.to_owned(), child));
    }

    /// Kills what was started under a name, and waits until it is gone.
    pub(crate) fn kill(&self, name: &str) {
        let mut processes = self.processes.lock().expect("no thread panicked meanwhile");
        let place = processes.iter().position(|(other, _)| other == name);
        let (_, mut child) = processes.remove(place.unwrap_or_else(|| panic!("{name} does not run")));
        // The child that we know waits for the one inside, which has no other number that we know.
        let id = fs::read_to_string(self.id_file(name)).expect("the process has started");
        run(self.enter(Network::Own).args(["sh", "-c", r#"kill -9 "$0""#, id.trim()])).expect("the process runs");
        child.wait().expect("it is a child of ours");
    }

    /// Sends a signal such as `STOP` to what was started under a name.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let id = fs::read_to_string(self.id_file(name)).expect("the process has started");
        let script = r#"kill -s "$0" "$1""#;
        run(self.enter(Network::Own).args(["sh", "-c", script, signal, id.trim()])).expect("the process runs");
    }

    /// The last lines of a log, for a message.
    pub(crate) fn last_lines(&self, name: &str) -> String {
        let text = fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.split_at(lines.len().saturating_sub(20)).1.join("\n")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("log/{name}.log"))
    }

    fn id_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("id/{name}"))
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().ok();
        for (_, child) in self.processes.get_mut().into_iter().flatten() {
            child.wait().ok();
        }
    }
}

/// Runs a command to its end; what it wrote, or why it failed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let line = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    };
    let line = line();
    let output = environment::output(command).map_err(|error| format!("`{line}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("`{line}`: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
