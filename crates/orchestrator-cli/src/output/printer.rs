//! The three ways to print a report or an error.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use lock_model::ErrorClass;
use lock_model::escaping::{code_block, escape_terminal, escape_terminal_lines, is_hidden, shorten};
use orchestrator::{Error, ErrorKind, ListedProblem, Problem};
use rustix::fs::OFlags;
use serde_json::{Value, json};

use super::{Console, Format, Page, Screen, Shown, Tone, failure, github, markdown_text};
use crate::environment::STEP_SUMMARY;
use crate::exit_code::ExitCode;

/// Prints what a command answers. A reader that closed the pipe is no error.
#[derive(Debug)]
pub(crate) struct Printer {
    pub console: Console,
    /// The words of the command, such as `lock check`; empty where the arguments name none.
    pub command: String,
    /// The step summary file of GitHub Actions.
    pub summary: Option<String>,
}

impl Printer {
    /// Refuses a step summary that could not be written, before there is anything to say in it.
    pub(crate) fn check_summary(&self) -> Result<(), Error> {
        let Some(path) = self.summary.as_ref().filter(|_| self.console.format == Format::Github) else { return Ok(()) };
        open(path).map(drop).map_err(|error| {
            let why = format!("step summary `{path}`, which `{}` names, cannot be written", STEP_SUMMARY.name);
            Error::from_source(kind_of(&error), why, error)
        })
    }

    /// Prints a report and says what to end with.
    pub(crate) fn print(&self, shown: &Shown) -> ExitCode {
        let mut out = io::stdout().lock();
        let mut log = io::stderr().lock();
        let Console { out: screen, log: log_screen, .. } = self.console;
        let page = if self.console.keeps_progress() { shown.page.untold() } else { shown.page.clone() };
        let human = page.to_text(&screen);
        let notes = shown.notes.clone().unwrap_or_default();
        let written = match self.console.format {
            Format::Human => {
                let warnings = shown.warnings.iter().fold(notes, |page, warning| {
                    page + Page::toned(Tone::Doubtful, "warning:")
                        + format!(" {}\n", escape_terminal(&bounded(warning)))
                });
                log.write_all(warnings.to_text(&log_screen).as_bytes()).and_then(|()| out.write_all(human.as_bytes()))
            }
            Format::Json => write_json(&mut out, &self.envelope(shown.code, "result", &shown.json)),
            Format::Github => {
                let mut text = github::inert(&human);
                for warning in &shown.warnings {
                    text.push_str(&match shown.places.get(warning) {
                        Some(place) => github::annotation_at("warning", "orchestrator", place),
                        None => {
                            github::annotation("warning", "orchestrator", &escape_terminal_lines(&bounded(warning)))
                        }
                    });
                }
                if shown.code != ExitCode::DONE {
                    for problem in shown.page.problems() {
                        text.push_str(&github::annotation("error", shown.code.word(), &bounded(&problem)));
                    }
                }
                let page = shown.markdown.clone().unwrap_or_else(|| {
                    let said = |warning: &String| format!("warning: {}", bounded(warning));
                    let warnings: Vec<String> = shown.warnings.iter().map(said).collect();
                    let page = shown.page.to_markdown();
                    if warnings.is_empty() { page } else { format!("{page}\n{}", markdown_text::items(&warnings)) }
                });
                log.write_all(github::inert(&notes.to_text(&log_screen)).as_bytes())
                    .and_then(|()| out.write_all(text.as_bytes()))
                    .and_then(|()| append(self.summary.as_deref(), &page))
            }
        };
        ended(written, shown.code)
    }

    /// Prints an error and says what to end with.
    pub(crate) fn print_error(&self, error: &Error) -> ExitCode {
        let code = ExitCode::from(error.kind());
        let page = human(error);
        let written = match self.console.format {
            Format::Human => io::stderr().lock().write_all(page.to_text(&self.console.log).as_bytes()),
            Format::Json => write_json(&mut io::stdout().lock(), &self.envelope(code, "error", &document(error, code))),
            Format::Github => {
                let annotation = annotations(error, code);
                let text = page.to_text(&Screen::PLAIN);
                io::stdout()
                    .lock()
                    .write_all((github::inert(&page.to_text(&self.console.out)) + &annotation).as_bytes())
                    .and_then(|()| append(self.summary.as_deref(), &summary(error, &text)))
            }
        };
        ended(written, code)
    }

