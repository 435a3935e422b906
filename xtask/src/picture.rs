//! The README's picture of a run: a part of the demo's transcript, drawn as SVG.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The picture.
pub(crate) const FILE: &str = "docs/run.svg";
/// The transcript, which a test compares with what the demo prints.
const TRANSCRIPT: &str = "tests/snapshots/demo.snap";
/// What the shown command begins with, and what it must have printed.
const COMMAND: &str = "$ orchestrator --as orchestrator run production";
const PRINTED: &str = "is proven in production";
/// Columns that are shown; the rest of a line is cut off.
const COLUMNS: usize = 84;
/// Size of a character cell, in pixels.
const CELL: (usize, usize) = (8, 18);
/// Space around the text, in pixels.
const MARGIN: usize = 16;

/// Draws the first run of production in the transcript that came through, with every step.
pub(crate) fn svg(workspace: &Path) -> Result<String, String> {
    let path = workspace.join(TRANSCRIPT);
    let transcript = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut scenes = transcript.split("\n\n$ ").skip(1).map(|scene| format!("$ {scene}"));
    let scene = scenes.find(|scene| scene.starts_with(COMMAND) && scene.contains(PRINTED));
    let scene = scene.ok_or_else(|| format!("{TRANSCRIPT} has no run of production that came through"))?;
    let (shown, _) = scene.split_once("\n[exit ").ok_or("a command without an exit code")?;
    Ok(draw(&shown.lines().collect::<Vec<_>>()))
}

fn draw(lines: &[&str]) -> String {
    let (width, height) = (COLUMNS * CELL.0 + 2 * MARGIN, lines.len() * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"a run of production\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#16181d\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\" fill=\"#d6d9df\" \
         xml:space=\"preserve\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + number * CELL.1 + 13;
        let text: String = line.chars().take(COLUMNS).collect();
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let _written = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{y}\"{}>{text}</text>", colour(line));
    }
    svg + "</g>\n</svg>\n"
}

/// Commands and verdicts stand out.
fn colour(line: &str) -> &'static str {
    let is_step = |word: &str| line.contains(&format!(": {word} (")) || line.contains(&format!("  {word}  "));
    if line.starts_with('$') {
        " fill=\"#8ab4f8\" font-weight=\"bold\""
    } else if is_step("ok") || line.ends_with("is through") {
        " fill=\"#81c995\""
    } else if is_step("failed") || is_step("refused") {
        " fill=\"#f28b82\""
    } else {
        ""
    }
}
