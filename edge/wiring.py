"""Builds the parts of the daemon from the configuration, also for the tools."""

import contextlib
import dataclasses
import errno
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import edge
from edge.audit_result import load_audit
from edge.camera_loan import Lender, borrowed
from edge.config import Config, OutboxLimits
from edge.config_values import board_defaults
from edge.counting import Counter
from edge.delivery import outbox_db
from edge.delivery.messages import NO_MODEL, Messages
from edge.delivery.mqtt_broker import Broker, tls_context
from edge.delivery.mqtt_publisher import MqttPublisher
from edge.delivery.outbox import Outbox
from edge.errors import ConfigError, ModelError
from edge.health import Health
from edge.host import board_model
from edge.hours import is_within
from edge.pause import PauseSwitch
from edge.pipeline import Pipeline
from edge.presence import LivePresence
from edge.sources.name import is_live, is_recorded, redacted_source
from edge.sources.open import open_frames
from edge.sources.pi_camera import import_picamera2
from edge.sources.reboot import RebootGuard
from edge.sources.recordings import open_file
from edge.sources.schedule import scheduled
from edge.sources.thermal import ThermalThrottle
from edge.tracking.tracker import Tracker
from edge.types import CaptureSettings, Frame, Frames, NoFrame, Track, Visit, Window
from edge.vision.blazeface import BlazeFace
from edge.vision.classifier import Classifier
from edge.vision.detector import HaarDetector

OUTBOX = "outbox.db"
"""Name of the outbox's file in the state folder."""
PAUSED = "paused"
"""Name of the file in the state folder that is there while a command pauses the daemon."""
RETURN_S = 10.0
"""How long a daemon may take to close its camera for a page, seconds."""
HOME_ASSISTANT_BIRTH = "status"
"""Topic below the discovery prefix on which Home Assistant announces that it is up."""


def frames(
    config: Config,
    stopped: Callable[[], bool] = lambda: False,
    *,
    recover: bool = True,
    wait_s: float = 0.0,
    pause: PauseSwitch | None = None,
    lender: Lender | None = None,
) -> Frames:
    """The frames of the configured source.

    Without `recover` its first failure is raised, unless it works again within `wait_s`, seconds.
    It is closed while `pause` is on, and while `lender` has lent the camera.
    """
    settings = config.camera.model_dump(exclude={"allow_reboot", "max_temperature"})
    capture = CaptureSettings(**settings | {"gray_width": config.detector.width})
    if not recover:
        capture = dataclasses.replace(capture, give_up=wait_s)
    throttle = ThermalThrottle(capture.fps, config.camera.max_temperature)

    def open_source() -> Frames:
        frames = open_frames(config.source, capture, fps=throttle, stopped=stopped)
        if recover and config.camera.allow_reboot and is_live(config.source):
            return RebootGuard(config.state_dir).guard(frames)
        return frames

    def is_closed() -> bool:
        # asked during a pause too: else the end of a loan, and what was drawn then, would be missed
        is_lent = lender is not None and lender.is_lent()
        return is_lent or is_paused(config, pause)

    has_hours = config.quiet_hours and not is_recorded(config.source)
    if config.paused or pause or lender or has_hours:
        return scheduled(open_source, is_closed, stopped)
    return open_source()


def is_lendable(source: str) -> bool:
    """Whether a source serves one program at a time, unlike a recording or a network stream."""
    return not is_recorded(source) and "://" not in source


def lender(config: Config, on_return: Callable[[], None]) -> Lender | None:
    """Who lends the camera to pages; None if the source need not be lent."""
    return Lender(config.state_dir, on_return) if is_lendable(config.source) else None


def borrowed_frames(config: Config, stopped: Callable[[], bool]) -> Frames:
    """The frames of the configured source for a page, its first failure raised.

    A daemon with this `state_dir` closes its camera meanwhile. Raises ConfigError if another page
    has the camera.
    """
    loan = borrowed(config.state_dir) if is_lendable(config.source) else contextlib.nullcontext()
    wait_s = RETURN_S if has_lender(config) else 0.0
    with (
        loan,
        contextlib.closing(frames(config, stopped, recover=False, wait_s=wait_s)) as opened,
    ):
        yield from opened


def has_lender(config: Config) -> bool:
    """Whether a daemon with this `state_dir` runs, which lends its camera."""
    return is_lendable(config.source) and outbox_db.is_claimed(config.state_dir / OUTBOX)


def pause_switch(config: Config) -> PauseSwitch | None:
    """What commands turn on and off; None if they are not allowed, or the source is a recording.

    A recording that is closed would begin again.
    """
    if not config.mqtt.allow_pause or is_recorded(config.source):
        return None
    return PauseSwitch(config.state_dir / PAUSED)


