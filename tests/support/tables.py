"""A check over every row of a table, in one test that reports every row that fails.

One test per row costs a hundred times what the row's check does once a table has thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def check_each(
    rows: Iterable[T], check: Callable[[T], None], name: Callable[[T], str] = str
) -> None:
    """Run ``check`` on every row.

    Args:
        rows: At least one: a table that lost its rows checks nothing.
        check: Raises ``AssertionError`` for a row that is wrong; any other error ends the test.
        name: How a row is named in the report.

    Raises:
        AssertionError: Names every row that is wrong, and why.
    """
    count, failed = 0, []
    for row in rows:
        count += 1
        try:
            check(row)
        except AssertionError as error:
            failed.append(f"{name(row)}: {error}")
    assert count, "the table has no rows"
    assert not failed, f"{len(failed)} of {count} rows are wrong:\n" + "\n".join(failed)
