"""The option ``foreground``; without torch, so that a command line is checked before anything else is imported."""

AUTO, READY, LEARN, OFF = SOURCES = "auto", "ready", "learn", "off"
CHOICES = f"{', '.join(SOURCES)}, or the foreground.safetensors of a run"


def switched(option: str | bool) -> str:
    """The option ``foreground`` as it is meant: ``off`` is false in YAML, which a schema may have made text of."""
    return OFF if str(option).lower() in (OFF, "false") else str(option)
