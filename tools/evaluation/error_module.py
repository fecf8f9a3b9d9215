"""Writes a fit of the expected error as the module that the daemon reads it from."""

from collections.abc import Mapping, Sequence

from edge.expected_error import ErrorModel
from tools.evaluation.error_counts import Count
from tools.evaluation.error_fit import ranges

MODULE = '''\
"""Coefficients behind the expected error; tools/expected_error.py writes this file."""

VERSION = "{version}"
"""Whose counts were compared with the truth."""
FILMS, REPLAYS, PEOPLE = {films}, {replays}, {people}
"""Films of simulated crowds, how often they were counted, and people in all replays together."""
RANGES = {{
{ranges}
}}
"""Lowest and highest value of each of `conditions.Conditions`."""
TYPICAL = {typical}
"""Their geometric means."""
MISSED = {missed}
"""Change of the log odds that a person is missed, per unit of ln(condition / typical)."""
MISSED_TYPICAL, MISSED_SPREAD = {missed_typical}
"""Log odds in typical conditions, and correlation of the people of one film."""
SURPLUS = {surplus}
"""As `MISSED`, that a visit is of nobody or of somebody who was counted already."""
SURPLUS_TYPICAL, SURPLUS_SPREAD = {surplus_typical}
'''


def as_module(
    counts: Sequence[Count],
    center: dict[str, float],
    missed: ErrorModel,
    surplus: ErrorModel,
    version: str,
) -> str:
    """The text of `edge/expected_error_fit.py`."""
    bounds = ranges(counts).items()
    return MODULE.format(
        version=version,
        films=len({count.film for count in counts}),
        replays=len(counts),
        people=sum(count.figures.people for count in counts),
        ranges="\n".join(
            f'    "{name}": ({low:#.4g}, {high:#.4g}),' for name, (low, high) in bounds
        ),
        typical=_as_dict(center),
        missed=_as_dict(missed.slopes),
        missed_typical=f"{missed.intercept:#.4g}, {missed.spread:#.4g}",
        surplus=_as_dict(surplus.slopes),
        surplus_typical=f"{surplus.intercept:#.4g}, {surplus.spread:#.4g}",
    )


def _as_dict(values: Mapping[str, float]) -> str:
    return "{" + ", ".join(f'"{name}": {value:#.4g}' for name, value in values.items()) + "}"
