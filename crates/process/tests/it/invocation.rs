use std::time::{Duration, Instant};

use process::lock_model::ErrorClass;
use process::{
    EndOnDrop, EnvVars, Interrupt, Invocation, Launcher, Output, Priority, ProcessErrorKind, Program, Redactor,
};

use tempfile::TempDir;

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

fn program(name: &str) -> Program {
    Program::find(name, SEARCH_PATH.as_ref()).unwrap()
}

fn shell(script: &str) -> Invocation {
    Invocation::new(&program("sh")).env("PATH", SEARCH_PATH).args(["-c", script])
}

/// Whether a process with this id still runs after a while; a zombie does not. The kernel takes a moment to end one.
fn runs(pid: &str) -> bool {
    let started = Instant::now();
    loop {
        let alive = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        if !alive || started.elapsed() > Duration::from_secs(5) {
            return alive;
        }
        std::thread::yield_now();
    }
}

#[test]
fn output_and_status_are_values() {
    let output = shell("echo out; echo err >&2; exit 3").run().unwrap();
    assert_eq!((output.code, output.signal), (Some(3), None));
    assert_eq!((output.stdout_text().as_ref(), output.stderr_text().as_ref()), ("out\n", "err\n"));
    assert!(!output.success());
    let error = output.checked().unwrap_err();
    assert_eq!(error.to_string(), "`sh -c 'echo out; echo err >&2; exit 3'` ended with exit status 3\n  err");
    assert_eq!(shell("kill -9 $$").run().unwrap().status(), "signal 9");
}

#[test]
fn t26_child_sees_only_the_named_environment() {
    let output = Invocation::new(&program("env")).envs(&EnvVars::new().set("A", "1")).run().unwrap();
    assert_eq!(output.stdout_text(), "A=1\n");
}

#[test]
fn standard_input_is_empty_unless_fed() {
    assert_eq!(Invocation::new(&program("cat")).run().unwrap().stdout, b"");
    // More than a pipe holds, in both directions at once.
    let big: Vec<u8> = (0..3_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    assert_eq!(Invocation::new(&program("cat")).stdin(big.clone()).run().unwrap().stdout, big);
    // Who does not read its input is not an error.
    assert!(shell("exec 0<&-; exit 0").stdin(big).run().unwrap().success());
}

#[test]
fn f2_a_launcher_gets_the_time_the_program_and_its_arguments() {
    let launcher = Launcher::new(program("sh").path(), ["-c", "printf '[%s]' \"$@\"", "sh"]);
    let invocation = || Invocation::new(&Program::at("/opt/helm")).args(["a b", "--x"]).launched_by(Some(&launcher));
    // People see the program that is meant.
    assert_eq!(invocation().command_line(), "helm 'a b' --x");
    assert_eq!(invocation().run().unwrap().stdout_text(), "[0][/opt/helm][a b][--x]");
    let output = invocation().ended_by_stall(Duration::from_secs(5)).run().unwrap();
    assert_eq!(output.stdout_text(), "[5000][/opt/helm][a b][--x]");
}

#[test]
fn f2_a_launcher_hears_of_the_caller_until_the_program_has_ended() {
    let bytes = |count: u32| Launcher::new(program("sh").path(), ["-c", &format!("head -c {count} | wc -c"), "sh"]);
    let invocation = Invocation::new(&Program::at("/opt/helm")).launched_by(Some(&bytes(3)));
    let started = Instant::now();
    assert_eq!(invocation.run().unwrap().stdout_text().trim(), "3");
    assert!(started.elapsed() > Duration::from_millis(900), "two and a half beats a second: {:?}", started.elapsed());
    // What is told to end in order still hears of the caller.
    let script = "trap 'head -c 4 | wc -c >&2; exit' TERM; while :; do sleep 0.05; done";
    let launcher = Launcher::new(program("sh").path(), ["-c", script, "sh"]);
    let invocation = Invocation::new(&Program::at("/opt/helm")).env("PATH", SEARCH_PATH).launched_by(Some(&launcher));
    let error = invocation.deadline(Duration::from_millis(700)).grace(Duration::from_secs(20)).run().unwrap_err();
    assert_eq!(error.stderr().last().map(|line| line.trim()), Some("4"), "{error}");
}

#[test]
fn a_launched_program_that_does_not_start_is_no_program_that_failed() {
    let failed = |script: &str| {
        let launcher = Launcher::new(program("sh").path(), ["-c", script, "sh"]);
        Invocation::new(&Program::at("/opt/helm")).launched_by(Some(&launcher)).run()
    };
    let error = failed("echo 'the program does not start: Permission denied' >&2; exit 127").unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (&ProcessErrorKind::NotStarted, "program `/opt/helm` could not be started")
    );
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "Permission denied");
    for other in ["echo 'sh: x: not found' >&2; exit 127", "echo 'the program does not start: x' >&2; exit 1"] {
        assert!(failed(other).unwrap().code.is_some(), "{other}");
    }
}

