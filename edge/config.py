"""Reads config.yaml into immutable values and reports every mistake in it at once."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge.config_errors import mistakes
from edge.config_values import (
    AnyPath,
    AutoFacePx,
    AutoFps,
    AutoThreads,
    DiscoveryPrefix,
    ExistingFile,
    Host,
    ModelPath,
    Name,
    Polygon,
    Polygons,
    QuietHours,
    Source,
    WebAddress,
    board_defaults,
    default_device,
    existing_file,
)
from edge.credentials import AUTHORITY, IDENTITY, credential
from edge.errors import ConfigError
from edge.host import is_loopback
from edge.strict_yaml import read_keys


class Section(BaseModel):
    """A part of the configuration. Refuses unknown keys and values of another type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        protected_namespaces=(),
    )


class Camera(Section):
    """What a camera is asked for, how it is mounted, and what to do if it is lost."""

    width: int = Field(640, ge=64, le=4096, multiple_of=2)
    height: int = Field(480, ge=64, le=4096, multiple_of=2)
    fps: AutoFps = Field(default_factory=lambda: board_defaults().fps, ge=1, le=120)
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
        longest_ms = 1000 / self.fps
        if self.exposure_ms is not None and self.exposure_ms > longest_ms:
            raise ValueError(
                f"exposure_ms must be at most {longest_ms:g} with fps {self.fps:g}, or lower fps"
            )
        return self


class Detector(Section):
    """How Haar's cascade searches a picture, and the model that verifies what it finds."""

    min_face_px: AutoFacePx = Field(
        default_factory=lambda: board_defaults().min_face_px, ge=16, le=2000
    )
    max_face_px: int | None = Field(None, ge=16, le=4096)
    width: int = Field(640, ge=64, le=4096)
    scale_factor: float = Field(1.1, ge=1.01, le=2)
    min_neighbours: int = Field(2, ge=1, le=20)
    threads: AutoThreads = Field(default_factory=lambda: board_defaults().threads, ge=1, le=16)
    idle: bool = True
    judge: ExistingFile = Path("models/face.tflite")
    min_score: float = Field(0.5, gt=0, lt=1)

    @model_validator(mode="after")
    def _sizes(self) -> "Detector":
        if self.max_face_px is not None and self.max_face_px <= self.min_face_px:
            raise ValueError(f"max_face_px must be greater than min_face_px ({self.min_face_px})")
        return self


class Zones(Section):
    """The parts of the picture in which faces count."""

    region: Polygon | None = None
    excluded: Polygons = ()


class Tracker(Section):
    """When faces in several frames belong to one person."""

    patience: float = Field(3, ge=0.2, le=60)
    min_sightings: int = Field(3, ge=1, le=100)
    min_seconds: float = Field(0.5, ge=0, le=60)
    static_after: float = Field(180, ge=10, le=86400)


class Classifier(Section):
    """Whether gender and age are estimated, by which models, and when a gender is certain."""

    gender: bool = True
    age: bool = False
    age_model: ModelPath | None = None
    model: ModelPath = Path("models/gender.tflite")
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"
    threads: int = Field(1, ge=1, le=16)
    votes: int = Field(9, ge=1, le=1000)
    min_confidence: float = Field(0.6, ge=0.5, lt=1)

    @field_validator("age_model", "model")
    @classmethod
    def _exists(cls, model: Path | None, others: ValidationInfo) -> Path | None:
        """A model that is not used need not exist."""
        gender, age = (others.data.get(key) is not False for key in ("gender", "age"))
        if others.field_name == "model":
            age_model = others.data.get("age_model")
            used = gender or (age and age_model in (None, model))
        else:
            used = age
        return existing_file(model) if model is not None and used else model

    @property
    def separate_ages(self) -> Path | None:
        """The model for age, if it is not `model`."""
        return self.age_model if self.age and self.age_model != self.model else None


class Window(Section):
    """How long people are counted together."""

    seconds: float = Field(60, ge=1, le=86400)


class Privacy(Section):
    """How many people a window, or the view, must hold for more to be published about them."""

    min_people: int = Field(3, ge=1, le=1000)
    min_present: int = Field(3, ge=1, le=1000)
    max_hold: float = Field(900, ge=0, le=86400)


class Health(Section):
    """How often the daemon reports its own health."""

    seconds: float = Field(60, ge=1, le=86400)


class Tls(Section):
    """Encryption of the connection to the broker."""

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


