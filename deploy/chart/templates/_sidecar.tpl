{{- /* sidecar.yaml: what follows from the pod, with `gate.settings` over it. */ -}}
{{- define "admissibility.sidecar" -}}
{{- $own := dict
    "listen" "127.0.0.1:9191"
    "metrics" "0.0.0.0:9464"
    "trust" "/etc/admissibility/trust/trust.yaml"
    "policies" (dict "bundle" "/etc/admissibility/policy/bundle.tar.gz" "verification_key" "/etc/admissibility/policy/verification.pem")
    "decision_log" "-"
    "stop_seconds" (int .Values.drainSeconds)
    "workers" (int .Values.gate.workers) -}}
{{- if .Values.registration.enabled -}}
{{- $folder := ne .Values.registration.existingClaim "" | ternary "/var/lib/admissibility-registration" "/var/lib/admissibility" -}}
{{- $_ := set $own "registration" (dict "folder" (printf "%s/objects" $folder) "key" (printf "%s/registration.key" $folder)) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $own (deepCopy .Values.gate.settings)) -}}
{{- end -}}
