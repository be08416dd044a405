"""How examples are drawn: the same ones in every run, on a machine of any speed.

So a run that fails tells of what was changed, not of luck or of a busy machine. Others are drawn
with ``pytest --hypothesis-profile explore``; ``make fuzz`` looks further still.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", _PATIENT)
settings.register_profile("suite", _PATIENT, derandomize=True, database=None)
settings.load_profile("suite")