    /// The one form that all commands share.
    fn envelope(&self, code: ExitCode, key: &str, content: &Value) -> Value {
        json!({ "command": self.command, "exit_code": code.number(), key: content })
    }
}

/// How many bytes of one text of an error or warning are shown: a value in it can be as long as a file.
const LONGEST_TEXT: usize = 16 * 1024;
/// How many bytes of all problems of an error are shown.
const LONGEST_PROBLEMS: usize = 1024 * 1024;

fn bounded(text: &str) -> String {
    shorten(text, LONGEST_TEXT)
}

/// The problems of an error, as many as people can read.
fn problems(error: &Error) -> Vec<Problem> {
    let mut left = LONGEST_PROBLEMS;
    let mut take = |text: &String| {
        let text = bounded(text);
        left = left.saturating_sub(text.len() + 1);
        (left > 0).then_some(text)
    };
    let all = error.all_problems();
    let shown = all.iter().map_while(|problem| {
        let (subject, message) = (take(&problem.subject)?, take(&problem.message)?);
        Some(Problem::new(subject, message).details(problem.details.iter().map_while(&mut take)))
    });
    let mut shown: Vec<Problem> = shown.collect();
    if let Some(more) = all.len().checked_sub(shown.len()).filter(|more| *more > 0) {
        shown.push(Problem::new("…", format!("{more} more problems are not listed")));
    }
    shown
}

/// How many subjects stand before what is said of all of them; more are listed below it.
const SUBJECTS_IN_FRONT: usize = 4;

/// What stands for the name of each subject in a text that is said once of several.
const NAME: &str = "{name}";

/// A problem in which its subject has no name, also where an address has only the part behind the first `-`.
fn unnamed(problem: &Problem) -> Problem {
    let subject = problem.subject.as_str();
    let short = subject.split_once('-').map_or("", |(_, short)| short);
    let of = |text: &String| replaced(&replaced(text, "", subject), "/", short);
    Problem::new(NAME, of(&problem.message)).details(problem.details.iter().map(of))
}

/// Writes [`NAME`] for a word, where it stands alone behind `before`.
fn replaced(text: &str, before: &str, word: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let is_joined = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let found = format!("{before}{word}");
    let mut parts = text.split(&found);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let stands_alone = (!before.is_empty() || !written.ends_with(is_joined)) && !part.starts_with(is_joined);
        if stands_alone {
            written.extend([before, NAME]);
        } else {
            written += &found;
        }
        written += part;
    }
    written
}

/// The problems for people: what is said of several subjects in the same words, but for their names, is said once.
fn merged(problems: Vec<Problem>) -> Vec<Problem> {
    let mut merged: Vec<(Vec<String>, Problem, Problem)> = Vec::new();
    for problem in problems {
        let unnamed = unnamed(&problem);
        match merged.iter_mut().find(|(_, _, known)| *known == unnamed) {
            Some((subjects, ..)) if subjects.contains(&problem.subject) => {}
            Some((subjects, ..)) => subjects.push(problem.subject),
            None => merged.push((vec![problem.subject.clone()], problem, unnamed)),
        }
    }
    let said_once = merged.into_iter().map(|(subjects, named, unnamed)| {
        let list = subjects.join(", ");
        let mut problem = if subjects.len() == 1 { named } else { Problem { subject: named.subject, ..unnamed } };
        if subjects.len() > SUBJECTS_IN_FRONT {
            problem.subject = format!("{} and {} more", problem.subject, subjects.len() - 1);
            problem.details.insert(0, list);
        } else {
            problem.subject = list;
        }
        problem
    });
    said_once.collect()
}

/// An annotation for each problem, with what to do about it.
fn annotations(error: &Error, code: ExitCode) -> String {
    if !error.places().is_empty() {
        return error.places().iter().map(|place| github::annotation_at("error", code.word(), place)).collect();
    }
    let lines = |word: &str, texts: &[String]| {
        texts.iter().fold(String::new(), |lines, text| lines + "\n" + word + ": " + &bounded(text))
    };
    let hints = lines("hint", error.hints());
    let one = |title: &str, message: String| {
        github::annotation("error", title, &escape_terminal_lines(&(bounded(&message) + &hints)))
    };
    let problems = problems(error);
    if problems.is_empty() {
        return one(code.word(), format!("{}{}", error.message(), lines("because", &error.causes())));
    }
    let each = |problem: &Problem| {
        let lines = std::iter::once(&problem.message).chain(&problem.details).cloned().collect::<Vec<String>>();
        one(&format!("{}: {}", code.word(), escape_terminal(&problem.subject)), lines.join("\n"))
    };
    problems.iter().map(each).collect()
}

