"""What `check` proves: a probe for each part, which raises EdgeError if the part does not work."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import edge
from edge import wiring
from edge.config import Config
from edge.delivery.mqtt_probe import probe
from edge.errors import EdgeError
from edge.sources.name import shown_source
from edge.types import Frame


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe of a working part reports."""

    text: str | None = None
    """None if there is nothing worth a line."""
    warnings: tuple[str, ...] = ()
    """What does not work but holds up no counts."""


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
    wiring.detector(config)
    return Finding(f"{config.detector.judge}: BlazeFace")


def state(config: Config) -> Finding:
    wiring.validate_state_dir(config.state_dir)
    return Finding()


def camera(config: Config) -> Finding:
    if wiring.is_paused(config):
        return Finding(f"{'paused' if config.paused else 'quiet hours'}: it is not opened")
    with contextlib.closing(wiring.frames(config, recover=False)) as frames:
        first = next(frame for frame in frames if isinstance(frame, Frame))
        width, height = first.image.shape[1::-1]
    return Finding(f"{shown_source(config.source)}: {width} x {height}")


def broker(config: Config) -> Finding:
    """Whether windows arrive; what concerns only optional messages is a warning."""
    models = wiring.Models()
    with contextlib.suppress(EdgeError):  # reported by `model` and `ages`
        models = wiring.models(config)
    messages = wiring.messages(config, models, legacy_ids=wiring.has_legacy_ids(config))
    needed = messages.check()
    optional = [messages.info(wiring.info(config, models)), *messages.discovery(edge.__version__)]
    address = wiring.broker(config)
    result = probe(
        address,
        needed,
        optional=[(messages.blank(message), message) for message in optional],
        will=needed[0],
        birth_topic=wiring.birth_topic(config),
    )
    return Finding(
        f"{address.where}: speaks MQTT {result.version}, takes our topics",
        tuple(f"{address.where}: {warning}" for warning in result.warnings),
    )


PROBES: dict[str, Callable[[Config], Finding]] = {
    "model": model,
    "ages": ages,
    "faces": faces,
    "state": state,
    "camera": camera,
    "broker": broker,
}
"""In the order in which they are reported."""
