"""The interface: an engine has seats, and in each a service answers requests, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Service(Protocol):
    """What is done at a seat. It is pickled, and started there once."""

    def start(self) -> Callable[[Any], Any]:
        """Return what answers requests; it may remember what it has seen, but no answer may depend on that."""


class Seat(Protocol):
    """A place where a service answers.

    Attributes
    ----------
    reason
        Why it gave no answer.
    """

    reason: str

    @property
    def is_lost(self) -> bool:
        """Whether it will never say anything again."""

    def is_ready(self, seconds: float) -> bool:
        """Wait until it can be asked; return whether that came in time."""

    def ask(self, request: object) -> None:
        """Give it something to answer; the last request has been answered."""

    def answer(self, seconds: float) -> Any | None:
        """Wait for the answer; `None` if none came in time, or will ever come."""

    def stop(self) -> None:
        """Give it up, whatever it is at."""


class Engine(Protocol):
    """Something with seats.

    Attributes
    ----------
    size
        How many seats are worth having.
    """

    @property
    def size(self) -> int:
        """How many seats are worth having."""

    def hire(self, service: Service, on_answer: Callable[[], None] = lambda: None) -> Seat:
        """Return a new seat, which gets ready meanwhile.

        Parameters
        ----------
        on_answer
            Called when it is ready, has answered, or is lost; from another thread.

        Raises
        ------
        OSError
            If there is none to be had.
        """

    def close(self) -> None:
        """Give up whatever the engine holds; its seats were stopped before."""
