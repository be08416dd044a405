#!/bin/sh
# Asks an adapter on vLLM one question in the form of Anthropic's Messages API, with curl, through the local Envoy.
set -eu

# The file holds a JWT-SVID, which lasts minutes: it is read for each call.
answer=$(curl --silent --show-error --fail-with-body \
  "${BASE_URL:-http://127.0.0.1:10000/v1}/messages" \
  --header "Content-Type: application/json" \
  --header "anthropic-version: 2023-06-01" \
  --header "x-environment-credential: $(cat "$CREDENTIAL_FILE")" \
  --data "{\"model\": \"$MODEL\", \"max_tokens\": 64, \"messages\": [{\"role\": \"user\", \"content\": \"Where is my refund?\"}]}") || {
  echo "denied: $answer" >&2
  exit 1
}
echo "$answer"
