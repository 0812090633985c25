"""What every estimator takes and gives back: a question about a network, and one number with its meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from lipc.certify import Witness
from lipc.errors import QueryError
from lipc.ir import Lipschitz, Program


class Kind(Enum):
    """What a number says of the Lipschitz constant L."""

    EXACT = "exact"
    UPPER = "upper"
    LOWER = "lower"
    HEURISTIC = "heuristic"


class RefusedError(QueryError):
    """A method that does not apply to a network or a question, with what it would need."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a method says.

    Parameters
    ----------
    value
        The number. Of kind ``upper`` it is never below L, of kind ``lower`` never above, rounding included; of kind
        ``exact`` it is an upper bound that a witness attains within the gap.
    norm
        The norm of perturbations in which the method itself works, like ``l_2``, and of outputs where that matters.
    domain
        Where the number holds: ``domain`` for that of the question, ``everywhere`` for a global method.
    factor
        How a number in the method's own norm became one in that of the question, like ``sqrt(10), l_2 to l_inf``;
        empty if nothing was applied.
    kind
        Of this number, where it is another one than the method's: an exact method that was cut short gives an upper
        bound.
    witness
        A point that proves a lower bound.
    note
        What else its reader must know; may be empty.
    """

    value: float
    norm: str
    domain: str = "domain"
    factor: str = ""
    kind: Kind | None = None
    witness: Witness | None = None
    note: str = ""


@dataclass(frozen=True)
class Limits:
    """How long and with which random numbers a method may work.

    Parameters
    ----------
    deadline
        The time of `time.monotonic` at which to return what there is, or to refuse.
    seed
        Of random points.
    """

    deadline: float = float("inf")
    seed: int = 0


class Estimator(ABC):
    """A published method; subclasses are frozen dataclasses whose fields are its options, as those of passes are."""

    name: ClassVar[str]

    kind: ClassVar[Kind]

    source: ClassVar[str]
    """The paper: authors, venue, year, and the section or equation."""

    @abstractmethod
    def estimate(self, program: Program, limits: Limits) -> Estimate:
        """Return the number for a question.

        Parameters
        ----------
        program
            A network of one real input with a Lipschitz question as its objective, as `Query.ask` returns it: its
            result holds the functions of the outputs that are asked for, one or several.

        Raises
        ------
        RefusedError
            If the method does not apply.
        """


def question_of(program: Program) -> Lipschitz:
    """Return the Lipschitz question that a program asks.

    Raises
    ------
    RefusedError
        If it asks for a range.
    """
    if program.objective is None or program.objective.lipschitz is None:
        raise RefusedError("the estimators answer Lipschitz questions", hint="--objective lipschitz")
    return program.objective.lipschitz
