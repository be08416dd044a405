"""The chart as Helm renders it, read by Kubernetes' own types, the linter and the real Envoy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.tools.find import ENVOY
from admissibility_devtools.tools.places import repository_root
from envoy_extauthz_lint import lint
from sidecar.cli.lint_options import lint_options
from sidecar.opa.location import locate
from sidecar.resources import versions
from sidecar.service.config import SignedPolicies, load
from tests.process.envoy.certificates import serve_as
from tests.process.kubernetes.chart import CHART, REQUIRED, refusal, rendered
from tests.support.go_program import built

HERE = Path(__file__).parent
ROOT = repository_root()
AZURE = ("provider.api=azure", "provider.host=models.openai.azure.com")
BEDROCK = ("provider.api=bedrock", "provider.region=us-east-1")
VERTEX = ("provider.api=vertex", "provider.host=us-central1-aiplatform.googleapis.com")
VLLM = ("provider.api=vllm", "provider.host=vllm.models.svc", "provider.port=8443")
SANDBOX = "sandbox=true"
RELEASES: dict[str, tuple[str, ...]] = {
    "jwt": (),
    "sandbox": (SANDBOX,),
    "registration": ("registration.enabled=true", "replicas=1"),
    "azure": AZURE,
    "sandbox-azure": (*AZURE, SANDBOX),
    "bedrock": BEDROCK,
    "sandbox-bedrock": (*BEDROCK, SANDBOX),
    "vertex": VERTEX,
    "sandbox-vertex": (*VERTEX, SANDBOX),
    "vllm": (*VLLM, "provider.caSecretName=roots"),
    "sandbox-vllm": (*VLLM, SANDBOX),
}
"""A release for each reference configuration that the chart has."""


def test_the_chart_finds_in_each_reference_what_it_replaces() -> None:
    # Where there is no Helm this fails first when a reference is edited.
    wanted = {
        "socket_address: {address: 127.0.0.1, port_value: (10000|10002)}": 1,
        "        - name: applications\n": 1,
        "    # ---- The provider -": 1,
        "cluster: provider\n": 1,
    }
    texts = {name: (ROOT / "envoy" / f"{name}.yaml").read_text() for name in [*RELEASES, "egress"]}
    assert {
        (name, pattern)
        for name, text in texts.items()
        for pattern, times in wanted.items()
        if len(re.findall(pattern, text)) != times
    } == set()
    assert {
        path.name: path.resolve() for path in (CHART / "files").iterdir() if path.is_symlink()
    } == {
        "envoy": ROOT / "envoy",
        "alerts.yml": ROOT / "deploy" / "alerts.yml",
        "dashboard.json": ROOT / "deploy" / "dashboard.json",
    }


@pytest.mark.kubernetes
@pytest.mark.parametrize("reference", RELEASES)
def test_each_release_is_its_reference_and_passes_the_linter_and_the_real_envoy(
    reference: str, tmp_path: Path
) -> None:
    text = rendered(*RELEASES[reference]).files["envoy.yaml"]
    assert text.startswith(
        f"# Made by the chart admissibility-gateway 0.1.0 from envoy/{reference}.yaml,"
    )
    findings = lint(text.encode(), lint_options()).findings
    changed = set(text.splitlines()) - set(
        (ROOT / "envoy" / f"{reference}.yaml").read_text().splitlines()
    )
    hosted = set((ROOT / "envoy" / "egress.yaml").read_text().splitlines())
    assert ([str(each) for each in findings], len(changed - hosted) < 30) == ([], True)
    _, roots = serve_as("listener", tmp_path / "made")
    here = text.replace("/etc/envoy/provider-ca/ca.crt", str(roots)).replace(
        "/etc/envoy/", f"{tmp_path}/"
    )
    (tmp_path / "envoy.yaml").write_text(here)
    for name in ("listener.yaml", "credential/provider.yaml", "credential/aws"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    command = [str(locate(ENVOY)), "--mode", "validate", "-c", str(tmp_path / "envoy.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["OK"]), done.stderr


@pytest.mark.kubernetes
def test_every_object_has_only_fields_that_kubernetes_knows() -> None:
    program = built(HERE / "objects", "kubernetes_objects", pytest.skip)
    many = rendered(
        "monitoring.enabled=true",
        "monitoring.dashboard.enabled=true",
        "trust.configMapName=",
        "trust.files.trust\\.yaml=version: 1",
        "trust.secretName=shown-to-sources",
        "policies.configMapName=ours",
        "provider.api=vllm",
        "provider.host=vllm.models.svc",
        "provider.caSecretName=roots",
        "networkPolicy.from[0].namespaceSelector.matchLabels.team=support",
        "networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus",
    )
    done = subprocess.run(
        [program], input=many.text, capture_output=True, text=True, check=False, timeout=60
    )
    name = "models-admissibility-gateway"
    assert sorted(done.stdout.splitlines()) == [
        f"ok ConfigMap {name}",
        f"ok ConfigMap {name}-dashboard",
        f"ok ConfigMap {name}-trust",
        f"ok NetworkPolicy {name}",
        f"ok Pod {name}-canary",
        f"ok PodDisruptionBudget {name}",
        f"ok PodMonitor {name}",
        f"ok PrometheusRule {name}",
        f"ok Service {name}",
        f"ok Service {name}-gates",
        f"ok StatefulSet {name}",
    ]
    relay = (ROOT / "deploy" / "relay" / "kubernetes.yaml").read_text()
    done = subprocess.run([program], input=relay, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "ok Service admissibility-relay",
        "ok Deployment admissibility-relay",
    ]
    misspelt = many.text.replace("fsGroupChangePolicy", "fsGroupChangedPolicy")
    wrong = subprocess.run([program], input=misspelt, capture_output=True, text=True, check=False)
    assert 'unknown field "spec.template.spec.securityContext.fsGroupChangedPolicy"' in wrong.stdout


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "no TLS": (
        ("listener.tls.secretName=",),
        "listener.tls.secretName: callers' credentials need TLS",
    ),
    "no trust": (("trust.configMapName=",), "trust: name a ConfigMap with trust.yaml"),
    "trust twice": (("trust.files.trust\\.yaml=x",), "trust: configMapName and files exclude"),
    "no trust.yaml": (
        ("trust.configMapName=", "trust.files.root\\.json=x"),
        "trust.files: trust.yaml is not among them",
    ),
    "no key": (("credential.secretName=",), "credential.secretName: name the Secret"),
    "no host": (("provider.api=azure",), "provider.host: required for provider.api=azure"),
    "no region": (("provider.api=bedrock",), "provider.region: required for bedrock"),
    "registration of one replica": (
        ("registration.enabled=true",),
        "registration: with more than one replica, registration.existingClaim",
    ),
    "registration elsewhere": (
        ("registration.enabled=true", "replicas=1", *AZURE),
        "registration: the chart has a configuration for provider.api=openai",
    ),
    "a misspelt value": (("provider.hots=x",), "additional properties 'hots' not allowed"),
    "an unknown provider": (("provider.api=other",), "value must be one of 'openai', 'azure'"),
    "a host that ends the line": (("provider.host=a\\,b",), "does not match pattern"),
}


@pytest.mark.kubernetes
def test_what_is_missing_or_contradicts_is_an_error_that_says_what_to_do() -> None:
    found = {name: refusal(*REQUIRED, *settings) for name, (settings, _) in REFUSED.items()}
    assert {name for name, (_, words) in REFUSED.items() if words not in found[name]} == set()


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in (*pod.get("initContainers", []), *pod["containers"])}


@pytest.mark.kubernetes
def test_every_container_is_read_only_unprivileged_and_not_root_and_its_image_pinned() -> None:
    made = rendered()
    pods = [
        made.named("StatefulSet")["spec"]["template"]["spec"],
        made.named("Pod", "-canary")["spec"],
    ]
    contained = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    held = {
        name: (each["image"], each["securityContext"], "memory" in each["resources"]["limits"])
        for pod in pods
        for name, each in containers(pod).items()
    }
    own = "admissibility-standalone:0.1.0"
    assert held == {
        "gate": (own, contained, True),
        "envoy": (f"envoyproxy/envoy:distroless-v{versions.ENVOY}", contained, True),
        "canary": (own, contained, True),
    }
    assert [
        (pod["automountServiceAccountToken"], pod["securityContext"]["runAsNonRoot"])
        for pod in pods
    ] == [(False, True)] * 2
    assert pods[0]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


@pytest.mark.kubernetes
def test_the_provider_s_key_is_in_envoy_s_container_alone_and_whom_to_trust_in_the_gate_s() -> None:
    pod = rendered("provider.api=vllm", "provider.host=h", "trust.secretName=s").named(
        "StatefulSet"
    )
    held = {
        name: {mount["name"]: mount["mountPath"] for mount in each["volumeMounts"]}
        for name, each in containers(pod["spec"]["template"]["spec"]).items()
    }
    assert held == {
        "gate": {
            "config": "/etc/admissibility/sidecar.yaml",
            "trust": "/etc/admissibility/trust",
            "state": "/var/lib/admissibility",
            "tmp": "/tmp",
        },
        "envoy": {
            "config": "/etc/envoy/listener.yaml",
            "tls": "/etc/envoy/tls",
            "credential": "/etc/envoy/credential",
        },
    }
    volumes = {each["name"]: each for each in pod["spec"]["template"]["spec"]["volumes"]}
    modes = [volumes["trust"]["projected"]["defaultMode"]]
    modes += [volumes[name]["secret"]["defaultMode"] for name in ("tls", "credential")]
    assert modes == [0o440] * 3


@pytest.mark.kubernetes
def test_nobody_may_connect_but_who_is_listed() -> None:
    def ingress(*settings: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = rendered(*settings).named("NetworkPolicy")["spec"]["ingress"]
        return found

    canary = {
        "podSelector": {
            "matchLabels": {
                "app.kubernetes.io/name": "admissibility-gateway-canary",
                "app.kubernetes.io/instance": "models",
            }
        }
    }
    team = {"namespaceSelector": {"matchLabels": {"team": "support"}}}
    assert (
        ingress(),
        ingress("networkPolicy.from[0].namespaceSelector.matchLabels.team=support"),
    ) == (
        [{"ports": [{"port": "listener"}], "from": [canary]}],
        [{"ports": [{"port": "listener"}], "from": [canary, team]}],
    )


@pytest.mark.kubernetes
def test_the_gate_s_configuration_is_valid_and_an_operator_s_settings_win(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text(
        rendered("gate.settings.deadline_ms=700", "gate.workers=2").files["sidecar.yaml"]
    )
    found = load(path)
    assert (found.listen, found.metrics, found.deadline_ms, found.workers, str(found.trust)) == (
        "127.0.0.1:9191",
        "0.0.0.0:9464",
        700,
        2,
        "/etc/admissibility/trust/trust.yaml",
    )
    pod = rendered().named("StatefulSet")["spec"]["template"]["spec"]
    assert (
        pod["terminationGracePeriodSeconds"] > 2 * yaml.safe_load(path.read_text())["stop_seconds"]
    )
    held = "/etc/admissibility/policy"
    assert found.policies == SignedPolicies(
        bundle=Path(held, "bundle.tar.gz"), verification_key=Path(held, "verification.pem")
    )
    _, standalone = (ROOT / "Dockerfile").read_text().split("\nFROM gate AS standalone\n")
    assert f"COPY --from=build /out/bundle.tar.gz /out/verification.pem {held}/" in standalone


@pytest.mark.kubernetes
def test_the_dashboard_is_word_for_word_and_only_where_it_is_asked_for() -> None:
    found = rendered("monitoring.dashboard.enabled=true").named("ConfigMap", "-dashboard")
    text = (ROOT / "deploy" / "dashboard.json").read_text()
    assert found["data"] == {"admissibility.json": text.rstrip("\n")}
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert "-dashboard" not in rendered().text
