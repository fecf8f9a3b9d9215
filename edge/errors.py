"""What can go wrong, and the exit code with which the daemon then ends."""


class EdgeError(Exception):
    """A failure that the daemon cannot recover from; its text is the line the user sees."""

    exit_code = 1


class ConfigError(EdgeError):
    """A mistake in what the user wrote or named: a key, a value, a file, a model."""

    exit_code = 2


class ModelError(ConfigError):
    """A model file, or the JSON beside it, cannot be used."""


class OutboxError(EdgeError):
    """The disk refused a write; it was not counted and may be tried again."""


class SourceError(EdgeError):
    """A camera or stream is missing or has stopped giving frames."""
