"""The composition root: command line, configuration, wiring, doctor and demo."""

__version__ = "0.1.0"
