"""A report, of one result or of a batch: what it is, is seen by its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lipc.errors import ResultError
from lipc.reports.batch import batch_page, batch_pictures
from lipc.reports.figures import Picture
from lipc.reports.radii import is_radius
from lipc.reports.radius import radius_page, radius_pictures
from lipc.reports.single import result_page, result_pictures
from lipc.verify import read_results

if TYPE_CHECKING:
    from lipc.radius import RadiusResult
    from lipc.result import Result

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Report:
    """What can be shown of a result, or of many.

    Parameters
    ----------
    records
        Results as `lipc.Result.to_dict` returns them, or lines of the results of a batch; one at least.
    shape
        Rows and columns, where the inputs of a result are drawn as an image of that shape.
    where
        The file; empty for what was made in memory.
    is_batch
        Whether the records are those of a batch.
    """

    records: Sequence[Mapping[str, Any]]
    shape: tuple[int, int] | None = None
    where: str = ""
    is_batch: bool = False

    def html(self) -> str:
        """Return the page.

        Raises
        ------
        ResultError
            If something is missing in a result, or stands there in another form, or inputs are no image of the shape.
        """
        if self.is_batch:
            return self._checked(lambda: batch_page(self.records, self.where or "a batch", self.shape))
        alone = self.records[0]
        return self._checked(lambda: (radius_page if is_radius(alone) else result_page)(alone, self.shape))

    def pictures(self) -> list[Picture]:
        """Return the pictures; none where matplotlib is missing.

        Raises
        ------
        ResultError
            As of `html`.
        """
        if self.is_batch:
            return self._checked(lambda: batch_pictures(self.records, self.shape))
        alone = self.records[0]
        return self._checked(lambda: (radius_pictures if is_radius(alone) else result_pictures)(alone, self.shape))

    def _checked(self, make: Callable[[], T]) -> T:
        try:
            return make()
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
            message = f"the result is incomplete or damaged: {type(error).__name__}: {error}"
            raise ResultError(message, where=self.where) from None


def open_report(path: str | Path, shape: tuple[int, int] | None = None) -> Report:
    """Return the report of a file, of one result or of several as its content says; ``-`` is standard input.

    Raises
    ------
    ResultError
        If it cannot be read, or holds no results.
    """
    name, records = read_results(path)
    alone = len(records) == 1 and records[0].get("status") != "error"
    return Report(records, shape, name, is_batch=not alone)


def report_of(result: Result | RadiusResult) -> Report:
    """Return the report of a result in memory."""
    return Report([result.to_dict()])
