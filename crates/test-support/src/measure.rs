//! What benches share: the cost of processes, and the table of results.
//!
//! A bench is a program without a harness. `cargo bench` gives it `--bench`, and it measures; without that, or with
//! `--test` as well, it does the same once with as little as possible, which shows that it works:
//! no test fails because of speed.

use std::fmt::{self, Write as _};
use std::fs;
use std::time::{Duration, Instant};

use crate::bench::{self, Missing};
use crate::environment;

/// How a bench was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By `cargo bench`: measure.
    Measure,
    /// By `cargo test`, or with `--test`: show that it works.
    Smoke,
}

impl Mode {
    /// Reads the arguments that cargo gives a bench.
    pub fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let given = |name: &str| arguments.iter().any(|argument| argument == name);
        if given("--bench") && !given("--test") { Self::Measure } else { Self::Smoke }
    }

    /// One of two numbers: the one to measure with, or the one to show that it works.
    pub fn choose(self, measure: usize, smoke: usize) -> usize {
        match self {
            Self::Measure => measure,
            Self::Smoke => smoke,
        }
    }
}

impl Mode {
    /// How many things there are: as [`choose`](Self::choose) says, unless `--count N` of the command line sets it.
    ///
    /// # Panics
    ///
    /// Where `--count` has no number behind it.
    pub fn count(self, measure: usize, smoke: usize) -> usize {
        let mut arguments = std::env::args().skip_while(|argument| argument != "--count").skip(1);
        arguments
            .next()
            .map_or_else(|| self.choose(measure, smoke), |text| text.parse().expect("`--count` has a number"))
    }
}

/// Says what a bench does now, which can take minutes.
#[expect(clippy::print_stderr, reason = "a bench that is silent looks like one that hangs")]
pub fn progress(what: &str) {
    if Mode::from_arguments() == Mode::Measure {
        eprintln!("… {what}");
    }
}

/// A bench with one table, which is reported as skipped where a part of the test bench is missing.
pub fn run(name: &'static str, measure: impl FnOnce(Mode, &mut Table) -> Result<(), Missing>) {
    let (mode, mut table) = (Mode::from_arguments(), Table::new(name));
    table.shows_rows = mode == Mode::Measure;
    match measure(mode, &mut table) {
        Ok(()) => table.finish(mode),
        Err(missing) => bench::skip(&missing.to_string()),
    }
}

/// The processor time of this process so far, of its user half and of the kernel for it.
pub fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let part = |number: i64| u64::try_from(number).expect("time does not run backwards");
    Duration::new(part(time.tv_sec), u32::try_from(part(time.tv_nsec)).expect("nanoseconds fit"))
}

/// The processor time of all children that have been waited for, and of theirs; exact to a tick of the kernel.
pub fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc is there");
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').expect("the line of a process has a name");
    let ticks = fields.split_whitespace().skip(13).take(2).map(|field| field.parse::<u64>().expect("ticks"));
    Duration::from_secs(1) * u32::try_from(ticks.sum::<u64>()).expect("short enough") / ticks_per_second()
}

fn ticks_per_second() -> u32 {
    u32::try_from(rustix::param::clock_ticks_per_second()).expect("a hundred or so")
}

/// The most memory that this process had at one time, in bytes.
pub fn own_peak_memory() -> u64 {
    peak_memory("self")
}

fn peak_memory(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("/proc is there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has a peak");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") * 1024
}

/// What something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// Of the processor, by the children that it started.
    pub cpu: Duration,
}

/// Runs something that starts processes and waits for them.
pub fn cost(what: impl FnOnce()) -> Cost {
    let (start, cpu) = (Instant::now(), children_cpu());
    what();
    Cost { wall: start.elapsed(), cpu: children_cpu().saturating_sub(cpu) }
}

/// The shortest of several runs: what disturbs a run only ever makes it longer.
pub fn fastest(times: usize, mut what: impl FnMut()) -> Duration {
    let time = |()| {
        let start = Instant::now();
        what();
        start.elapsed()
    };
    std::iter::repeat_n((), times).map(time).min().expect("at least one run")
}

/// Something that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A time.
    Time(Duration),
    /// A size in bytes.
    Bytes(u64),
    /// A number of things.
    Count(u64),
}

impl Quantity {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Bytes(number) | Self::Count(number) => number as f64,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match self {
            Self::Time(_) if number < 1e-3 => write!(f, "{:.1} µs", number * 1e6),
            Self::Time(_) if number < 1.0 => write!(f, "{:.1} ms", number * 1e3),
            Self::Time(_) => write!(f, "{number:.2} s"),
            Self::Bytes(_) => write!(f, "{:.1} MB", number / 1e6),
            Self::Count(number) => write!(f, "{number}"),
        }
    }
}

/// What was measured, beside what others take for the same and beside what is to be reached. It shows as Markdown.
#[derive(Debug, Clone)]
pub struct Table {
    name: &'static str,
    /// Whether each row is printed as soon as it is there, too.
    shows_rows: bool,
    rows: Vec<[String; COLUMNS.len()]>,
}

const COLUMNS: [&str; 6] = ["what", "ours", "theirs", "ratio", "limit", "reached"];

impl Table {
    /// An empty table; the name is the one of the file that it is kept in.
    pub fn new(name: &'static str) -> Self {
        Self { name, shows_rows: false, rows: Vec::new() }
    }

