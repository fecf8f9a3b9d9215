"""The parts of the daemon, made from the configuration; the tools make theirs here too."""

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
from edge import database
from edge.blaze import BlazeFace
from edge.broker import Broker, tls_context
from edge.cameras import import_picamera2, shown_source
from edge.classify import Classifier
from edge.config import Config, OutboxLimits
from edge.cool import Governor
from edge.count import Counter
from edge.errors import ConfigError, ModelError
from edge.faces import HaarDetector
from edge.frames import is_live, open_file, open_frames
from edge.health import Health
from edge.hours import within
from edge.idle import Detect, Idle
from edge.messages import NO_MODEL, Messages
from edge.outbox import Outbox
from edge.pipeline import Pipeline
from edge.publish import MqttPublisher
from edge.records import Blind, Frame, Frames, Track, View, Visit, Window
from edge.rescue import Rescue
from edge.rest import with_rests
from edge.track import Tracker

OUTBOX = "outbox.db"
HOME_ASSISTANT_BIRTH = "status"
"""Below the discovery prefix, where Home Assistant says that it has come up."""


def frames(
    config: Config, stopped: Callable[[], bool] = lambda: False, *, heal: bool = True
) -> Frames:
    """The frames of the configured source; without `heal` a camera's first failure is the end."""
    asked = config.camera.model_dump(exclude={"allow_reboot", "max_temperature"})
    view = View(**asked | {"gray_width": config.detector.width})
    if not heal:
        view = dataclasses.replace(view, give_up=0)
    governor = Governor(view.fps, config.camera.max_temperature)

    def opened() -> Frames:
        frames = open_frames(config.source, view, fps=governor, stopped=stopped)
        if heal and config.camera.allow_reboot and is_live(config.source):
            return Rescue(config.state_dir).watch(frames)
        return frames

    if config.paused or (config.quiet_hours and not _recorded(config.source)):
        return with_rests(opened, lambda: rests(config), stopped)
    return opened()


def rests(config: Config) -> bool:
    """Whether the source is closed now: the daemon is paused, or these are its quiet hours.

    A recording has none: its time is not the time on the wall.
    """
    quiet = not _recorded(config.source) and within(config.quiet_hours, time.time())
    return config.paused or quiet


def _recorded(source: str) -> bool:
    return not is_live(source) and source != "demo"


def prove(config: Config) -> None:
    """Prove all that can be while another configuration has the camera. Raises EdgeError."""
    models(config)
    detector(config)
    broker(config)
    prove_state_dir(config.state_dir)
    if config.source.startswith("picamera2:"):
        import_picamera2()
    path = Path(config.source)
    if path.is_dir() or path.is_file():  # a pipe is read but once
        with contextlib.closing(open_file(path)) as recording:
            next(recording)


