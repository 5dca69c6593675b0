"""The one exception of this package."""


class WeightsError(ValueError):
    """Weights that do not exist, cannot be had or do not fit; the message says what to do about it."""
