# ruff: noqa: INP001
"""Call the gateway without a credential: exit status 0 only if the gate itself denies the call.

``python canary.py URL``. Nothing secret is sent, so the certificate is not verified.
"""

import http.client
import ssl
import sys
from urllib.parse import urlsplit

BODY = '{"model": "ft:canary-that-does-not-exist:canary::0", "messages": []}'

url = urlsplit(sys.argv[1])
assert url.hostname is not None
if url.scheme == "https":
    unverified = ssl._create_unverified_context()  # noqa: S323
    made = http.client.HTTPSConnection(url.hostname, url.port, timeout=10, context=unverified)
else:
    made = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
made.request("POST", "/v1/chat/completions", BODY, {"content-type": "application/json"})
answer = made.getresponse()
reason = answer.headers.get("x-admissibility-reason")
sys.stdout.write(f"status {answer.status}, x-admissibility-reason {reason}\n")
sys.exit(0 if answer.status in {400, 401, 403} and reason else 1)
