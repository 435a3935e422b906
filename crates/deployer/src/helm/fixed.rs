//! Charts whose rendering is fixed by what they are given: by their files and values, the name of the release, and what
//! helm is told of the release and of the cluster's interfaces.

/// Functions of templates that give the same answer to the same arguments: of Go, of helm and of its library sprig.
///
/// What is not in the list asks for something else: the objects of a cluster, the clock, chance, a name server, the order of
/// a map in memory (`keys`, `values`), or a text that is taken for a template (`tpl`).
const FIXED: &[&str] = &[
    // Go.
    "and",
    "block",
    "break",
    "continue",
    "define",
    "else",
    "end",
    "eq",
    "false",
    "ge",
    "gt",
    "html",
    "if",
    "index",
    "js",
    "le",
    "len",
    "lt",
    "ne",
    "nil",
    "not",
    "or",
    "print",
    "printf",
    "println",
    "range",
    "slice",
    "template",
    "true",
    "urlquery",
    "with",
    // helm.
    "fail",
    "fromJson",
    "fromJsonArray",
    "fromToml",
    "fromYaml",
    "fromYamlArray",
    "include",
    "mustToJson",
    "mustToYaml",
    "required",
    "toJson",
    "toToml",
    "toYaml",
    "toYamlPretty",
    // sprig.
    "abbrev",
    "abbrevboth",
    "add",
    "add1",
    "add1f",
    "addf",
    "adler32sum",
    "all",
    "any",
    "append",
    "atoi",
    "b32dec",
    "b32enc",
    "b64dec",
    "b64enc",
    "base",
    "biggest",
    "camelcase",
    "cat",
    "ceil",
    "chunk",
    "clean",
    "coalesce",
    "compact",
    "concat",
    "contains",
    "deepCopy",
    "deepEqual",
    "default",
    "dict",
    "dig",
    "dir",
    "div",
    "divf",
    "empty",
    "ext",
    "first",
    "float64",
    "floor",
    "get",
    "has",
    "hasKey",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "initial",
    "initials",
    "int",
    "int64",
    "isAbs",
    "join",
    "kebabcase",
    "kindIs",
    "kindOf",
    "last",
    "list",
    "lower",
    "max",
    "maxf",
    "merge",
    "mergeOverwrite",
    "min",
    "minf",
    "mod",
    "mul",
    "mulf",
    "mustAppend",
    "mustChunk",
    "mustCompact",
    "mustDeepCopy",
    "mustFirst",
    "mustFromJson",
    "mustHas",
    "mustInitial",
    "mustLast",
    "mustMerge",
    "mustMergeOverwrite",
    "mustPrepend",
    "mustPush",
    "mustRegexFind",
    "mustRegexFindAll",
    "mustRegexMatch",
    "mustRegexReplaceAll",
    "mustRegexReplaceAllLiteral",
    "mustRegexSplit",
    "mustRest",
    "mustReverse",
    "mustSlice",
    "mustToPrettyJson",
    "mustToRawJson",
    "mustUniq",
    "mustWithout",
    "nindent",
    "nospace",
    "omit",
    "pick",
    "pluck",
    "plural",
    "prepend",
    "push",
    "quote",
    "regexFind",
    "regexFindAll",
    "regexMatch",
    "regexQuoteMeta",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "regexSplit",
    "repeat",
    "replace",
    "rest",
    "reverse",
    "round",
    "semver",
    "semverCompare",
    "seq",
    "set",
    "sha1sum",
    "sha256sum",
    "sha512sum",
    "snakecase",
    "sortAlpha",
    "split",
    "splitList",
    "splitn",
    "squote",
    "sub",
    "subf",
    "substr",
    "swapcase",
    "ternary",
    "title",
    "toDecimal",
    "toPrettyJson",
    "toRawJson",
    "toString",
    "toStrings",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "trimall",
    "trunc",
    "tuple",
    "typeIs",
    "typeIsLike",
    "typeOf",
    "uniq",
    "unset",
    "until",
    "untilStep",
    "untitle",
    "upper",
    "urlJoin",
    "urlParse",
    "without",
    "wrap",
    "wrapWith",
];

/// Whether the templates of a chart, and of the charts within it, use nothing but functions that are known to give the same
/// answer each time. An archive is not looked into.
pub(super) fn is_fixed(files: &[(String, Vec<u8>)]) -> bool {
    actions_of(files).is_some_and(|all| all.iter().all(|actions| actions.are_fixed(&[])))
}

/// The actions of all templates of a chart, and of the charts within it; `None` where there is an archive, or a template that
/// does not end as one does.
pub(super) fn actions_of(files: &[(String, Vec<u8>)]) -> Option<Vec<Actions<'_>>> {
    let mut all = Vec::new();
    for (path, bytes) in files {
        let is_template = path.starts_with("templates/") || path.contains("/templates/");
        let is_within = path.split('/').any(|part| part == "charts");
        match std::str::from_utf8(bytes) {
            Ok(text) if is_template => all.push(Actions::read(text)?),
            Ok(_) => {}
            Err(_) if is_template || is_within => return None,
            Err(_) => {}
        }
    }
    Some(all)
}

/// What a template says within its braces; comments are none of it.
#[derive(Debug, Default)]
pub(super) struct Actions<'a> {
    functions: Vec<&'a str>,
    texts: Vec<&'a str>,
}

