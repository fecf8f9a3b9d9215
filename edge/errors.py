"""What can go wrong, and with which exit code the daemon then ends."""


class EdgeError(Exception):
    """A failure that could not be mended; its text is the one line the user sees."""

    exit_code = 1


class ConfigError(EdgeError):
    """Something the user wrote or named is wrong: a key, a value, a file, a model."""

    exit_code = 2


class ModelError(ConfigError):
    """A model file, or the JSON beside it, that the daemon cannot use."""


class OutboxError(EdgeError):
    """The disk refused; what it refused was not counted and may be tried again."""


class SourceError(EdgeError):
    """A camera or stream that is missing, or that stopped giving frames."""
