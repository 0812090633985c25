"""Where work is done: processes of this machine, or a cluster; one small interface for both."""

from lipc.engine.base import Engine, Seat, Service

__all__ = ["Engine", "Seat", "Service"]