def _certificates(tls: dict[str, Any]) -> dict[str, Path]:
    """The keys of `tls` that systemd's credentials give."""
    authority, identity = credential(AUTHORITY), credential(IDENTITY)
    files = {} if authority is None else {"ca_file": authority}
    if identity is not None and tls.get("cert_file") is None and tls.get("key_file") is None:
        files |= {"cert_file": identity, "key_file": identity}
    return files


def _filled(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """`values` with defaults for what they do not give."""
    return values | {key: value for key, value in defaults.items() if values.get(key) is None}


class Mqtt(Section):
    """The broker and how to log in to it."""

    host: Host = "localhost"
    port: int = Field(1883, ge=1, le=65535)
    username: str | None = Field(None, min_length=1)
    password_file: ExistingFile | None = None
    allow_insecure: bool = False
    keepalive: int = Field(30, ge=10, le=3600)
    version: Literal["auto", "5", "3.1.1"] = "auto"
    tls: Tls = Tls()
    presence: bool = False
    allow_pause: bool = False
    discovery_prefix: DiscoveryPrefix | None = "homeassistant"
    dashboard_url: WebAddress | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_credentials(cls, values: Any) -> Any:
        """Take from systemd's credentials what the file does not give."""
        if not isinstance(values, dict):
            return values
        username, password = credential("mqtt-username"), credential("mqtt-password")
        handed_over: dict[str, Any] = {}
        if username is not None:
            try:
                handed_over["username"] = username.read_text(encoding="utf-8").strip()
            except UnicodeError as error:
                raise ValueError("the credential mqtt-username is not UTF-8") from error
        if password is not None:
            handed_over["password_file"] = password
        tls = values.get("tls")
        if isinstance(tls, dict) and tls.get("enabled") is True:
            values = values | {"tls": _filled(tls, _certificates(tls))}
        return _filled(values, handed_over)

    @model_validator(mode="after")
    def _password(self) -> "Mqtt":
        if self.password_file is None:
            return self
        if self.username is None:
            raise ValueError(
                "username must be given with a password: here, or as the credential mqtt-username"
            )
        if not (self.tls.enabled or self.allow_insecure or is_loopback(self.host)):
            raise ValueError(
                f"the password would go to {self.host} in clear text: "
                "set tls.enabled: true, or allow_insecure: true"
            )
        return self


class OutboxLimits(Section):
    """How much is kept while the broker is away; the oldest windows are dropped first."""

    max_windows: int = Field(50_000, ge=100, le=10_000_000)
    max_days: float = Field(366, ge=1, le=36_600)


class Config(Section):
    """The whole of config.yaml."""

    site: Name = "site"
    device: Name = Field(default_factory=default_device)
    source: Source = "auto"
    paused: bool = False
    quiet_hours: Annotated[tuple[QuietHours, ...], Field(strict=False, max_length=20)] = ()
    camera: Camera = Field(default_factory=Camera)
    detector: Detector = Field(default_factory=Detector)
    zones: Zones = Zones()
    tracker: Tracker = Tracker()
    classifier: Classifier = Field(default_factory=Classifier)
    window: Window = Window()
    privacy: Privacy = Privacy()
    health: Health = Health()
    mqtt: Mqtt = Field(default_factory=Mqtt)
    state_dir: AnyPath = Path("state")
    outbox: OutboxLimits = OutboxLimits()


def load_config(path: Path, **overrides: str) -> Config:
    """Read and check `path`; `overrides` replace its top-level keys.

    `auto` is replaced by what suits this machine's board.

    Relative paths in it start at the working directory.

    Raises ConfigError that lists all mistakes, a line each: key path, value, what is allowed.
    Those in `overrides`, which came from elsewhere, stand before the file's name.
    """
    data = read_keys(path)
    # these are validated even if absent: default models must exist, and credentials may be there
    data = {"detector": {}, "classifier": {}, "mqtt": {}} | data
    try:
        return Config.model_validate(data | overrides)
    except ValidationError as error:
        lines = mistakes(error, Config)
        elsewhere = [line for line in lines if line.partition(":")[0] in overrides]
        here = [line for line in lines if line not in elsewhere]
        count = "1 mistake" if len(here) == 1 else f"{len(here)} mistakes"
        of_file = ["\n  ".join([f"{path}: {count}", *here])] if here else []
        raise ConfigError("\n".join([*elsewhere, *of_file])) from error
