"""A stand-in for the control plane of Amazon Bedrock: rest-json on the loopback.

It answers the reads that binding uses and the creation of a job, in the wire format of the service
model ``bedrock/2023-04-20`` (a test validates its answers against that). A job
succeeds when the test calls ``finish``. S3 is moto's.
"""

from __future__ import annotations

import http.server
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.support.http_listener import listening

ACCOUNT, REGION = "123456789012", "us-east-1"
ARN = f"arn:aws:bedrock:{REGION}:{ACCOUNT}"
BASE = "amazon.nova-lite-v1:0:300k"
BASE_ARN = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}"
JOB_ARN = f"{ARN}:model-customization-job/{BASE}/abcdef123456"
MODEL_ARN = f"{ARN}:custom-model/{BASE}/fedcba654321"
IMPORT_JOB_ARN = f"{ARN}:model-import-job/abcdef123456"
IMPORTED_ARN = f"{ARN}:imported-model/fedcba654321"
DEPLOYMENT_ARN = f"{ARN}:custom-model-deployment/aaaaaa111111"
PROVISIONED_ARN = f"{ARN}:provisioned-model/bbbbbb222222"
GRADER_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:reward:7"
TRAINING, VALIDATION = (
    "s3://acme-corpora/support/train.jsonl",
    "s3://acme-corpora/support/valid.jsonl",
)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tuning"

_S3 = {
    "trainingDataConfig": {"s3Uri": TRAINING},
    "validationDataConfig": {"validators": [{"s3Uri": VALIDATION}]},
    "outputDataConfig": {"s3Uri": "s3://acme-corpora/output/"},
}
SECRET = "secret-of-the-tuning-account"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIDTUNING",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs to reach the account, and to look nowhere else for credentials."""

_METRICS = {
    "trainingMetrics": {"trainingLoss": 0.625},
    "validationMetrics": [{"validationLoss": 0.75}],
}

JOB: dict[str, Any] = {
    "jobArn": JOB_ARN,
    "jobName": "support-v3",
    "outputModelName": "support",
    "outputModelArn": MODEL_ARN,
    "clientRequestToken": "support-v3-1",
    "roleArn": ROLE,
    "status": "Completed",
    "creationTime": "2026-01-01T00:00:00Z",
    "lastModifiedTime": "2026-01-01T01:00:00.123Z",
    "endTime": "2026-01-01T01:00:00Z",
    "baseModelArn": BASE_ARN,
    "hyperParameters": {"epochCount": "2", "learningRate": "0.00001", "batchSize": "1"},
    "customizationType": "FINE_TUNING",
    **_S3,
    **_METRICS,
}
MODEL: dict[str, Any] = {
    "modelArn": MODEL_ARN,
    "modelName": "support",
    "jobArn": JOB_ARN,
    "jobName": "support-v3",
    "baseModelArn": BASE_ARN,
    "customizationType": "FINE_TUNING",
    "hyperParameters": {
        "epochCount": "2",
        "learningRate": "0.00001",
        "batchSize": "1",
        "learningRateWarmupSteps": "10",
    },
    "creationTime": "2026-01-01T01:00:00Z",
    "modelStatus": "Active",
    **_S3,
    **_METRICS,
}
IMPORT_JOB: dict[str, Any] = {
    "jobArn": IMPORT_JOB_ARN,
    "jobName": "support-import",
    "importedModelName": "support",
    "importedModelArn": IMPORTED_ARN,
    "roleArn": ROLE,
    "modelDataSource": {"s3DataSource": {"s3Uri": "s3://acme-corpora/weights/"}},
    "status": "Completed",
    "creationTime": "2026-01-01T00:00:00Z",
    "lastModifiedTime": "2026-01-01T00:20:00Z",
    "endTime": "2026-01-01T00:20:00Z",
}
IMPORTED: dict[str, Any] = {
    "modelArn": IMPORTED_ARN,
    "modelName": "support",
    "jobArn": IMPORT_JOB_ARN,
    "jobName": "support-import",
    "modelDataSource": {"s3DataSource": {"s3Uri": "s3://acme-corpora/weights/"}},
    "creationTime": "2026-01-01T00:20:00Z",
    "modelArchitecture": "llama3",
    "instructSupported": True,
    "customModelUnits": {"customModelUnitsPerModelCopy": 2, "customModelUnitsVersion": "v1.0"},
}
DEPLOYMENT: dict[str, Any] = {
    "customModelDeploymentArn": DEPLOYMENT_ARN,
    "modelDeploymentName": "support",
    "modelArn": MODEL_ARN,
    "createdAt": "2026-01-01T02:00:00Z",
    "status": "Active",
    "lastUpdatedAt": "2026-01-01T02:10:00Z",
    "updateDetails": {"modelArn": MODEL_ARN, "updateStatus": "UpdateCompleted"},
}
PROVISIONED: dict[str, Any] = {
    "modelUnits": 1,
    "desiredModelUnits": 1,
    "provisionedModelName": "support",
    "provisionedModelArn": PROVISIONED_ARN,
    "modelArn": MODEL_ARN,
    "desiredModelArn": MODEL_ARN,
    "foundationModelArn": BASE_ARN,
    "status": "InService",
    "creationTime": "2026-01-01T02:00:00Z",
    "lastModifiedTime": "2026-01-01T02:10:00Z",
}