def is_paused(config: Config, pause: PauseSwitch | None = None) -> bool:
    """Whether the source should be closed now: the daemon is paused, or it is a quiet hour.

    A recording has no quiet hours: its time is not the local time.
    """
    is_quiet = not is_recorded(config.source) and is_within(config.quiet_hours, time.time())
    return (pause is not None and pause.is_on()) or config.paused or is_quiet


def validate(config: Config) -> None:
    """Validate what can be while another configuration uses the camera. Raises EdgeError."""
    validate_parts(config)
    validate_state_dir(config.state_dir)
    if config.source.startswith("picamera2:"):
        import_picamera2()
    path = Path(config.source)
    if is_recorded(config.source) and not path.is_fifo():  # a pipe can be read only once
        with contextlib.closing(open_file(path)) as recording:
            next(recording)


def validate_parts(config: Config) -> None:
    """Validate the models and the broker's login. Raises EdgeError."""
    models(config)
    detector(config)
    broker(config)


def validate_state_dir(state_dir: Path) -> None:
    """Raises ConfigError if the folder cannot be created or written. Leaves no trace."""
    try:
        existing = next(
            path for path in (state_dir, *state_dir.absolute().parents) if path.exists()
        )
        with tempfile.TemporaryDirectory(dir=existing):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:  # a full disk is not a mistake in the configuration
            raise ConfigError(
                f"state_dir {state_dir}: cannot be written ({error.strerror})"
            ) from error


def detector(config: Config) -> HaarDetector:
    """Haar's search with BlazeFace. Raises ModelError."""
    settings = config.detector
    verifier = BlazeFace(
        settings.judge,
        runtime=config.classifier.runtime,
        threads=config.classifier.threads,
    )
    return HaarDetector(
        verifier,
        min_score=settings.min_score,
        min_face_px=settings.min_face_px,
        max_face_px=settings.max_face_px,
        scale_factor=settings.scale_factor,
        min_neighbours=settings.min_neighbours,
        region=config.zones.region,
        excluded=config.zones.excluded,
        selective=config.detector.idle,
    )


def tracker(config: Config) -> Tracker:
    return Tracker(
        patience=config.tracker.patience,
        min_sightings=config.tracker.min_sightings,
        min_seconds=config.tracker.min_seconds,
        votes=config.classifier.votes,
        min_confidence=config.classifier.min_confidence,
        static_after=config.tracker.static_after,
        ages=config.classifier.age,
    )


@dataclass(frozen=True, slots=True)
class Models:
    """The models that classify faces; None for one that is not needed."""

    main: Classifier | None = None
    """For gender, and for age unless that has a model of its own."""
    age: Classifier | None = None
    """For age alone."""


class Callbacks(TypedDict, total=False):
    """Callbacks of `pipeline.Pipeline`."""

    on_window: Required[Callable[[Window], None]]
    on_frame: Callable[[Frame, Sequence[Track]], None]
    on_visit: Callable[[Visit], None]
    on_no_frame: Callable[[NoFrame], None]
    on_present: Callable[[float, int | None], None]


def models(config: Config) -> Models:
    """The models that the configuration needs. Raises ModelError."""
    return Models(classifier(config), age_classifier(config))


def classifier(config: Config) -> Classifier | None:
    """The model for gender, and for age unless that has a model of its own.

    None, without opening the file, if it is needed for neither. Raises ModelError.
    """
    settings = config.classifier
    age = settings.age and not settings.separate_ages
    if not (settings.gender or age):
        return None
    return _classifier(config, settings.model, gender=settings.gender, age=age)


def age_classifier(config: Config) -> Classifier | None:
    """The model for age alone; None if there is no such model. Raises ModelError."""
    model = config.classifier.separate_ages
    return None if model is None else _classifier(config, model, gender=False, age=True)


def _classifier(config: Config, model: Path, *, gender: bool, age: bool) -> Classifier:
    settings = config.classifier
    classifier = Classifier(
        model, runtime=settings.runtime, threads=settings.threads, gender=gender, age=age
    )
    if gender and not classifier.card.labels:
        raise ModelError(
            f"model {model}: estimates age alone, but classifier.gender is on: set "
            "classifier.model to a model for gender, or classifier.gender: off"
        )
    if age and not classifier.card.ages:
        raise ModelError(
            f"model {model}: estimates no age, but classifier.age is on: set "
            "classifier.age_model to a model with age groups, or classifier.age: off"
        )
    return classifier


