{{- /* The plugin directory of a node: docs/platforms.md. */ -}}
{{- define "x-calico-route.pluginDir" -}}
{{- $of := dict "k3s" "/var/lib/rancher/k3s/data/cni" "openshift" "/var/lib/cni/bin" "gke" "/home/kubernetes/bin" -}}
{{- .Values.pluginDir | default (get $of .Values.platform) | default "/opt/cni/bin" -}}
{{- end -}}

{{- define "x-calico-route.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What install and agent have in common: where the plugin goes, and its gate. */ -}}
{{- define "x-calico-route.args" -}}
{{- $dir := include "x-calico-route.pluginDir" . -}}
{{- if and .Values.gate.atOnce .Values.gate.noGate }}
{{- fail "gate: atOnce and noGate exclude each other; remove one of them" }}
{{- end }}
{{- if ne $dir "/opt/cni/bin" }}
- --to={{ $dir }}
{{- end }}
{{- if .Values.gate.atOnce }}
- --at-once={{ .Values.gate.atOnce }}
{{- end }}
{{- if .Values.gate.noGate }}
- --no-gate
{{- end }}
{{- end -}}

{{- /* A file of files/, as conf-examples/monitoring has it, in the namespace and with the labels of the values. */ -}}
{{- define "x-calico-route.monitoring" -}}
{{- $name := .Values.namespace.name -}}
{{- $text := .Files.Get .file | replace "job=\"x-calico-route/" (printf "job=\"%s/" $name) | replace "-n x-calico-route " (printf "-n %s " $name) -}}
{{- $object := fromYaml $text -}}
{{- $labels := merge (dict) $object.metadata.labels .Values.monitoring.labels -}}
{{- $_ := set $object "metadata" (merge (dict "namespace" $name "labels" $labels) $object.metadata) -}}
{{- toYaml $object -}}
{{- end -}}
