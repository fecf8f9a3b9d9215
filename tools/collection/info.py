"""How often a device's model and its counts err, from its `info`."""

from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, Field, ValidationError, model_validator

from tools.collection.correction import Matrix, Row
from tools.collection.published import Count, InvalidMessage


class _Calls(BaseModel):
    female: Count
    male: Count
    unknown: Count

    def row(self) -> Row:
        return Row(self.female, self.male, self.unknown)


class _Confusion(BaseModel):
    data: str
    split: str
    min_confidence: float = Field(ge=0, le=1)
    female: _Calls
    male: _Calls

    def matrix(self, model: str) -> Matrix:
        rows = (self.female.row(), self.male.row())
        return Matrix(model, self.min_confidence, self.data, self.split, *rows)


class Info(BaseModel):
    model: str
    confusion: _Confusion | None = None

    @property
    def matrix(self) -> Matrix | None:
        """None if it has not been measured."""
        return self.confusion.matrix(self.model) if self.confusion else None


class Audit(BaseModel):
    """What `edge audit` found at the device's place, in numbers of people."""

    at: AwareDatetime
    tapped: Annotated[Count, Field(ge=1)]
    missed: Count

    @model_validator(mode="after")
    def _is_a_part(self) -> Self:
        if self.missed > self.tapped:
            raise ValueError("more were missed than tapped")
        return self


def read_audit(info: dict[str, Any]) -> Audit | None:
    """None if there was none, or if it is not what its topic promises."""
    try:
        return Audit.model_validate(info.get("audit"))
    except ValidationError:
        return None


def read_info(payload: str) -> Info:
    """Raises InvalidMessage."""
    try:
        return Info.model_validate_json(payload)
    except ValidationError as error:
        raise InvalidMessage(f"not a valid info ({error.errors()[0]['msg']})") from None
