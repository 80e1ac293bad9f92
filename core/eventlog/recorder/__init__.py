"""The persistence module of `eventsourcing`: its recorders, on our log.

`PERSISTENCE_MODULE=core.eventlog.recorder` (docs/reference/persistence-module.md).
"""

from core.eventlog.recorder.recorder import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogBook,
    LogFactory,
    LogProcessRecorder,
    LogRecorder,
    LogTrackingRecorder,
)

__all__ = [
    "LogAggregateRecorder",
    "LogApplicationRecorder",
    "LogBook",
    "LogFactory",
    "LogProcessRecorder",
    "LogRecorder",
    "LogTrackingRecorder",
]