impl<'a> Actions<'a> {
    /// Reads a template as Go does; `None` where it does not end as a template does.
    pub(super) fn read(template: &'a str) -> Option<Self> {
        let (mut found, mut rest) = (Self::default(), template);
        while let Some((_, action)) = rest.split_once("{{") {
            if let Some(comment) = comment(action) {
                rest = comment.split_once("*/")?.1.split_once("}}")?.1;
                continue;
            }
            rest = read_action(action, &mut found.functions)?;
            found.texts.push(action.get(..action.len() - rest.len())?);
        }
        Some(found)
    }

    /// Whether all functions and keywords are known to give the same answer each time, or are among these.
    pub(super) fn are_fixed(&self, more: &[&str]) -> bool {
        self.functions.iter().all(|one| FIXED.contains(one) || more.contains(one))
    }

    pub(super) fn name(&self, function: &str) -> bool {
        self.functions.contains(&function)
    }

    /// Each action with what it quotes.
    pub(super) fn texts(&self) -> &[&'a str] {
        &self.texts
    }
}

/// What follows the opening of a comment.
fn comment(action: &str) -> Option<&str> {
    let trimmed = action.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace)).map(str::trim_start);
    trimmed.unwrap_or(action).strip_prefix("/*")
}

/// Reads up to the end of an action, as Go does: what ends an action ends none within a text in quotes.
fn read_action<'a>(action: &'a str, found: &mut Vec<&'a str>) -> Option<&'a str> {
    let (mut rest, mut before) = (action, ' ');
    loop {
        if let Some(behind) = rest.strip_prefix("}}") {
            return Some(behind);
        }
        let sign = rest.chars().next()?;
        let length = match sign {
            '"' | '\'' => quoted(rest, sign)?,
            '`' => rest.get(1..)?.find('`')? + 2,
            _ if is_of_word(sign) => {
                let length = rest.find(|sign| !is_of_word(sign)).unwrap_or(rest.len());
                let word = rest.get(..length)?;
                // Fields, variables and numbers are no functions.
                if !matches!(before, '.' | '$') && !sign.is_numeric() {
                    found.push(word);
                }
                length
            }
            _ => sign.len_utf8(),
        };
        before = sign;
        rest = rest.get(length..)?;
    }
}

fn is_of_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// The length of a text in quotes, with both of them.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = true;
    for (place, sign) in text.char_indices() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' => return None,
            _ if sign == quote => return Some(place + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fixed_with(path: &str, bytes: &[u8]) -> bool {
        is_fixed(&[("Chart.yaml".to_owned(), b"name: {{ now }}".to_vec()), (path.to_owned(), bytes.to_vec())])
    }

    #[test]
    fn t18_a_chart_is_fixed_by_what_it_is_given_if_each_function_of_it_is_known() {
        for fixed in [
            "",
            "a: now {{ .Values.now.lookup | default \"now }} lookup\" | quote }}",
            "{{- /* lookup }} now */ -}}{{/* now */}}",
            "{{- define \"a.b\" -}}{{- $now := .Release.Name | trunc 63 | trimSuffix \"-\" }}{{ $now }}{{- end }}",
            "{{ if and .Values.a (eq (len .Values.b) 0x1f) }}{{ include `now` . | nindent 4 }}{{ else }}{{ end }}",
            "{{ range $key, $value := .Values.map }}{{ $key }}: {{ $value | toString | b64enc }}{{ end }}",
            "{{ if .Capabilities.APIVersions.Has \"x/v1\" }}{{ .Release.Revision }}{{ end }}",
            "{{ eq 'x' 'y' }} {{ \"\\\" now\" }}",
        ] {
            assert!(is_fixed_with("templates/a.yaml", fixed.as_bytes()), "{fixed}");
        }
        for open in [
            "{{ now }}",
            "{{ (lookup \"v1\" \"Secret\" \"\" \"x\").data }}",
            "{{- if not (lookup \"v1\" \"Secret\" \"\" \"x\") }}{{ end }}",
            // Where a text in quotes or a comment seems to end the action, it goes on.
            "{{ print \"}}\" (lookup \"v1\" \"Secret\" \"\" \"x\") }}",
            "{{ print `}}` now }}",
            "{{ print \"\\\"}}\" now }}",
            "{{ print '}' now }}",
            "{{/* a }} */}}{{ now }}",
            "{{ randAlphaNum 8 }}",
            "{{ uuidv4 }}",
            "{{ genCA \"x\" 9 }}",
            "{{ getHostByName \"x\" }}",
            "{{ tpl .Values.text . }}",
            "{{ keys .Values.map | first }}",
            "{{ aFunctionOfTomorrow }}",
            "{{ now",
            "{{ print \"}}",
            "{{ print \"\n\" }}",
            "{{/* x }}",
        ] {
            assert!(!is_fixed_with("templates/a.yaml", open.as_bytes()), "{open}");
        }
        assert!(is_fixed_with("README.md", b"{{ now }}"));
        assert!(is_fixed_with("logo.png", &[0xff, 0xfe]));
        assert!(!is_fixed_with("charts/db/templates/a.yaml", b"{{ now }}"));
        assert!(!is_fixed_with("charts/db-1.0.0.tgz", &[0x1f, 0x8b, 8]));
        assert!(!is_fixed_with("templates/a.yaml", &[0xff, 0xfe]));
    }
}