#[test]
fn f8_a_program_that_must_stop_at_once_has_no_time_to_end_in_order() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("written");
    let script = format!("trap 'echo late > {}; exit' TERM; echo ready; while :; do sleep 0.05; done", file.display());
    let interrupt = Interrupt::new();
    let ending = interrupt.clone();
    let started = Instant::now();
    let ended = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            ending.request_at_once();
        });
        shell(&script).interrupt(&interrupt).grace(Duration::from_secs(60)).run()
    });
    assert_eq!(ended.unwrap_err().kind(), &ProcessErrorKind::Interrupted);
    assert!(started.elapsed() < Duration::from_secs(10) && !file.exists());
}

#[test]
fn t29_arguments_reach_the_program_as_they_are() {
    let hostile = ["$(id)", "a b", "\"; DROP", "--x=`id`", "*", ""];
    let output = Invocation::new(&program("printf")).arg("[%s]").args(hostile).run().unwrap();
    assert_eq!(output.stdout_text(), "[$(id)][a b][\"; DROP][--x=`id`][*][]");
}

#[test]
fn f24_deadline_ends_the_whole_group_even_when_sigterm_is_ignored() {
    let started = Instant::now();
    let error = shell("trap '' TERM; sleep 60 & echo $! >&2; echo $$ >&2; wait; sleep 60")
        .deadline(Duration::from_millis(1500))
        .grace(Duration::from_millis(150))
        .run()
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    assert_eq!(*error.kind(), ProcessErrorKind::Deadline(Duration::from_millis(1500)), "{error}");
    let pids = error.stderr();
    assert_eq!(pids.len(), 2, "{pids:?}");
    assert!(pids.iter().all(|pid| !runs(pid)), "{pids:?}");
    assert!(error.is_deadline() && error.to_string().contains("did not end within 1500 ms"), "{error}");
}

#[test]
fn a_deadline_is_enough_for_a_child_that_ends_at_sigterm() {
    let error = shell("trap 'echo bye >&2; exit 0' TERM; while :; do sleep 0.02; done")
        .deadline(Duration::from_millis(1500))
        .run()
        .unwrap_err();
    assert!(error.is_deadline() && error.to_string().ends_with("bye"), "{error}");
}

#[test]
fn nothing_that_a_child_left_running_survives_it() {
    let started = Instant::now();
    let output = shell("sleep 60 & echo $!").run().unwrap();
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(!runs(output.stdout_text().trim()));
}

#[test]
fn interrupt_ends_a_child() {
    let interrupt = Interrupt::new();
    interrupt.request();
    let error = shell("sleep 60").interrupt(&interrupt).run().unwrap_err();
    assert!(error.is_interrupted(), "{error}");
}

#[test]
fn t40_endless_output_stops_at_the_limit() {
    let error = shell("yes").output_limit(100_000).deadline(Duration::from_secs(20)).run().unwrap_err();
    assert_eq!(error.to_string(), "`sh -c yes` wrote more than 100000 bytes");
    // What fits exactly is fine, one byte more is not, even from a child that is long gone.
    assert_eq!(shell("printf 12345").output_limit(5).run().unwrap().stdout, b"12345");
    let error = shell("printf 123456").output_limit(5).run().unwrap_err();
    assert_eq!((error.kind(), error.class()), (&ProcessErrorKind::OutputTooLarge(5), ErrorClass::Invalid));
}

