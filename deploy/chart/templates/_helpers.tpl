{{- define "admissibility.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "admissibility.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "admissibility.labels" -}}
{{ include "admissibility.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "admissibility.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}

{{- /* What no release may lack, or combine. An omission is an error here, never a default that is open. */ -}}
{{- define "admissibility.checked" -}}
{{- with .Values -}}
{{- if not (or .listener.tls.secretName .listener.plaintext) -}}
{{- fail "listener.tls.secretName: callers' credentials need TLS; name a Secret with tls.crt and tls.key, or set listener.plaintext=true where a mesh encrypts what reaches the pod" -}}
{{- end -}}
{{- if not (or .trust.configMapName .trust.files) -}}
{{- fail "trust: name a ConfigMap with trust.yaml and the pinned roots (trust.configMapName), or give the files (trust.files)" -}}
{{- end -}}
{{- if and .trust.configMapName .trust.files -}}
{{- fail "trust: configMapName and files exclude each other" -}}
{{- end -}}
{{- if and .trust.files (not (hasKey .trust.files "trust.yaml")) -}}
{{- fail "trust.files: trust.yaml is not among them" -}}
{{- end -}}
{{- if not (or .credential.secretName .envoy.config) -}}
{{- fail "credential.secretName: name the Secret with the provider's credential (key provider.yaml; aws for bedrock)" -}}
{{- end -}}
{{- if and .registration.enabled (gt (int .replicas) 1) (not .registration.existingClaim) -}}
{{- fail "registration: with more than one replica, registration.existingClaim must name a volume that all of them can write to (or set replicas=1): an object registered at one would be unknown at the others" -}}
{{- end -}}
{{- if and .registration.enabled (not .envoy.config) (or .sandbox (ne .provider.api "openai")) -}}
{{- fail "registration: the chart has a configuration for provider.api=openai without sandbox; for others give envoy.config (envoy/README.md says what to change)" -}}
{{- end -}}
{{- end -}}
{{- end -}}
