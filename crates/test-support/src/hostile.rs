//! One table of hostile strings for every place where foreign text is shown.

/// Text that a branch, a title, a tag, a chart or a log could hold: each row with what it tries.
pub const HOSTILE_TEXT: &[(&str, &str)] = &[
    ("an escape code that clears the screen", "a\u{1b}[2Jb"),
    ("a terminal hyperlink", "\u{1b}]8;;https://evil.example\u{7}click\u{1b}]8;;\u{7}"),
    ("a C1 control sequence introducer", "a\u{9b}31mb"),
    ("a carriage return that hides the line's start", "refused\rok     "),
    ("a backspace", "no\u{8}\u{8}yes"),
    ("text that runs backwards", "a\u{202e}txt.exe"),
    ("a bidirectional isolate", "a\u{2066}b\u{2069}"),
    ("a workflow command", "::add-mask::x"),
    ("a second output line", "a\nok=true"),
    ("a workflow command after a line end", "a\n::error::b"),
    ("bold praise", "**APPROVED by @lead**"),
    ("a mention by entity", "&#64;team"),
    ("the end of a folded part", "</details>"),
    ("an image that phones home", "![x](https://evil.example/beacon.png)"),
    ("a script", "<img src=x onerror=alert(1)>"),
    ("a code fence", "```\nout of the fence"),
    ("a table row", "a | b |\n| c"),
    ("a hidden marker", "<!-- orchestrator:lock -->"),
    ("a command substitution", "$(id)"),
    ("a shell separator", "zzz\";echo${IFS}x;#"),
    ("an option", "--post-renderer=x"),
    ("an SQL end", "a\";DROP TABLE users;--"),
];
