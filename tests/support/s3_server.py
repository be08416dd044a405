"""An S3-compatible store on the loopback (moto), for whoever publishes to one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
import requests


@contextmanager
def s3_server(*buckets: str) -> Iterator[str]:
    """Run a store with some buckets; gives its URL. Credentials are in the environment."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - most workers need none

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ):
            patch.setenv(name, value)
        server.start()
        try:
            host, port = server.get_host_and_port()
            url = f"http://{host}:{port}"
            # The objects are the process's, so those of an earlier store would be there still.
            requests.post(f"{url}/moto-api/reset", timeout=30).raise_for_status()
            client = boto3.client("s3", endpoint_url=url)
            for bucket in buckets:
                client.create_bucket(Bucket=bucket)
            client.close()
            yield url
        finally:
            server.stop()
