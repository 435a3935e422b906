//! Whether a template may take all that helm gives it as one value: its root, with what the cluster is and with the number of
//! the revision. Who writes that down, or walks over it, need not name what is in it.

/// What hands a value on to another template, which is looked at by itself.
const HANDS_ON: [&str; 4] = ["include", "template", "block", "tpl"];

/// Looks at the actions of one template in their order: `$`, and `.` where it may be the root, may only be handed on to a
/// template, or lead to a field. Where a template is defined, `.` may be the root.
pub(super) fn takes_whole_root(actions: &[&str]) -> bool {
    // For each block that is open, whether `.` is a part of what it is outside.
    let mut blocks: Vec<bool> = Vec::new();
    for action in actions {
        let (first, behind) = word(action.trim_start_matches('-'));
        let (second, _) = word(behind);
        // What follows the word is still outside of the block.
        let left = usize::from(first == "else");
        let dot_may_be_root = !blocks.iter().rev().skip(left).any(|is_part| *is_part);
        if has_whole(action, dot_may_be_root) {
            return true;
        }
        let takes_part = |word: &str| matches!(word, "with" | "range");
        match first {
            "if" | "define" | "block" | "with" | "range" => blocks.push(takes_part(first)),
            "else" => {
                if let Some(is_part) = blocks.last_mut() {
                    *is_part = takes_part(second);
                }
            }
            "end" => drop(blocks.pop()),
            _ => {}
        }
    }
    false
}

/// The first word of a text, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(text.find(|sign| !is_of_word(sign)).unwrap_or(text.len()))
}

fn is_of_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

/// Whether an action has a value of its own that is `$`, or `.`, in another place than behind what hands it on.
fn has_whole(action: &str, dot_may_be_root: bool) -> bool {
    // The function of each command that is open, the innermost last.
    let mut heads: Vec<Option<&str>> = vec![None];
    let (mut rest, mut before) = (action, ' ');
    while let Some(sign) = rest.chars().next() {
        let behind = rest.get(sign.len_utf8()..).unwrap_or_default();
        let next = behind.chars().next().unwrap_or(' ');
        let mut length = sign.len_utf8();
        match sign {
            '"' | '\'' => length = end_of_quote(rest, sign),
            '`' => length = behind.find('`').map_or(rest.len(), |end| end + 2),
            '(' => heads.push(None),
            ')' if heads.len() > 1 => {
                heads.pop();
            }
            '|' | '=' => {
                if let Some(head) = heads.last_mut() {
                    *head = None;
                }
            }
            '.' | '$' if !(is_of_word(next) || sign == '$' && next == '.') => {
                let is_handed_on = heads.last().copied().flatten().is_some_and(|head| HANDS_ON.contains(&head));
                if (sign == '$' || dot_may_be_root) && !is_handed_on {
                    return true;
                }
            }
            _ if is_of_word(sign) => {
                length = rest.find(|sign| !is_of_word(sign)).unwrap_or(rest.len());
                let word = rest.get(..length).unwrap_or_default();
                let is_statement = matches!(word, "if" | "else" | "with" | "range" | "define" | "end");
                if !matches!(before, '.' | '$')
                    && !is_statement
                    && let Some(head @ None) = heads.last_mut()
                {
                    *head = Some(word);
                }
            }
            _ => {}
        }
        before = rest.get(..length).and_then(|token| token.chars().next_back()).unwrap_or(sign);
        rest = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The length of a text in quotes, with both of them; all that follows where it has no end.
fn end_of_quote(text: &str, quote: char) -> usize {
    let mut is_escaped = true;
    for (place, sign) in text.char_indices() {
        match sign {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if sign == quote => return place + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helm::fixed::Actions;

    fn takes(template: &str) -> bool {
        takes_whole_root(Actions::read(template).unwrap().texts())
    }

    #[test]
    fn t18_a_root_that_is_only_handed_on_or_asked_for_its_fields_is_not_taken_whole() {
        for template in [
            "a: {{ .Values.a }} {{ $.Release.Name }} {{ eq 1.5 .Values.b }}",
            "{{ include \"x\" . }} {{- template \"x\" $ -}} {{ include \"y\" $ | nindent 4 }} {{ tpl .Values.text $ }}",
            "{{- with .Values.nodeSelector }}{{ toYaml . | nindent 8 }}{{ end }}",
            "{{ range .Values.list }}{{ if .a }}{{ . | quote }}{{ else }}{{ toJson . }}{{ end }}{{ end }}",
            "{{ range $key, $value := .Values.map }}{{ $key }}: {{ $value }} {{ include \"x\" $ }}{{ end }}",
            "{{ define \"x\" }}{{ printf \"%s.%s\" .Chart.Name \". $\" | trunc 63 }}{{ end }}",
            "{{ if (include \"x\" .) }}{{ (lookup .Values.a).data }}{{ end }}",
            "{{ with .Values.a }}{{ else with .Values.b }}{{ toYaml . }}{{ end }}",
            "{{with(.Values.a)}}{{if(eq .b 1)}}{{end}}{{toYaml .}}{{end}}",
        ] {
            assert!(!takes(template), "{template}");
        }
    }

    #[test]
    fn t18_a_root_that_is_taken_whole_is_found() {
        for template in [
            "{{ . }}",
            "{{ $ }}",
            "{{ toYaml . }}",
            "{{- toJson $ | sha256sum -}}",
            "{{ . | toYaml }}",
            "{{ index . \"Release\" }}",
            "{{ index $ (printf \"%s%s\" \"Rel\" \"ease\") }}",
            "{{ range $key, $value := . }}{{ end }}",
            "{{ with $ }}{{ toYaml . }}{{ end }}",
            "{{ $all := . }}",
            "{{ $all := $ }}",
            "{{ include \"x\" (dict \"root\" $) }}",
            "{{ include \"x\" (list .) }}",
            "{{ (.) | toYaml }}",
            "{{ print `}}` . }}",
            "{{ with .Values.a }}{{ else }}{{ toYaml . }}{{ end }}",
            "{{ with .Values.a }}{{ end }}{{ toYaml . }}",
            "{{ if .Values.a }}{{ toYaml . }}{{ end }}",
            "{{ define \"x\" }}{{ toYaml . }}{{ end }}",
            "{{ range .Values.a }}{{ toYaml $ }}{{ end }}",
            "{{ with .Values.a }}{{ else with . }}{{ end }}",
            "{{ include \"x\" . | printf \"%s%v\" \"\" $ }}",
        ] {
            assert!(takes(template), "{template}");
        }
    }
}
