"""The probes of `check`, one for each part; a probe raises EdgeError if its part does not work."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import edge
from edge import wiring
from edge.config import Config
from edge.config_values import board_defaults
from edge.delivery.mqtt_probe import probe
from edge.errors import EdgeError
from edge.host import board_model
from edge.sources.name import redacted_source
from edge.types import Frame


@dataclass(frozen=True, slots=True)
class Finding:
    """A probe's report about a part that works."""

    text: str | None = None
    """None if there is nothing worth a line."""
    warnings: tuple[str, ...] = ()
    """What does not work but does not delay any counts."""


def board(_config: Config) -> Finding:
    """What `auto` means here."""
    settings = board_defaults()
    name = board_model() or "other than a Raspberry Pi"
    threads = "1 thread" if settings.threads == 1 else f"{settings.threads} threads"
    return Finding(
        f"{name}: auto is {settings.fps:g} fps, {threads}, faces from {settings.min_face_px} px"
    )


def model(config: Config) -> Finding:
    """The model for gender, and for age if that has no model of its own."""
    settings = config.classifier
    classifier = wiring.classifier(config)
    if classifier is None:
        return Finding("gender: off")
    text = f"{settings.model}: {classifier.card.id} on {classifier.runtime}"
    if settings.age and not settings.separate_ages:
        text += f", for {'gender and age' if settings.gender else 'age alone'}"
    return Finding(text)


def ages(config: Config) -> Finding:
    """The model for age alone, if there is one."""
    classifier = wiring.age_classifier(config)
    if classifier is None:
        return Finding()
    path = config.classifier.separate_ages
    return Finding(f"{path}: {classifier.card.id} on {classifier.runtime}")


def faces(config: Config) -> Finding:
    """The face detector."""
    wiring.detector(config)
    return Finding(f"{config.detector.judge}: BlazeFace")


def state(config: Config) -> Finding:
    """The state folder; there is nothing to report if it can be written."""
    wiring.validate_state_dir(config.state_dir)
    return Finding()


def camera(config: Config) -> Finding:
    """The first frame of the source, unless the daemon is paused now."""
    pause = wiring.pause_switch(config)
    if wiring.is_paused(config, pause):
        paused = config.paused or (pause is not None and pause.is_on())
        return Finding(f"{'paused' if paused else 'quiet hours'}: not opened")
    with contextlib.closing(wiring.frames(config, recover=False)) as frames:
        first = next(frame for frame in frames if isinstance(frame, Frame))
        width, height = first.image.shape[1::-1]
    return Finding(f"{redacted_source(config.source)}: {width} x {height}")


def broker(config: Config) -> Finding:
    """Whether the broker takes windows; trouble with optional messages is a warning."""
    models = wiring.Models()
    with contextlib.suppress(EdgeError):  # reported by `model` and `ages`
        models = wiring.models(config)
    messages = wiring.messages(config, models, legacy_ids=wiring.has_legacy_ids(config))
    required = messages.check()
    optional = [messages.info(wiring.info(config, models)), *messages.discovery(edge.__version__)]
    address = wiring.broker(config)
    result = probe(
        address,
        required,
        optional=[(messages.blank(message), message) for message in optional],
        will=required[0],
        birth_topic=wiring.birth_topic(config),
        command_topic=messages.command_topic if config.mqtt.allow_pause else None,
    )
    return Finding(
        f"{address.where}: speaks MQTT {result.version}, takes our topics",
        tuple(f"{address.where}: {warning}" for warning in result.warnings),
    )


PROBES: dict[str, Callable[[Config], Finding]] = {
    "board": board,
    "model": model,
    "ages": ages,
    "faces": faces,
    "state": state,
    "camera": camera,
    "broker": broker,
}
"""The probes by the name of their part, in the order of the report."""
