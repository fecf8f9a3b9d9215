"""config.yaml to frozen values; every mistake in it is reported at once."""

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from edge.errors import ConfigError
from edge.hours import Hours
from edge.sources.name import LIVE
from edge.strict_yaml import read_keys

NAME = r"^[A-Za-z0-9_-]{1,64}$"
"""What a site or device may be called: it is one level of an MQTT topic and part of entity ids."""

TYPES = {
    "bool_type": "must be on or off (true or false), without quotes",
    "float_type": "must be a number, without quotes and with a point for fractions",
    "int_type": "must be a whole number, without quotes",
    "model_type": "must hold keys, each indented below it",
    "path_type": "must be the path of a file or folder",
    "string_type": "must be text; in quotes, where it looks like a number, a date, yes or no",
    "tuple_type": "must be a list, in [ ]",
}
"""What a value must be, by the name that pydantic has for one of another type."""


def _host(host: str) -> str:
    try:
        if ":" in host:
            ipaddress.IPv6Address(host)
        host.encode("idna")
        if re.fullmatch(r"[^\s/@\\]{1,253}", host):
            return host
    except ValueError:
        pass
    raise ValueError(
        f"{_shown(host)}: must be a host name or an address, without mqtt://, user, port, brackets"
    )


def _file(path: Path) -> Path:
    try:
        if path.is_file():
            path.open("rb").close()
            return path
    except OSError as error:
        raise ValueError(f"{_shown(path)}: cannot be read ({error.strerror})") from error
    raise PydanticCustomError("path_not_file", "no such file")


