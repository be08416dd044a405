"""Decides whether a file with a secret is kept from other users.

The one rule for key files and credentials; it is PostgreSQL's for its server's key: nobody but the
owner, except that of a file of root's a group may read. So a Secret of Kubernetes is mounted into a
pod with an ``fsGroup`` (owner root, mode 0440), and so systemd hands a credential to a service's
user (owner root, and an access control list, whose mask ``stat`` shows as the group's bits).
"""

from __future__ import annotations

import os

_OTHERS_USE = 0o077
_GROUP_READS = 0o040


def open_to_others(facts: os.stat_result) -> bool:
    """Return whether the mode of a file with a secret lets others use it.

    Args:
        facts: Of the file that was opened, so that it is the one that is read.
    """
    allowed = _GROUP_READS if facts.st_uid == 0 != os.geteuid() else 0
    return bool(facts.st_mode & _OTHERS_USE & ~allowed)