/// An error in the step summary.
fn summary(error: &Error, text: &str) -> String {
    match error.ended_run() {
        Some(run) => failure::to_markdown(error, run, text),
        None => code_block(text),
    }
}

/// An error for people.
fn human(error: &Error) -> Page {
    let mut page = Page::toned(Tone::Bad, "error:") + format!(" {}\n", bounded(error.message()));
    for cause in &error.causes() {
        page += format!("  because: {}\n", indent(&bounded(cause), 4));
    }
    for problem in merged(problems(error)) {
        page += "  ";
        page += Page::toned(Tone::Heading, problem.subject) + format!(": {}\n", indent(&problem.message, 4));
        for detail in &problem.details {
            page += format!("      {}\n", indent(detail, 6));
        }
    }
    let dossier = error.ended_run().and_then(|run| run.dossier.as_ref());
    let progress: Vec<String> = dossier.into_iter().flat_map(failure::progress).collect();
    if !progress.is_empty() {
        page += format!("  {}\n", progress.join("; "));
    }
    for hint in error.hints() {
        page += "  ";
        page += Page::hint(indent(&bounded(hint), 4));
    }
    page
}

/// An error for machines.
fn document(error: &Error, code: ExitCode) -> Value {
    let each = |texts: &[String]| texts.iter().map(|text| bounded(text)).collect::<Vec<String>>();
    let (places, all) = (error.places(), error.all_problems());
    let listed: Vec<ListedProblem> = if all.is_empty() {
        // Where the places are the problems, the message lists them for people.
        let listed = places.iter().map(|place| {
            let mut problem = ListedProblem::from(place.clone());
            problem.message = bounded(&problem.message);
            problem
        });
        listed.collect()
    } else {
        // Each problem has its own place, or none has.
        let mut places = places.iter().filter(|_| places.len() == all.len());
        problems(error).into_iter().map(|problem| ListedProblem::at(problem, places.next())).collect()
    };
    let mut document = json!({
        "kind": code.word(),
        "message": bounded(error.message()),
        "causes": each(&error.causes()),
        "problems": listed,
        "hints": each(error.hints()),
    });
    if let Some(run) = error.ended_run() {
        document["steps"] = json!(run.steps);
        if let Some(dossier) = &run.dossier {
            document["dossier"] = json!(dossier);
        }
        if !run.not_rolled_back.is_empty() {
            document["not_rolled_back"] = json!(run.not_rolled_back);
        }
    }
    document
}

/// Indents the second and later lines.
fn indent(text: &str, by: usize) -> String {
    text.trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
}

fn write_json(out: &mut impl Write, document: &Value) -> io::Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    out.write_all(in_plain_sight(&text).as_bytes())?;
    out.write_all(b"\n")
}

/// JSON that a terminal shows as it is: what moves its cursor, turns text around or cannot be seen stands only within
/// strings, where an escape means the same.
fn in_plain_sight(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !is_hidden(character) {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _written = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Adds to the step summary file, where there is one.
fn append(summary: Option<&str>, page: &str) -> io::Result<()> {
    let Some(path) = summary else { return Ok(()) };
    open(path)
        .and_then(|mut file| file.write_all(page.as_bytes()))
        .map_err(|error| io::Error::new(error.kind(), format!("step summary `{path}`: {error}")))
}

fn open(summary: &str) -> io::Result<File> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).expect("the flag is one of the first bits");
    File::options().append(true).create(true).custom_flags(no_follow).open(summary)
}

/// What a failed write means: the disk, or a file that cannot be meant.
fn kind_of(error: &io::Error) -> ErrorKind {
    match ErrorClass::of_io(error, ErrorClass::Invalid) {
        ErrorClass::Storage => ErrorKind::Storage,
        ErrorClass::NotFound | ErrorClass::Denied | ErrorClass::Temporary | ErrorClass::Invalid | ErrorClass::Bug => {
            ErrorKind::Usage
        }
    }
}

