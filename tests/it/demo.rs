//! `orchestrator demo`: its transcript is a snapshot, and what its last page promises is true.

use test_support::{Sandbox, built_binary};

/// Splits the last page off the transcript.
fn last_page(transcript: &str) -> &str {
    let start = transcript.find("━━ The shop stays in ").expect("the demo ends with a map");
    transcript.split_at(start).1
}

#[test]
fn the_demo_plays_the_whole_flow_and_leaves_a_shop_to_look_around_in() {
    let sandbox = Sandbox::new();
    let binary = built_binary();
    let folder = sandbox.join("demo");
    let played = sandbox.orchestrator().arg("demo").arg("--dir").arg(&folder).run().expect_code(0);

    let programs = binary.parent().unwrap().to_str().unwrap();
    let transcript = played.text().replace(programs, "[PROGRAMS]");
    insta::with_settings!({
        snapshot_path => "../snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "what `orchestrator demo` prints; commits, digests and times are the same on every machine",
    }, {
        insta::assert_snapshot!("demo", transcript);
    });

    // The map: everything on it is there.
    let (map, commands) = last_page(played.stdout()).split_once("Try, by copy:").unwrap();
    let entries: Vec<&str> = map.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(entries.len() >= 6, "{map}");
    for entry in entries {
        match entry.split_once('*') {
            None => assert!(folder.join(entry).exists(), "{entry}"),
            Some((before, after)) => {
                let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
                let names = names.map(|name| name.into_string().unwrap());
                assert!(names.into_iter().any(|name| name.starts_with(before) && name.ends_with(after)), "{entry}");
            }
        }
    }

    // The commands: all of them work by copy, in one shell, from top to bottom.
    let commands: Vec<&str> = commands.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let ours = commands.iter().filter(|line| line.starts_with("orchestrator ")).count();
    assert!(ours >= 5, "{commands:#?}");
    let script = format!("set -ex\n{}\n", commands.join("\n"));
    let shell = sandbox.orchestrator_at("/bin/sh").arg("-c").arg(&script).run().expect_code(0);
    assert!(shell.stdout().contains("production is free again"), "{shell}");

    // A second one never writes over the first.
    let again = sandbox.orchestrator().arg("demo").arg("--dir").arg(&folder).run().expect_code(2);
    assert!(again.stderr().contains("is not empty"), "{again}");
}