READS: dict[str, tuple[str, str]] = {
    "GetModelCustomizationJob": ("/model-customization-jobs", JOB_ARN),
    "GetCustomModel": ("/custom-models", MODEL_ARN),
    "GetCustomModelDeployment": ("/model-customization/custom-model-deployments", DEPLOYMENT_ARN),
    "GetProvisionedModelThroughput": ("/provisioned-model-throughput", PROVISIONED_ARN),
    "GetImportedModel": ("/imported-models", IMPORTED_ARN),
    "GetModelImportJob": ("/model-import-jobs", IMPORT_JOB_ARN),
}
"""Operation → its path without the identifier, and the identifier of the sample below."""

SAMPLES: dict[str, dict[str, Any]] = {
    "GetModelCustomizationJob": JOB,
    "GetCustomModel": MODEL,
    "GetCustomModelDeployment": DEPLOYMENT,
    "GetProvisionedModelThroughput": PROVISIONED,
    "GetImportedModel": IMPORTED,
    "GetModelImportJob": IMPORT_JOB,
}


@dataclass
class BedrockServer:
    """The stand-in, and what it was asked.

    Attributes:
        url: Where it listens.
        records: Operation and identifier → the record, or the bytes of an answer as they are.
        tags: ARN → its tags.
        received: Method, path and body of each request.
        unsigned: Requests without a SigV4 signature.
        silent: Whether the next job is created without an answer.
        before: Called with the path of each request before it is answered.
    """

    url: str = ""
    records: dict[tuple[str, str], Any] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    received: list[tuple[str, str, Any]] = field(default_factory=list)
    unsigned: int = 0
    silent: bool = False
    before: Callable[[str], None] = lambda _: None

    def serve(self, **records: Any) -> None:
        """Answer an operation's sample identifier with another record."""
        for operation, record in records.items():
            self.records[operation, READS[operation][1]] = record

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        """Return the status and body of the answer to one request."""
        if (method, path) == ("POST", "/listTagsForResource"):
            tags = self.tags.get(body["resourceARN"], {})
            return 200, _json({"tags": [{"key": k, "value": v} for k, v in tags.items()]})
        if (method, path) == ("POST", "/model-customization-jobs"):
            return self._create(body)
        if (method, path) == ("GET", "/model-customization-jobs"):
            return 200, _json({"modelCustomizationJobSummaries": self._summaries()})
        for operation, (route, _) in READS.items():
            if method == "GET" and path.startswith(f"{route}/"):
                found = self.records.get((operation, unquote(path.removeprefix(f"{route}/"))))
                if found is not None:
                    return 200, found if isinstance(found, bytes) else _json(found)
        return 404, _json({"message": f"there is no {method} {path}"})

    def _create(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Create a job, or answer with the one of the same token."""
        for (operation, _), record in list(self.records.items()):
            if operation != "GetModelCustomizationJob" or record["jobName"] != body["jobName"]:
                continue
            if record["clientRequestToken"] == body["clientRequestToken"]:
                return 201, _json({"jobArn": record["jobArn"]})
            return 409, _json({"message": f"a job named {body['jobName']} exists"})
        base, number = body["baseModelIdentifier"], f"{len(self.received):012}"
        arn = f"{ARN}:model-customization-job/{base}/{number}"
        kept = ("jobName", "clientRequestToken", "roleArn", "customizationType", "hyperParameters")
        config = ("trainingDataConfig", "validationDataConfig", "outputDataConfig")
        more = ("customizationConfig",)
        record = {
            "jobArn": arn,
            "outputModelName": body["customModelName"],
            "status": "InProgress",
            "creationTime": _now(),
            "lastModifiedTime": _now(),
            "baseModelArn": base if base.startswith("arn:") else _foundation(base),
            **{key: body[key] for key in (*kept, *config, *more) if key in body},
        }
        # A job is asked for by its ARN or by its name.
        self.records["GetModelCustomizationJob", arn] = record
        self.records["GetModelCustomizationJob", body["jobName"]] = record
        self.tags[arn] = {tag["key"]: tag["value"] for tag in body.get("jobTags", ())}
        if self.silent:
            self.silent = False
            return 0, b""
        return 201, _json({"jobArn": arn})

    def finish(self, job: str) -> str:
        """Let a job succeed; return the ARN of the model."""
        record = self.records["GetModelCustomizationJob", job]
        base = record["baseModelArn"].partition("/")[2]
        model = f"{ARN}:custom-model/{base}/{job[-12:]}"
        ended = _now()
        record |= {
            "status": "Completed",
            "outputModelArn": model,
            "endTime": ended,
            "lastModifiedTime": ended,
            "trainingMetrics": {"trainingLoss": 0.625},
        }
        repeated = (
            *("jobArn", "jobName", "baseModelArn", "customizationType", "hyperParameters"),
            *("trainingDataConfig", "validationDataConfig", "outputDataConfig", "trainingMetrics"),
        )
        self.records["GetCustomModel", model] = {
            "modelArn": model,
            "modelName": record["outputModelName"],
            "creationTime": ended,
            "modelStatus": "Active",
            **{key: record[key] for key in repeated if key in record},
        }
        return model

    def deploy(self, model: str) -> str:
        """Deploy a model; return the deployment's ARN."""
        arn = f"{ARN}:custom-model-deployment/{model[-12:]}"
        self.records["GetCustomModelDeployment", arn] = {
            **{key: value for key, value in DEPLOYMENT.items() if key != "updateDetails"},
            "customModelDeploymentArn": arn,
            "modelArn": model,
        }
        return arn

    def _summaries(self) -> list[dict[str, Any]]:
        shared = ("jobArn", "baseModelArn", "jobName", "status", "creationTime", "endTime")
        return [
            {key: record[key] for key in shared if key in record}
            for (operation, name), record in self.records.items()
            if operation == "GetModelCustomizationJob" and isinstance(record, dict)
            if name == record["jobArn"]
        ]


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _foundation(model: str) -> str:
    return f"arn:aws:bedrock:{REGION}::foundation-model/{model}"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def bedrock_server() -> Iterator[BedrockServer]:
    """Serve the samples on a free port of the loopback."""
    state = BedrockServer()
    for operation, (_, identifier) in READS.items():
        state.records[operation, identifier] = SAMPLES[operation]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            data = self.rfile.read(size)
            body = json.loads(data) if data else None
            path = urlsplit(self.path).path
            state.received.append((self.command, unquote(path), body))
            if not self.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
                state.unsigned += 1
            state.before(path)
            status, answer = state.answer(self.command, path, body)
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            if status >= 300:
                self.send_header("x-amzn-errortype", "ResourceNotFoundException")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with listening(Handler) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state
