"""``admit tools``: obtains OPA and Envoy where this machine lacks them, and prints their paths."""

from __future__ import annotations

from sidecar.cli.common import JsonOption
from sidecar.cli.extras import missing_extra


def tools(as_json: JsonOption = False) -> None:
    """Obtain OPA and Envoy at their pinned versions where they are missing; print their paths.

    Kept in the folder that ADMIT_TOOLS names, else in `admissibility` of your cache folder. What is
    obtained is verified by its digest, and never put into the environment of admit itself.

    Examples:
        admit tools
    """
    try:
        from admissibility_devtools.tools.__main__ import show  # noqa: PLC0415 - an optional extra
        from admissibility_devtools.tools.obtain import ensure  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise missing_extra("admit tools", "demo", error) from error
    show(ensure(), as_json=as_json)
