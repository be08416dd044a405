"""Tuning jobs of Bedrock and Vertex AI are their environment's: the providers' own SDKs.

`envoy/bedrock.yaml` and `envoy/vertex.yaml`, changed as their guide describes; real gate and OPA.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import ClientError

from admissibility_devtools.tools.envoy_config import Gated, reference
from admissibility_devtools.tools.places import repository_root
from envoy_extauthz_lint import Severity, lint
from sidecar.cli.lint_options import lint_options
from tests.process.envoy.config import SEAL, host, manager
from tests.process.envoy.sites import CREDENTIAL, Wired, wire
from tests.process.registration.stage import OTHER_ENV
from tests.process.service.site import Site, in_the_present
from tests.support.simulator.constants import ENV
from tests.support.simulator.party import grant
from tests.support.simulator.world import World, parties_world

SPECIFICATION = "x-environment-specification"
REGION, ACCOUNT = "eu-central-1", "123456789012"
ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-customization-job/amazon.nova-lite-v1:0/abc123"
PROJECT = "projects/acme/locations/europe-west4"
UNREGISTERED = (403, "object_unregistered")
Outcome = Any
"""Status and code of a refusal; of an answer, the job's name in it."""


@dataclass(frozen=True, slots=True)
class Api:
    """A provider's API of tuning jobs.

    Attributes:
        name: Of its reference configuration and its table of operations.
        base: The model that is tuned, as its SDK names it.
        listed: The same, as evidence names it.
        job: The name of the created job, as the provider answers it.
        answer: What the provider answers to everything.
        regex: The paths that create one.
        certified: The host of the API.
        call: Creates, reads or stops a job through Envoy, given headers.
    """

    name: Gated
    base: str
    listed: str
    job: str
    answer: dict[str, Any]
    regex: str
    certified: str
    call: Callable[[str, str, dict[str, str]], Outcome]


