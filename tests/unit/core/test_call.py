"""A call names every model it can reach, each once."""

from __future__ import annotations

from sidecar.core.call import Call


def test_what_is_run_and_what_is_tuned_are_named_once_in_their_order() -> None:
    call = Call("openai", "fine_tuning.jobs.create", ("judge", "base"), tuned=("base", "next"))
    assert call.named == ("judge", "base", "next")
    assert Call("openai", "files.list", (), modelless=True).named == ()
