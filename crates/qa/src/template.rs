//! Texts with variables: `{url}/health`; `{{` is a brace.

/// The values of the variables that a suite's file can use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variables {
    /// `{url}`: the environment's address, without a slash at its end; absent makes requests that use it unknown.
    pub url: Option<String>,
    /// `{mode}`: the environment's mode; absent makes requests that use it unknown.
    pub mode: Option<String>,
}

/// A text with variables; which ones it has was checked when it was parsed.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Url,
    Mode,
}

impl Template {
    /// The error is the message of a problem.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}").or_else(|| from.strip_prefix('}')) {
                plain.push('}');
                rest = after;
            } else {
                let inner = from.strip_prefix('{').unwrap_or(from);
                let Some((name, after)) = inner.split_once('}') else {
                    return Err("a `{` has no `}`; write `{{` for a brace".to_owned());
                };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(match name {
                    "url" => Part::Url,
                    "mode" => Part::Mode,
                    _ => {
                        return Err(format!(
                            "unknown variable `{{{}}}`: there are `{{url}}` and `{{mode}}`; write `{{{{` for a brace",
                            lock_model::escaping::excerpt(name)
                        ));
                    }
                });
                rest = after;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    pub(crate) fn uses_url(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Url))
    }

    /// Fills the variables in; the error names the first one without a value.
    pub(crate) fn fill(&self, variables: &Variables) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            let (name, value) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Url => ("url", &variables.url),
                Part::Mode => ("mode", &variables.mode),
            };
            match value {
                Some(value) => out.push_str(value),
                None => return Err(format!("the environment has no `{name}`")),
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_braces_are_kept() {
        let variables = Variables { url: Some("http://x".to_owned()), mode: Some("staging".to_owned()) };
        let filled = |text: &str| Template::parse(text).unwrap().fill(&variables).unwrap();
        assert_eq!(filled("{url}/a?mode={mode}"), "http://x/a?mode=staging");
        assert_eq!(filled("{{url}} }} {{\"a\":1}}"), "{url} } {\"a\":1}");
        assert_eq!(filled(""), "");
    }

    #[test]
    fn an_unknown_variable_is_refused_when_the_file_is_parsed() {
        assert!(Template::parse("{host}").unwrap_err().contains("unknown variable `{host}`"));
        assert!(Template::parse("{url").unwrap_err().contains("has no `}`"));
        let missing = Template::parse("{url}").unwrap().fill(&Variables::default()).unwrap_err();
        assert_eq!(missing, "the environment has no `url`");
    }
}