def bedrock(action: str, url: str, headers: dict[str, str]) -> Outcome:
    """With boto3, as its guide creates, reads and stops a job."""
    client = boto3.client(
        "bedrock",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="AKIDAPPLICATION",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register(
        "before-call.bedrock", lambda params, **_: params["headers"].update(headers)
    )
    try:
        if action == "create":
            made = client.create_model_customization_job(
                jobName="support",
                customModelName="support-v3",
                roleArn=f"arn:aws:iam::{ACCOUNT}:role/tuning",
                baseModelIdentifier=BEDROCK.base,
                trainingDataConfig={"s3Uri": "s3://acme-corpora/train.jsonl"},
                outputDataConfig={"s3Uri": "s3://acme-corpora/output/"},
                hyperParameters={"epochCount": "2"},
            )
            return made["jobArn"]
        if action == "read":
            return client.get_model_customization_job(jobIdentifier=ARN)["jobArn"]
        client.stop_model_customization_job(jobIdentifier=ARN)
    except ClientError as error:
        shown = error.response["ResponseMetadata"]
        return shown["HTTPStatusCode"], shown["HTTPHeaders"].get("x-admissibility-reason")
    return ARN


def vertex(action: str, url: str, headers: dict[str, str]) -> Outcome:
    """With Google's SDK, which answers by the number of the project."""
    # Here, for the other workers: only this function needs it, and it takes long to import.
    from google import genai  # noqa: PLC0415
    from google.genai import errors, types  # noqa: PLC0415
    from google.oauth2.credentials import Credentials  # noqa: PLC0415

    options = types.HttpOptions(base_url=url, headers=headers)
    client = genai.Client(
        vertexai=True,
        project="acme",
        location="europe-west4",
        credentials=Credentials("none"),  # type: ignore[no-untyped-call]
        http_options=options,
    )
    try:
        if action == "create":
            files = types.TuningDataset(gcs_uri="gs://acme-corpora/train.jsonl")
            return client.tunings._tune(base_model=VERTEX.base, training_dataset=files).name
        if action == "read":
            return client.tunings.get(name=VERTEX.job).name
        client.tunings.cancel(name=VERTEX.job)
    except errors.APIError as error:
        (info,) = error.details["error"]["details"]
        return error.code, info["metadata"]["code"]
    finally:
        client.close()
    return VERTEX.job


BEDROCK = Api(
    "bedrock",
    f"arn:aws:bedrock:{REGION}::foundation-model/amazon.nova-lite-v1:0:300k",
    "bedrock/amazon.nova-lite-v1:0:300k",
    ARN,
    {"jobArn": ARN, "status": "InProgress"},
    "/(model-customization-jobs|async-invoke)",
    f"bedrock.{REGION}.amazonaws.com",
    bedrock,
)
VERTEX = Api(
    "vertex",
    "gemini-2.5-flash",
    "vertex/publishers/google/models/gemini-2.5-flash",
    f"{PROJECT.replace('acme', '123456789')}/tuningJobs/42",
    {"name": f"{PROJECT.replace('acme', '123456789')}/tuningJobs/42", "state": "JOB_STATE_RUNNING"},
    "/v1(beta1)?/projects/[^/]+/locations/[^/]+/tuningJobs",
    "europe-west4-aiplatform.googleapis.com",
    vertex,
)


def registering(api: Api) -> str:
    """The reference configuration with the changes of ``envoy/README.md``."""
    text = (repository_root() / "envoy" / "README.md").read_text(encoding="utf-8")
    _, _, section = text.partition("\n## Registration for Bedrock and Vertex AI\n")
    (route,), unprocessed = (
        yaml.load(block.partition("```")[0], Loader=yaml.CSafeLoader)
        for block in section.split("```yaml\n")[1:3]
    )
    config = yaml.load(reference(api.name), Loader=yaml.CSafeLoader)
    if api.name == "bedrock":
        text = yaml.safe_dump(config).replace("bedrock-runtime.", "bedrock.")
        config = yaml.load(text, Loader=yaml.CSafeLoader)
    chain = manager(config)["http_filters"]
    (behind,) = (place for place, each in enumerate(chain, 1) if each["name"] == SEAL)
    shown = manager(yaml.load(reference("registration"), Loader=yaml.CSafeLoader))["http_filters"]
    chain[behind:behind] = [one for one in shown if one["name"] == "envoy.filters.http.ext_proc"]
    routes = host(config)["routes"]
    (everything,) = routes
    route["match"]["safe_regex"]["regex"] = api.regex
    checked = everything["typed_per_filter_config"]
    route |= {"route": everything["route"], "typed_per_filter_config": dict(checked)}
    checked.update(unprocessed)
    routes.insert(0, route)
    return str(yaml.safe_dump(config))


@dataclass(frozen=True, slots=True)
class Jobs:
    """What runs: an environment each, Envoy, and what reached the provider."""

    api: Api
    site: Site
    wired: Wired
    specification: str

    def call(self, action: str, environment: str = ENV) -> Outcome:
        token = self.site.issuer.jwt_svid(environment, self.site.now)
        headers = {CREDENTIAL: token}
        if action == "create":
            headers[SPECIFICATION] = self.specification
        return self.api.call(action, self.wired.envoy.url, headers)


def tuning(api: Api) -> World:
    """Two environments that may tune the base model, under a specification."""
    world = parties_world()
    world.join("provider", grant("provider", base_models=(f"{api.name}/**",)))
    for name, granted in world.grants.items():
        world.grants[name] = tuple(replace(one, models=(f"{api.name}/**",)) for one in granted)
    for label, environment in (("environment", ENV), ("other", OTHER_ENV)):
        world.declare(environment, label, baseModels=[], tuningModels=[api.listed])
    world.specify(models=[f"{api.name}/**"])
    return world


@contextmanager
def running(api: Api, folder: Path) -> Iterator[Jobs]:
    with pytest.MonkeyPatch.context() as present:
        site = in_the_present(
            folder,
            present,
            lambda: tuning(api),
            open_operations=["fine_tuning.jobs.retrieve", "fine_tuning.jobs.cancel"],
            registration={"folder": "registrations", "key": "registration.pem"},
        )
        with site.start() as gate:
            port = int(gate.listen.rpartition(":")[2])
            with wire(
                api.name,
                folder / "wired",
                template=registering(api),
                certified=api.certified,
                gate=port,
            ) as wired:
                wired.provider.answer_with(json.dumps(api.answer).encode())
                yield Jobs(api, site, wired, site.world.digests["specification"])


@pytest.fixture(scope="module", params=[BEDROCK, VERTEX], ids=lambda api: api.name)
def jobs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jobs]:
    with running(request.param, tmp_path_factory.mktemp(request.param.name)) as found:
        yield found


def test_a_job_is_read_and_stopped_by_the_environment_that_created_it_alone(jobs: Jobs) -> None:
    before = [jobs.call(action) for action in ("read", "stop")]
    created = jobs.call("create")
    foreign = [jobs.call(action, OTHER_ENV) for action in ("read", "stop")]
    own = [jobs.call(action) for action in ("read", "stop")]
    assert (before, created, foreign, own) == (
        [UNREGISTERED] * 2,
        jobs.api.job,
        [UNREGISTERED] * 2,
        [jobs.api.job] * 2,
    )
    reached = [jobs.wired.site.seen(each) for each in jobs.wired.provider.received]
    assert [one.method for one in reached] == ["POST", "GET", "POST"]
    assert {one.headers["host"] for one in reached} == {jobs.api.certified}
    assert [one.headers[CREDENTIAL] for one in reached if CREDENTIAL in one.headers] == []


@pytest.mark.parametrize("api", [BEDROCK, VERTEX], ids=lambda api: api.name)
def test_the_linter_finds_nothing_in_the_changed_configuration(api: Api) -> None:
    found = lint(registering(api).encode(), lint_options()).findings
    assert [one for one in found if one.severity is not Severity.NOTE] == []
