"""The errors that end the daemon, with their exit codes."""


class EdgeError(Exception):
    """A failure from which the daemon cannot recover; the user sees its text."""

    exit_code = 1


class ConfigError(EdgeError):
    """A mistake in the configuration or on the command line: a key, a value, a file, a model."""

    exit_code = 2


class ModelError(ConfigError):
    """A model file, or the JSON beside it, cannot be used."""


class OutboxError(EdgeError):
    """A write to disk failed; nothing was counted, and it may be tried again."""


class SourceError(EdgeError):
    """A camera or stream is missing, or gives no more frames."""
