#!/bin/sh
# Asks an adapted model one question with curl, through the local Envoy.
set -eu

# The file holds a JWT-SVID, which lasts minutes: it is read for each call.
answer=$(curl --silent --show-error --fail-with-body \
  "${BASE_URL:-http://127.0.0.1:10000/v1}/chat/completions" \
  --header "Content-Type: application/json" \
  --header "x-environment-credential: $(cat "$CREDENTIAL_FILE")" \
  --data "{\"model\": \"$MODEL\", \"messages\": [{\"role\": \"user\", \"content\": \"Where is my refund?\"}]}") || {
  echo "denied: $answer" >&2
  exit 1
}
echo "$answer"