    /// Something of ours that may not be more than a limit; beside it, where there is one, what another tool takes.
    pub fn at_most(&mut self, what: &str, ours: Quantity, theirs: Option<Quantity>, limit: Quantity) {
        let reached = ours.number() <= limit.number();
        let ratio = theirs.map(|theirs| theirs.number() / ours.number());
        self.row(what, ours, theirs, ratio, format!("at most {limit}"), Some(reached));
    }

    /// Something that others take longer for, at least so many times.
    pub fn times(&mut self, what: &str, ours: Quantity, theirs: Quantity, least: f64) {
        let ratio = theirs.number() / ours.number();
        self.row(what, ours, Some(theirs), Some(ratio), format!("at least {least}×"), Some(ratio >= least));
    }

    /// Something of ours that may be so many times what can be computed for it.
    pub fn within(&mut self, what: &str, ours: Quantity, computed: Quantity, most: f64) {
        let ratio = ours.number() / computed.number();
        let limit = format!("{computed} computed, at most {most}× of it");
        self.row(what, ours, None, Some(ratio), limit, Some(ratio <= most));
    }

    /// Something that is good to know and has no limit.
    pub fn beside(&mut self, what: &str, ours: Quantity, theirs: Option<Quantity>) {
        let ratio = theirs.map(|theirs| theirs.number() / ours.number());
        self.row(what, ours, theirs, ratio, String::new(), None);
    }

    #[expect(clippy::print_stdout, reason = "a bench can end before its table is there")]
    fn row(
        &mut self,
        what: &str,
        ours: Quantity,
        theirs: Option<Quantity>,
        ratio: Option<f64>,
        limit: String,
        reached: Option<bool>,
    ) {
        self.rows.push([
            what.to_owned(),
            ours.to_string(),
            theirs.map_or_else(String::new, |theirs| theirs.to_string()),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×")),
            limit,
            reached.map_or("", |reached| if reached { "yes" } else { "no" }).to_owned(),
        ]);
        if let Some(row) = self.rows.last().filter(|_| self.shows_rows) {
            let cells = row.iter().zip(COLUMNS).filter(|(cell, _)| !cell.is_empty());
            let cells: Vec<String> = cells.map(|(cell, column)| format!("{column} {cell}")).collect();
            println!("{}", cells.join(", "));
        }
    }

    /// Prints the table and keeps it as `target/bench/tables/NAME.md`; or says that the bench works.
    #[expect(clippy::print_stdout, reason = "a bench prints its table")]
    pub fn finish(&self, mode: Mode) {
        match mode {
            Mode::Measure => {
                println!("\n{self}");
                self.keep();
            }
            Mode::Smoke => println!("the bench works; nothing is measured without `--bench`"),
        }
    }

    fn keep(&self) {
        let folder = environment::workspace().join("target/bench/tables");
        fs::create_dir_all(&folder).expect("the folder of the tables can be made");
        fs::write(folder.join(format!("{}.md", self.name)), self.to_string()).expect("the table can be written");
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = COLUMNS.map(str::to_owned);
        let width = |column: usize| {
            let cells = std::iter::once(&header).chain(&self.rows).map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
        // Numbers stand at the right.
        let is_number = |column: usize| (1..=3).contains(&column);
        let line = |row: &[String; COLUMNS.len()]| {
            let mut line = String::from("|");
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let written = if is_number(column) {
                    write!(line, " {cell:>width$} |")
                } else {
                    write!(line, " {cell:<width$} |")
                };
                written.expect("a string takes any text");
            }
            line
        };
        writeln!(f, "{}", line(&header))?;
        f.write_str("|")?;
        for (column, width) in widths.into_iter().enumerate() {
            let (dashes, end) = ("-".repeat(width + 1), if is_number(column) { ":" } else { "-" });
            write!(f, "{dashes}{end}|")?;
        }
        f.write_str("\n")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{}", line(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown_with_straight_columns() {
        let mut table = Table::new("test");
        let ms = |number| Quantity::Time(Duration::from_millis(number));
        table.times("reading", ms(2), ms(50), 20.0);
        table.at_most("memory", Quantity::Bytes(200_000_000), None, Quantity::Bytes(100_000_000));
        table.within("slow wire", ms(110), ms(100), 1.2);
        table.beside("questions", Quantity::Count(64), None);
        let text = "\
| what      |     ours |  theirs |  ratio | limit                             | reached |
|-----------|---------:|--------:|-------:|-----------------------------------|---------|
| reading   |   2.0 ms | 50.0 ms | 25.00× | at least 20×                      | yes     |
| memory    | 200.0 MB |         |        | at most 100.0 MB                  | no      |
| slow wire | 110.0 ms |         |  1.10× | 100.0 ms computed, at most 1.2× of it | yes     |
| questions |       64 |         |        |                                   |         |
";
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('-', "");
        assert_eq!(squeeze(&table.to_string()), squeeze(text));
        let shown = table.to_string();
        let mut lengths: Vec<usize> = shown.lines().map(|line| line.chars().count()).collect();
        lengths.dedup();
        assert_eq!(lengths.len(), 1, "{shown}");
    }

    #[test]
    fn what_a_child_did_is_counted_when_it_has_ended() {
        let work = cost(|| {
            let shell = environment::find_program("sh").unwrap();
            let status =
                environment::command(shell).args(["-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"]).status();
            assert!(status.unwrap().success());
        });
        assert!(work.cpu > Duration::ZERO && work.wall > Duration::ZERO, "{work:?}");
        let before = own_cpu();
        std::hint::black_box((0..1_000_000_u64).fold(0, |sum, number| sum ^ std::hint::black_box(number)));
        assert!(own_cpu() > before);
        assert!(own_peak_memory() > 100_000);
    }
}