#[test]
fn a_log_keeps_its_end() {
    let output = shell("seq 1 200000").keep_last(14).run().unwrap();
    assert_eq!(output.stdout_text(), "199999\n200000\n");
    assert_eq!(output.dropped, 1_288_895 - 14);
}

#[test]
fn t25_secrets_and_escapes_are_not_shown() {
    let mut redactor = Redactor::new();
    redactor.add("hunter2hunter2");
    let error = shell("printf 'token hunter2hunter2 \\033[31mred\\n' >&2; exit 1")
        .arg("hunter2hunter2")
        .redact(&redactor)
        .run()
        .unwrap()
        .checked()
        .unwrap_err();
    let text = error.to_string();
    assert!(!text.contains("hunter2") && !text.contains('\u{1b}'), "{text}");
    assert!(text.ends_with("\n  token *** \\u{1b}[31mred"), "{text}");
    let debug = format!("{:?}", shell("").env("TOKEN", "hunter2hunter2"));
    assert!(!debug.contains("hunter2") && debug.contains("TOKEN"), "{debug}");
}

#[test]
fn t25_a_program_that_prints_secrets_or_is_given_some_is_shown_by_its_name() {
    for script in ["echo canary; sleep 60", "echo canary; while :; do echo canary; done", "echo canary >&2; exit 3"] {
        let hidden = shell(script).arg("--secret=canary").hide_output().deadline(Duration::from_secs(1));
        let error = hidden.output_limit(1000).run().and_then(Output::checked).unwrap_err();
        assert!(error.to_string().starts_with("`sh` ") && !error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn what_is_no_longer_waited_for_ends_with_its_caller_or_with_everything() {
    let all = Interrupt::new();
    let (one, other) = (all.child(), all.child());
    let _ordered = one.hold();
    assert!(all.is_held(), "the caller waits for what a part has to end in order");
    drop(EndOnDrop(one.clone()));
    assert!(one.is_requested() && !other.is_requested() && !all.is_requested());
    all.request();
    assert!(other.is_requested());
}

#[test]
fn programs_are_found_only_in_absolute_folders() {
    let sandbox = TempDir::new().unwrap();
    assert_eq!(Program::find("sh", ":.:/bin:/usr/bin".as_ref()).unwrap().path().file_name(), Some("sh".as_ref()));
    for (name, path) in [("sh", ""), ("sh", ".:relative"), ("../bin/sh", "/bin"), ("/bin/sh", "/bin"), ("", "/bin")] {
        let error = Program::find(name, path.as_ref()).unwrap_err();
        assert_eq!(error.to_string(), format!("program `{name}` was not found on the search path"));
    }
    // A file that cannot be executed is not a program.
    std::fs::write(sandbox.path().join("tool"), "x").unwrap();
    let error = Program::find("tool", sandbox.path().as_os_str()).unwrap_err();
    assert_eq!((error.kind(), error.class()), (&ProcessErrorKind::NotFound, ErrorClass::NotFound));
    let tool = sandbox.path().join("tool");
    let error = Invocation::new(&Program::at(&tool)).run().unwrap_err();
    assert_eq!(*error.kind(), ProcessErrorKind::NotStarted);
    assert_eq!(error.to_string(), format!("program `{}` could not be started", tool.display()));
    assert!(std::error::Error::source(&error).unwrap().is::<std::io::Error>(), "the system's reason");
}

#[test]
fn f22_an_interrupt_is_held_until_the_last_work_has_ended_in_order() {
    let interrupt = Interrupt::new();
    let (first, second) = (interrupt.hold(), interrupt.clone().hold());
    interrupt.request();
    assert!(interrupt.is_held());
    drop(first);
    assert!(interrupt.is_held());
    drop(second);
    assert!(!interrupt.is_held() && interrupt.is_requested());
}

#[test]
fn a_program_that_nobody_waits_for_gives_way_to_others() {
    let niceness = |priority: Priority| {
        // Behind the name, which is in brackets, the 17th field is the niceness.
        let script = "sleep 0.2; read -r line < /proc/self/stat; set -- ${line##*) }; echo ${17}";
        let output = shell(script).priority(priority).run().unwrap().checked().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<i32>().unwrap()
    };
    let usual = niceness(Priority::Usual);
    assert_eq!(niceness(Priority::Low), usual.max(10));
}