def _path(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError(f"{_shown(path)}: must not hold a NUL")
    return path


def _source(source: str) -> str:
    try:
        source.encode()
    except UnicodeError:  # OpenCV crashes on such a name
        raise ValueError(f"{_shown(source)}: its name must be UTF-8; rename it") from None
    if source.lower().startswith("file://"):
        raise ValueError(f"{_shown(source)}: write the path alone, without file://")
    if source == "demo" or LIVE.fullmatch(source):
        return source
    path = Path(source)
    try:
        if source and path.is_file():
            path.open("rb").close()
            return source
        if source and (path.is_dir() or path.is_fifo()):
            return source
        device = source and path.exists()
    except OSError as error:
        raise ValueError(f"{_shown(source)}: cannot be read ({error.strerror})") from error
    except ValueError:  # with a NUL
        device = False
    if device:
        raise ValueError(f"{_shown(source)} is a device: write v4l2:{source}")
    raise ValueError(
        f"{_shown(source)}: no such file or folder; allowed are auto, demo, picamera2:N, "
        "v4l2:/dev/videoN, a URL, a video, GIF or picture file, a folder of pictures"
    )


def _shown(value: Any) -> str:
    text = repr(str(value) if isinstance(value, Path) else value)
    if "@" in text:  # what stands before it may be a password
        text = "'***@" + text.rsplit("@", 1)[1]
    return text if len(text) <= 60 else f"{text[:57]}..."


QuietHours = Annotated[Hours, BeforeValidator(lambda text: Hours.parse(str(text)))]
ExistingFile = Annotated[Path, Field(strict=False), AfterValidator(_file)]


class Section(BaseModel):
    """A part of the configuration; unknown keys and values of another type are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
    )


class Camera(Section):
    """What to ask of a camera, how it hangs, and what to do when it is lost."""

    width: int = Field(640, ge=64, le=4096, multiple_of=2)
    height: int = Field(480, ge=64, le=4096, multiple_of=2)
    fps: float = Field(10, ge=1, le=120)
    exposure_ms: float | None = Field(None, ge=0.01, le=1000)
    gain: float | None = Field(None, ge=1, le=64)
    flip_horizontal: bool = False
    flip_vertical: bool = False
    rotate: Literal[0, 90, 180, 270] = 0
    timeout: float = Field(10, ge=1, le=300)
    give_up: float = Field(300, ge=0, le=86400)
    allow_reboot: bool = False
    max_temperature: float | None = Field(75, ge=30, le=100)

    @model_validator(mode="after")
    def _exposure(self) -> "Camera":
        longest = 1000 / self.fps
        if self.exposure_ms is not None and self.exposure_ms > longest:
            raise ValueError(
                f"exposure_ms must be at most {longest:g} with fps {self.fps:g}, or lower fps"
            )
        return self


class Detector(Section):
    """How Haar searches a picture, and which model looks at what it finds."""

    min_face_px: int = Field(24, ge=16, le=2000)
    max_face_px: int | None = Field(None, ge=16, le=4096)
    width: int = Field(640, ge=64, le=4096)
    scale_factor: float = Field(1.1, ge=1.01, le=2)
    min_neighbours: int = Field(2, ge=1, le=20)
    threads: int = Field(1, ge=1, le=16)
    idle: bool = True
    judge: ExistingFile = Path("models/face.tflite")
    min_score: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _sizes(self) -> "Detector":
        if self.max_face_px is not None and self.max_face_px <= self.min_face_px:
            raise ValueError(f"max_face_px must be greater than min_face_px ({self.min_face_px})")
        return self


Share = Annotated[float, Field(ge=0, le=1)]
Point = Annotated[tuple[Share, Share], Field(strict=False)]
Polygon = Annotated[tuple[Point, ...], Field(strict=False, min_length=3, max_length=100)]


class Zones(Section):
    """Where in the picture faces count: polygons in fractions of it, from its top left corner."""

    region: Polygon | None = None
    excluded: Annotated[tuple[Polygon, ...], Field(strict=False, max_length=100)] = ()


class Tracker(Section):
    """When faces in several frames are one person."""

    patience: float = Field(2, ge=0.2, le=60)
    min_sightings: int = Field(3, ge=1, le=100)
    min_seconds: float = Field(0.5, ge=0, le=60)
    static_after: float = Field(180, ge=10, le=86400)


class Classifier(Section):
    """Whether gender and age are estimated, by which models, and when the gender is sure."""

    gender: bool = True
    age: bool = False
    age_model: Annotated[Path, Field(strict=False)] | None = None
    model: Annotated[Path, Field(strict=False)] = Path("models/gender.tflite")
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"
    threads: int = Field(1, ge=1, le=16)
    votes: int = Field(9, ge=1, le=1000)
    min_confidence: float = Field(0.6, ge=0.5, lt=1)

    @field_validator("age_model", "model")
    @classmethod
    def _exists(cls, model: Path | None, others: ValidationInfo) -> Path | None:
        """A model that is asked for nothing need not be there."""
        gender, age = (others.data.get(key) is not False for key in ("gender", "age"))
        if others.field_name == "model":
            age_model = others.data.get("age_model")
            used = gender or (age and age_model in (None, model))
        else:
            used = age
        return _file(model) if model is not None and used else model

    @property
    def separate_ages(self) -> Path | None:
        """The file that estimates the age, where it is another one than `model`."""
        return self.age_model if self.age and self.age_model != self.model else None


class Window(Section):
    seconds: float = Field(60, ge=1, le=86400)


class Privacy(Section):
    """When too few people were counted to be published."""

    min_people: int = Field(3, ge=1, le=1000)
    max_hold: float = Field(900, ge=0, le=86400)


class Health(Section):
    seconds: float = Field(60, ge=1, le=86400)


class Tls(Section):
    enabled: bool = False
    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None

    @model_validator(mode="after")
    def _pair(self) -> "Tls":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file must be given together")
        if not self.enabled and (self.ca_file or self.cert_file):
            raise ValueError("certificates are given, but enabled is false")
        return self


class Mqtt(Section):
    """The broker, and how to speak to it."""

    host: Annotated[str, AfterValidator(_host)] = "localhost"
    port: int = Field(1883, ge=1, le=65535)
    username: str | None = Field(None, min_length=1)
    password_file: ExistingFile | None = None
    allow_insecure: bool = False
    keepalive: int = Field(30, ge=10, le=3600)
    version: Literal["auto", "5", "3.1.1"] = "auto"
    tls: Tls = Tls()
    discovery_prefix: str | None = Field("homeassistant", pattern=r"^[^\s#+/$][^\s#+]{0,127}$")

    @model_validator(mode="before")
    @classmethod
    def _credentials(cls, values: Any) -> Any:
        """What systemd hands to the service (`LoadCredential=`) stands in for what is not given."""
        if not isinstance(values, dict):
            return values
        username, password = _credential("mqtt-username"), _credential("mqtt-password")
        found: dict[str, Any] = {}
        if username is not None:
            try:
                found["username"] = username.read_text(encoding="utf-8").strip()
            except UnicodeError as error:
                raise ValueError("the credential mqtt-username is not UTF-8") from error
        if password is not None:
            found["password_file"] = password
        return values | {key: value for key, value in found.items() if values.get(key) is None}

    @model_validator(mode="after")
    def _password(self) -> "Mqtt":
        if self.password_file is None:
            return self
        if self.username is None:
            raise ValueError(
                "username must be given with a password: here, or as the credential mqtt-username"
            )
        if not (self.tls.enabled or self.allow_insecure or _is_loopback(self.host)):
            raise ValueError(
                f"the password would go to {self.host} in clear text: "
                "set tls.enabled: true, or allow_insecure: true"
            )
        return self


class OutboxLimits(Section):
    """What is kept for a broker that is away; the oldest windows are dropped first."""

    max_windows: int = Field(50_000, ge=100, le=10_000_000)
    max_days: float = Field(366, ge=1, le=36_600)


class Config(Section):
    """The whole of config.yaml."""

    site: str = Field("site", pattern=NAME)
    device: str = Field(default_factory=lambda: host_name(), pattern=NAME)
    source: Annotated[str, AfterValidator(_source)] = "auto"
    paused: bool = False
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(strict=False, max_length=20)] = ()
    camera: Camera = Camera()
    detector: Detector = Field(default_factory=Detector)
    zones: Zones = Zones()
    tracker: Tracker = Tracker()
    classifier: Classifier = Field(default_factory=Classifier)
    window: Window = Window()
    privacy: Privacy = Privacy()
    health: Health = Health()
    mqtt: Mqtt = Field(default_factory=Mqtt)
    state_dir: Annotated[Path, Field(strict=False), AfterValidator(_path)] = Path("state")
    outbox: OutboxLimits = OutboxLimits()


def host_name() -> str:
    """This machine's name with what a topic may not hold replaced; `edge` where nothing is left."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname()).strip("-")[:64] or "edge"


def load_config(path: Path, **overrides: str) -> Config:
    """Read and check `path`; `overrides` replace its top-level keys.

    Relative paths in it start at the folder the daemon was started in.

    Raises ConfigError that lists all mistakes, a line each: key path, value, what is allowed.
    """
    data = read_keys(path)
    # given or not, their default models must exist, and systemd may have handed over credentials
    data = {"detector": {}, "classifier": {}, "mqtt": {}} | data
    try:
        return Config.model_validate(data | overrides)
    except ValidationError as error:
        lines = [_line(mistake) for mistake in error.errors(include_url=False)]
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError("\n  ".join([f"{path}: {count}", *sorted(lines)])) from error


def _line(mistake: Any) -> str:
    where = ".".join(_named(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        # the value of a key we do not know may be a secret in the wrong place
        allowed = ", ".join(_fields_at(mistake["loc"][:-1]))
        return f"{where}: unknown key; allowed here: {allowed}"
    reason = str(mistake["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if mistake["type"] == "string_pattern_mismatch":
        reason = "must begin a topic, not with / or $, without spaces, #, +; null switches it off"
        if mistake["ctx"]["pattern"] == NAME:
            reason = "must be 1 to 64 letters, digits, - or _ (it is part of the MQTT topic)"
    reason = TYPES.get(mistake["type"], reason)
    if mistake["type"] == "path_not_file":
        reason = f"no such file; relative paths start at {Path.cwd()}"
    if isinstance(mistake["input"], dict) or mistake["type"] == "value_error":
        return f"{where}: {reason}" if where else reason
    return f"{where}: {_shown(mistake['input'])}: {reason}"


def _named(part: Any) -> str:
    """A key or an index as it may stand in a line."""
    text = str(part)
    return text if text.isprintable() and len(text) <= 60 else _shown(text)


def _fields_at(location: tuple[Any, ...]) -> list[str]:
    section: Any = Config
    for part in location:
        section = section.model_fields[part].annotation
    return sorted(section.model_fields)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _credential(name: str) -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, name) if folder else None
    return file if file is not None and file.is_file() else None
