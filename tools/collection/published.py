"""A window as a device published it, checked against what docs/asyncapi.yaml promises."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.delivery.messages import DWELL_BINS
from edge.types import AGES

NAME = r"^[A-Za-z0-9_-]{1,64}$"
MOST = 10**9
"""No count in a window is larger."""
FIRST_YEAR, LAST_YEAR = 1970, 2200

Name = Annotated[str, Field(pattern=NAME)]
Count = Annotated[int, Field(ge=0, le=MOST, strict=True)]
Amount = Annotated[float, Field(ge=0, le=MOST, allow_inf_nan=False)]


class InvalidMessage(ValueError):  # noqa: N818  # of a device, not a failure of this program
    """What a device sent is not what its topic promises; the text says why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Span(_Part):
    """Start and end by the device's clock, and the length by one that never jumps, seconds."""

    start: AwareDatetime
    end: AwareDatetime
    seconds: Amount

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not FIRST_YEAR <= self.start.year <= self.end.year <= LAST_YEAR:
            raise ValueError(f"not between {FIRST_YEAR} and {LAST_YEAR}")
        if self.start > self.end:
            raise ValueError("ends before it starts")
        return self


class People(_Part):
    """How many people; without genders if too few of them came."""

    total: Count
    female: Count | None = None
    male: Count | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (self.female is None) != (self.male is None):
            raise ValueError("has one gender without the other")
        if (self.female or 0) + (self.male or 0) > self.total:
            raise ValueError("has more women and men than people")
        return self


class Presence(_Part):
    """How many people faced the camera at the same time."""

    peak: Count
    mean: Amount


class Totals(_Part):
    """Everybody counted so far."""

    total: Count


Stay = dict[str, Amount | None]
"""Mean and bins of seconds, as `dwell_s`; other keys may be added."""


class PublishedWindow(_Part):
    """The keys of one window that are stored or added up; others are kept in the JSON alone."""

    site: Name
    device: Name
    epoch: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    seq: Annotated[int, Field(ge=1, lt=2**53, strict=True)]
    window: Span
    time_synced: bool
    replayed: bool
    people: People
    presence: Presence
    coverage: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    totals: Totals
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}@[0-9a-f]{8}$")]
    dwell_s: Stay
    attention_s: Stay | None = None
    ages: dict[str, Count] | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """Identifies the window, however often it comes."""
        return self.device, self.epoch, self.seq

    @property
    def started(self) -> int:
        """Seconds since 1970."""
        return int(self.window.start.timestamp())

    @property
    def ended(self) -> int:
        """Seconds since 1970."""
        return int(self.window.end.timestamp())

    def bins(self, name: Literal["dwell_s", "attention_s"]) -> tuple[int, ...] | None:
        """People per bin of seconds; None if they are not published."""
        stay: Stay | None = getattr(self, name)
        if stay is None:
            return None
        counts = [stay.get(each) for each in DWELL_BINS]
        numbers = tuple(int(count) for count in counts if count is not None)
        return numbers if len(numbers) == len(DWELL_BINS) else None

    def by_age(self) -> tuple[int, ...] | None:
        """People per age group, in the order of `AGES`; None if they are not published."""
        if self.ages is None:
            return None
        numbers = tuple(self.ages.get(age, 0) for age in AGES)
        return numbers if sum(numbers) == self.people.total else None


def read_window(payload: str) -> PublishedWindow:
    """Raises InvalidMessage."""
    try:
        return PublishedWindow.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidMessage(f"{where}: {first['msg']}" if where else first["msg"]) from None