def prove_state_dir(state_dir: Path) -> None:
    """Raises ConfigError where the folder can be neither made nor written. Leaves nothing."""
    try:
        there = next(path for path in (state_dir, *state_dir.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:  # a full disk is no mistake, and gets room again
            raise ConfigError(
                f"state_dir {state_dir}: cannot be written ({error.strerror})"
            ) from error


def detector(config: Config) -> Detect:
    settings = config.detector
    judge = BlazeFace(
        settings.judge,
        min_score=settings.min_score,
        runtime=config.classifier.runtime,
        threads=config.classifier.threads,
    )
    search = HaarDetector(
        judge,
        min_face_px=settings.min_face_px,
        max_face_px=settings.max_face_px,
        scale_factor=settings.scale_factor,
        min_neighbours=settings.min_neighbours,
        region=config.zones.region,
        excluded=config.zones.excluded,
    )
    return Idle(search) if settings.idle else search


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
    """The models that judge a face; None for one that nobody asks for."""

    main: Classifier | None = None
    """For gender, and for age where that has no model of its own."""
    age: Classifier | None = None
    """For age alone."""


class Watchers(TypedDict, total=False):
    """Who is told what a pipeline finds, as in `pipeline.Pipeline`."""

    on_window: Required[Callable[[Window], None]]
    on_frame: Callable[[Frame, Sequence[Track]], None]
    on_visit: Callable[[Visit], None]
    on_blind: Callable[[Blind], None]


def models(config: Config) -> Models:
    """Raises ModelError."""
    return Models(classifier(config), age_classifier(config))


def classifier(config: Config) -> Classifier | None:
    """The model for gender, and for age where it has no model of its own.

    None where it is asked for neither; the model is not even looked at then. Raises ModelError.
    """
    settings = config.classifier
    age = settings.age and not settings.separate_ages
    if not (settings.gender or age):
        return None
    return _classifier(config, settings.model, gender=settings.gender, age=age)


def age_classifier(config: Config) -> Classifier | None:
    """The model for age alone; None where there is no such model. Raises ModelError."""
    model = config.classifier.separate_ages
    return None if model is None else _classifier(config, model, gender=False, age=True)


def _classifier(config: Config, model: Path, *, gender: bool, age: bool) -> Classifier:
    settings = config.classifier
    opened = Classifier(
        model, runtime=settings.runtime, threads=settings.threads, gender=gender, age=age
    )
    if gender and not opened.card.labels:
        raise ModelError(
            f"model {model}: estimates age alone, but classifier.gender is on: set "
            "classifier.model to a model of gender, or classifier.gender: off"
        )
    if age and not opened.card.ages:
        raise ModelError(
            f"model {model}: estimates no age, but classifier.age is on: set "
            "classifier.age_model to a model with age groups, or classifier.age: off"
        )
    return opened


def counter(config: Config) -> Counter:
    return Counter(
        seconds=config.window.seconds,
        min_people=config.privacy.min_people,
        max_hold=config.privacy.max_hold,
        ages=config.classifier.age,
    )


def pipeline(
    config: Config, models: Models, health: Health, **watchers: Unpack[Watchers]
) -> Pipeline:
    return Pipeline(
        detect=detector(config),
        tracker=tracker(config),
        classify=models.main,
        classify_age=models.age,
        counter=counter(config),
        health=health,
        **watchers,
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
    )


def has_legacy_ids(config: Config) -> bool:
    """Whether Home Assistant knows the device by the ids of an earlier installation."""
    return database.has_legacy_ids(config.state_dir / OUTBOX)


def drop_legacy_ids(config: Config) -> None:
    """A device that was forgotten comes back by its site and name. Raises OutboxError."""
    if has_legacy_ids(config):
        database.drop_legacy_ids(config.state_dir / OUTBOX)


def outbox(state_dir: Path | None, limits: OutboxLimits) -> Outbox:
    """The outbox in `state_dir`; None keeps it in memory.

    Raises ConfigError where the folder cannot be made, OutboxError where it cannot be used.
    """
    try:
        if state_dir is not None:
            state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state_dir {state_dir}: cannot be made ({error.strerror})") from error
    path = None if state_dir is None else state_dir / OUTBOX
    return Outbox(path, max_windows=limits.max_windows, max_days=limits.max_days)


def broker(config: Config) -> Broker:
    """Raises ConfigError where a certificate or the password file cannot be used."""
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
    """Where Home Assistant says that it has come up; None where it is not to find the device."""
    prefix = config.mqtt.discovery_prefix
    return f"{prefix}/{HOME_ASSISTANT_BIRTH}" if prefix else None


def mqtt_publisher(config: Config, made: Messages, wake: Callable[[], None]) -> MqttPublisher:
    return MqttPublisher(
        broker(config),
        will=made.availability("offline"),
        birth_topic=birth_topic(config),
        wake=wake,
    )


def info(config: Config, models: Models) -> dict[str, Any]:
    """What the `info` topic tells: versions, models, configuration without secrets."""
    settings = config.model_dump(mode="json", exclude={"mqtt": {"username", "password_file"}})
    settings["source"] = shown_source(config.source)
    running = models.main or models.age
    told = {
        "version": edge.__version__,
        "model": NO_MODEL if models.main is None else models.main.card.id,
        "runtime": "none" if running is None else running.runtime,
        "config": settings,
    }
    return told if models.age is None else told | {"age_model": models.age.card.id}