/// Turns a failed write into an exit code other than 0, except where the reader closed the pipe: the command's own
/// result stands then.
fn ended(written: io::Result<()>, code: ExitCode) -> ExitCode {
    let Err(error) = written else { return code };
    if error.kind() == io::ErrorKind::BrokenPipe {
        return code;
    }
    // Nowhere is left to say it when this fails too.
    let _unsaid = writeln!(io::stderr().lock(), "error: the report cannot be written: {error}");
    if code == ExitCode::DONE { kind_of(&error).into() } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(error: &Error) -> String {
        human(error).to_text(&Screen::PLAIN)
    }

    #[test]
    fn t51_json_holds_nothing_that_a_terminal_obeys_and_means_the_same() {
        let hostile = "a\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\u{2028}\u{e0041}\u{ad}\n\té🚂\"\\";
        let document = json!({ hostile: [hostile] });
        let mut out = Vec::new();
        write_json(&mut out, &document).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("it is text");
        assert!(!text.contains(|c| c != '\n' && is_hidden(c)), "{text:?}");
        assert!(text.contains("\\u202e") && text.contains("\\udb40\\udc41") && text.contains("é🚂"), "{text}");
        let read: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(read, document);
    }

    #[test]
    fn a_mistake_in_a_file_has_its_place_in_json() {
        let sandbox = test_support::Sandbox::new();
        std::fs::write(sandbox.join("orchestrator.yaml"), "version: 1\nimages: { revision: no }\n").unwrap();
        let surroundings = crate::surroundings::surroundings();
        let error =
            orchestrator::check_config(&sandbox.join("."), None, None, &surroundings, "2025-11-20".parse().unwrap())
                .unwrap_err();
        let problem = document(&error, ErrorKind::Usage.into())["problems"][0].clone();
        assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(21)), "{problem}");
        let message = problem["message"].as_str().unwrap_or_default();
        assert!(message.contains("`no` is not one of `require`"), "every word at once: {problem}");
        assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("orchestrator.yaml")), "{problem}");
    }

    #[test]
    fn what_is_said_of_several_subjects_alike_is_said_once() {
        let problem = |subject: &str, message: &str| Problem::new(subject, message).details(["tried x".to_owned()]);
        let error = Error::new(ErrorKind::Image, "3 of 3").problems([
            problem("cart", "is missing"),
            problem("web", "is old"),
            problem("shop", "is missing"),
            Problem::new("api", "is missing"),
        ]);
        let lines: Vec<String> = plain(&error).lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "error: 3 of 3",
                "  cart, shop: is missing",
                "      tried x",
                "  web: is old",
                "      tried x",
                "  api: is missing",
            ]
        );
        let refused = |name: &str, url: &str| Problem::new(name, format!("`https://git.example/{url}.git`: no login"));
        let text = plain(&Error::new(ErrorKind::Denied, "4 of 4").problems([
            refused("shop-cart", "shop/shop-cart"),
            refused("shop-web", "shop/shop-web"),
            refused("shop-api", "shop/api"),
            refused("shop-log", "elsewhere/log"),
        ]));
        let lines = [
            "error: 4 of 4",
            "  shop-cart, shop-web, shop-api: `https://git.example/shop/{name}.git`: no login",
            "  shop-log: `https://git.example/elsewhere/log.git`: no login",
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        let alone = Problem::new("a", "a pact of a, a-b and shop/a");
        assert_eq!(unnamed(&alone).message, "{name} pact of {name}, a-b and shop/{name}");
        let many = ["a", "b", "c", "d", "e"].map(|subject| Problem::new(subject, "is missing"));
        let text = plain(&Error::new(ErrorKind::Image, "5 of 5").problems(many));
        assert_eq!(text, "error: 5 of 5\n  a and 4 more: is missing\n      a, b, c, d, e\n");
    }

    #[test]
    fn t51_no_text_of_an_error_is_longer_than_people_read() {
        let long = "x".repeat(20 * 1024 * 1024);
        let source = std::io::Error::other(long.clone());
        let many = (0..5000).map(|_| Problem::new("s", "m").details(["y".repeat(100_000)]));
        let error = Error::from_source(ErrorKind::Usage, long.clone(), source)
            .hint(long.clone())
            .problems([Problem::new(long.clone(), long.clone())])
            .problems(many);
        let text = plain(&error);
        assert!(text.len() < 2 * LONGEST_PROBLEMS, "{}", text.len());
        assert!(text.contains(" more problems are not listed"));
        assert!(text.lines().all(|line| line.len() < 2 * LONGEST_TEXT + 100));
        let json = document(&error, ErrorKind::Usage.into());
        assert_eq!(json["message"].as_str().map(str::len), Some(LONGEST_TEXT));
    }
}
