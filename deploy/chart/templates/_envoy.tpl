{{- /*
  Envoy's configuration: a reference configuration of envoy/, word for word, but for what its own head says
  that an installation changes. Each change must find what it replaces exactly as often as expected, else
  rendering ends with an error: a reference that was edited is never half changed.
*/ -}}

{{- /* Replaces .old by .new in .text, which holds it .times times. */ -}}
{{- define "admissibility.replaced" -}}
{{- $found := sub (len (splitList .old .text)) 1 -}}
{{- if ne (int $found) (int .times) -}}
{{- fail (printf "envoy/%s.yaml: expected %q %d times, found it %d times" .reference .old (int .times) (int $found)) -}}
{{- end -}}
{{- replace .old .new .text -}}
{{- end -}}

{{- define "admissibility.reference" -}}
{{- with .Values -}}
{{- if .registration.enabled -}}registration
{{- else if .sandbox -}}{{ eq .provider.api "openai" | ternary "sandbox" (printf "sandbox-%s" .provider.api) }}
{{- else -}}{{ eq .provider.api "openai" | ternary "jwt" .provider.api }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "admissibility.providerHost" -}}
{{- with .Values.provider -}}
{{- if eq .api "bedrock" -}}
{{- printf "bedrock-runtime.%s.amazonaws.com" (required "provider.region: required for bedrock, such as eu-central-1" .region) -}}
{{- else if eq .api "openai" -}}
{{- .host | default "api.openai.com" -}}
{{- else -}}
{{- required (printf "provider.host: required for provider.api=%s" .api) .host -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The listener on the pod's address, with TLS whose files are taken anew when they change. */ -}}
{{- define "admissibility.withListener" -}}
{{- $values := .root.Values -}}
{{- $text := .text -}}
{{- $port := $values.sandbox | ternary 10002 10000 -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" (printf "socket_address: {address: 127.0.0.1, port_value: %d}" $port)
    "new" (printf "socket_address: {address: 0.0.0.0, port_value: %d}" (int $values.listener.port))) -}}
{{- $text = regexReplaceAll "max_active_downstream_connections: [0-9]+" $text
    (printf "max_active_downstream_connections: %d" (int $values.listener.maxConnections)) -}}
{{- if $values.listener.tls.secretName -}}
{{- $chain := "        - name: applications\n" -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" $chain "new" (printf "%s%s" $chain (include "admissibility.tls" .))) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- define "admissibility.tls" }}          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                tls_params: {tls_minimum_protocol_version: TLSv1_3}
                alpn_protocols: [h2, http/1.1]
                tls_certificate_sds_secret_configs:
                  - name: listener
                    sds_config:
                      resource_api_version: V3
                      path_config_source: {path: /etc/envoy/listener.yaml}
{{ end -}}

{{- /* The key is in a Secret's volume, where an update moves a link in its folder and no file. */ -}}
{{- define "admissibility.withCredential" -}}
{{- if eq .root.Values.provider.api "bedrock" -}}
{{- .text -}}
{{- else -}}
{{- include "admissibility.replaced" (dict "reference" .reference "text" .text "times" 1
    "old" "path_config_source: {path: /etc/envoy/credential/provider.yaml}"
    "new" "path_config_source: {path: /etc/envoy/credential/provider.yaml, watched_directory: {path: /etc/envoy/credential}}") -}}
{{- end -}}
{{- end -}}

{{- /* The cluster `provider`, which every reference has last: egress.yaml's, with its verified TLS. */ -}}
{{- define "admissibility.withHostedCluster" -}}
{{- $last := "(?s)    # ---- The provider -.*$" -}}
{{- $hosted := regexFind $last (.root.Files.Get "files/envoy/egress.yaml") -}}
{{- if or (not $hosted) (not (regexMatch $last .text)) -}}
{{- fail (printf "envoy/egress.yaml, envoy/%s.yaml: no cluster under the heading `The provider`" .reference) -}}
{{- end -}}
{{- printf "%s%s" (regexReplaceAll $last .text "") $hosted -}}
{{- end -}}

{{- define "admissibility.withProvider" -}}
{{- $provider := .root.Values.provider -}}
{{- $host := include "admissibility.providerHost" .root -}}
{{- $text := .text -}}
{{- $own := dict "azure" "acme-models.openai.azure.com" "bedrock" "eu-central-1" "vertex" "europe-west4-aiplatform.googleapis.com" -}}
{{- if hasKey $own $provider.api -}}
{{- $old := get $own $provider.api -}}
{{- $new := eq $provider.api "bedrock" | ternary $provider.region $host -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "old" $old "new" $new
    "times" (eq $provider.api "bedrock" | ternary 5 4)) -}}
{{- else if eq $provider.api "openai" -}}
{{- $route := "cluster: provider\n" -}}
{{- $rewrite := printf "%s                            host_rewrite_literal: %s\n" $route $host -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1 "old" $route "new" $rewrite) -}}
{{- $text = include "admissibility.withHostedCluster" (dict "root" .root "reference" .reference "text" $text) -}}
{{- $text = replace "api.openai.com" $host $text -}}
{{- else -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1 "old" "vllm.internal" "new" $host) -}}
{{- if $provider.plaintext -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" "type: STATIC\n      connect_timeout: 2s" "new" "type: STRICT_DNS\n      connect_timeout: 2s") -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" "{address: 127.0.0.1, port_value: 8080}" "new" (printf "{address: %s, port_value: %d}" $host (int $provider.port))) -}}
{{- else -}}
{{- $text = include "admissibility.withHostedCluster" (dict "root" .root "reference" .reference "text" $text) -}}
{{- $text = replace "api.openai.com" $host $text -}}
{{- if $provider.caSecretName -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" "/etc/ssl/certs/ca-certificates.crt" "new" "/etc/envoy/provider-ca/ca.crt") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (ne (int $provider.port) 443) (not $provider.plaintext) -}}
{{- $text = include "admissibility.replaced" (dict "reference" .reference "text" $text "times" 1
    "old" "port_value: 443}" "new" (printf "port_value: %d}" (int $provider.port))) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{- define "admissibility.envoy" -}}
{{- if .Values.envoy.config -}}
{{- .Values.envoy.config -}}
{{- else -}}
{{- $reference := include "admissibility.reference" . -}}
{{- $text := .Files.Get (printf "files/envoy/%s.yaml" $reference) -}}
{{- if not $text -}}
{{- fail (printf "provider.api: %q is none of openai, azure, bedrock, vertex, vllm" .Values.provider.api) -}}
{{- end -}}
{{- range list "withListener" "withCredential" "withProvider" -}}
{{- $text = include (printf "admissibility.%s" .) (dict "root" $ "reference" $reference "text" $text) -}}
{{- end -}}
# Made by the chart {{ .Chart.Name }} {{ .Chart.Version }} from envoy/{{ $reference }}.yaml, whose head and comments
# follow. Changed: the listener's address{{ if .Values.listener.tls.secretName }} and TLS{{ end }}, the provider's host, and that renewed files of a Secret are noticed.
{{ $text -}}
{{- end -}}
{{- end -}}
