{{- /* The registry of all charts wins over the one of the image. */ -}}
{{- define "global.image" -}}
{{- $registry := .image.registry -}}
{{- if .global -}}{{- $registry = .global.imageRegistry | default $registry -}}{{- end -}}
{{- $mark := ternary "@" ":" (not (empty .image.digest)) -}}
{{ printf "%s/%s%s%s" $registry .image.repository $mark (.image.digest | default (.image.tag | toString)) }}
{{- end -}}