def counter(config: Config) -> Counter:
    return Counter(
        seconds=config.window.seconds,
        min_people=config.privacy.min_people,
        max_hold=config.privacy.max_hold,
        ages=config.classifier.age,
    )


def presence(config: Config) -> LivePresence | None:
    return LivePresence(config.privacy.min_present) if config.mqtt.presence else None


def pipeline(
    config: Config, models: Models, health: Health, **callbacks: Unpack[Callbacks]
) -> Pipeline:
    detect = detector(config)
    return Pipeline(
        detect=detect,
        face_evidence=detect.face_evidence,
        tracker=tracker(config),
        classify=models.main,
        classify_age=models.age,
        counter=counter(config),
        health=health,
        **callbacks,
    )


def messages(
    config: Config,
    models: Models = Models(),  # immutable
    *,
    legacy_ids: bool = False,
) -> Messages:
    return Messages(
        site=config.site,
        device=config.device,
        model=None if models.main is None else models.main.card.id,
        age_model=None if models.age is None else models.age.card.id,
        gender=config.classifier.gender,
        ages=config.classifier.age,
        discovery_prefix=config.mqtt.discovery_prefix,
        legacy_ids=legacy_ids,
        window_seconds=config.window.seconds,
        max_hold=config.privacy.max_hold,
        health_seconds=config.health.seconds,
        presence=config.mqtt.presence,
        pause=config.mqtt.allow_pause and not is_recorded(config.source),
        dashboard_url=config.mqtt.dashboard_url,
    )


def has_legacy_ids(config: Config) -> bool:
    """Whether Home Assistant knows the device by the ids of an earlier installation."""
    return outbox_db.has_legacy_ids(config.state_dir / OUTBOX)


def drop_legacy_ids(config: Config) -> None:
    """Forget the ids, so that the device returns under its site and name. Raises OutboxError."""
    if has_legacy_ids(config):
        outbox_db.drop_legacy_ids(config.state_dir / OUTBOX)


def outbox(state_dir: Path | None, limits: OutboxLimits) -> Outbox:
    """The outbox in `state_dir`; None keeps it in memory.

    Raises ConfigError if the folder cannot be created, OutboxError if it cannot be used.
    """
    try:
        if state_dir is not None:
            state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state_dir {state_dir}: cannot be created ({error.strerror})") from error
    path = None if state_dir is None else state_dir / OUTBOX
    return Outbox(path, max_windows=limits.max_windows, max_days=limits.max_days)


def broker(config: Config) -> Broker:
    """The configured broker.

    Raises ConfigError if a certificate or the password file cannot be used.
    """
    settings = config.mqtt
    tls = settings.tls
    context = tls_context(tls.ca_file, tls.cert_file, tls.key_file) if tls.enabled else None
    return Broker(
        host=settings.host,
        port=settings.port,
        client_id=f"edge-tally/{config.site}/{config.device}",
        username=settings.username,
        password_file=settings.password_file,
        keepalive=settings.keepalive,
        tls=context,
        version=None if settings.version == "auto" else settings.version,
    )


def birth_topic(config: Config) -> str | None:
    """The topic on which Home Assistant announces its start; None if discovery is off."""
    prefix = config.mqtt.discovery_prefix
    return f"{prefix}/{HOME_ASSISTANT_BIRTH}" if prefix else None


def mqtt_publisher(
    config: Config, messages: Messages, wake: Callable[[], None], pause: PauseSwitch | None = None
) -> MqttPublisher:
    """A publisher that also hands on the commands for `pause`."""
    commands: dict[str, Any] = {}
    if pause is not None:
        commands = {"command_topic": messages.command_topic, "on_command": pause.command}
    return MqttPublisher(
        broker(config),
        will=messages.availability("offline"),
        birth_topic=birth_topic(config),
        **commands,
        wake=wake,
    )


def info(config: Config, models: Models) -> dict[str, Any]:
    """The payload of `info`: versions, models, board, and the configuration without secrets."""
    settings = config.model_dump(mode="json", exclude={"mqtt": {"username", "password_file"}})
    settings["source"] = redacted_source(config.source)
    running = models.main or models.age
    payload = {
        "version": edge.__version__,
        "model": NO_MODEL if models.main is None else models.main.card.id,
        "runtime": "none" if running is None else running.runtime,
        "board": {"model": board_model(), "auto": board_defaults().by_key()},
        "config": settings,
    }
    if models.age is not None:
        payload["age_model"] = models.age.card.id
    if models.main is not None and config.classifier.gender:
        confusion = models.main.card.confusion_at(config.classifier.min_confidence)
        payload |= {} if confusion is None else {"confusion": confusion}
    audit = load_audit(config.state_dir)
    return payload if audit is None else payload | {"audit": audit}
