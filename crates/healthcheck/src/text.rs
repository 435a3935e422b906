//! Errors in short: part of a detail.

use std::error::Error;

use lock_model::escaping::excerpt;

/// The innermost reason of an error: `connection refused`, not "error sending request".
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    excerpt(error.to_string())
}

/// The first line that is no white space, and whether it is the only one. A page of HTML says nothing in its tags, so they
/// do not count there.
pub(crate) fn first_line(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let body = if body.trim_ascii_start().starts_with(b"<") { without_tags(body) } else { body.to_vec() };
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let line = lines.next()?.to_vec();
    Some((line, lines.next().is_none()))
}

fn without_tags(page: &[u8]) -> Vec<u8> {
    let mut is_tag = false;
    let mut text = Vec::with_capacity(page.len());
    for byte in page {
        match byte {
            b'<' => is_tag = true,
            // What stands on both sides of a tag are two texts.
            b'>' if is_tag => {
                is_tag = false;
                text.push(b'\n');
            }
            other if !is_tag => text.push(*other),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_text_is_found() {
        for (body, line, is_last) in [
            ("fine", "fine", true),
            ("\n\r\n  database is away\r\n", "database is away", true),
            ("database is away\nat cart.rs:7\n", "database is away", false),
            ("{\"a\": 1}", "{\"a\": 1}", true),
            (
                "<!DOCTYPE html>\n<html><head>\n<title>502 Bad Gateway</title></head>\n<center><h1>502 Bad Gateway</h1>",
                "502 Bad Gateway",
                false,
            ),
            ("<error code=\"7\">no such cart</error>", "no such cart", true),
            ("a < b\nc", "a < b", false),
        ] {
            let expected = Some((line.as_bytes().to_vec(), is_last));
            assert_eq!(first_line(body.as_bytes()), expected, "{body}");
        }
        for nothing in ["", " \n\t", "<html></html>", "<cut"] {
            assert_eq!(first_line(nothing.as_bytes()), None, "{nothing}");
        }
    }
}
