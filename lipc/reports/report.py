"""A report, of one result or of a batch: what it is, is seen by its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipc.errors import ResultError
from lipc.reports.figures import Picture
from lipc.reports.single import result_page, result_pictures
from lipc.verify import read_result


@dataclass(frozen=True, eq=False)
class Report:
    """What can be shown of a result.

    Parameters
    ----------
    result
        As `lipc.verify.read_result` returns it.
    shape
        Rows and columns, where inputs are drawn as an image of that shape.
    where
        The file, for messages.
    """

    result: Mapping[str, Any]
    shape: tuple[int, int] | None = None
    where: str = ""

    @property
    def inputs(self) -> int | None:
        """The number of inputs, as far as the result says."""
        witness = self.result.get("witness")
        return len(witness["x"]) if isinstance(witness, dict) and isinstance(witness.get("x"), list) else None

    def html(self) -> str:
        """Return the page.

        Raises
        ------
        ResultError
            If something is missing in the result, or stands there in another form.
        """
        try:
            return result_page(self.result, self.shape)
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def pictures(self) -> list[Picture]:
        """Return the pictures; none where matplotlib is missing.

        Raises
        ------
        ResultError
            As of `html`.
        """
        try:
            return result_pictures(self.result, self.shape)
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> ResultError:
        message = f"the result is incomplete or damaged: {type(error).__name__}: {error}"
        return ResultError(message, where=self.where)


_DAMAGED = (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError)


def open_report(path: str | Path, shape: tuple[int, int] | None = None) -> Report:
    """Return the report of a file; ``-`` is standard input.

    Raises
    ------
    ResultError
        If it cannot be read, is no result, or has inputs that are no image of that shape.
    """
    report = Report(read_result(path), shape, str(path))
    inputs = report.inputs
    if shape is not None and inputs is not None and shape[0] * shape[1] != inputs:
        raise ResultError(f"has {inputs} inputs, no image of {shape[0]} x {shape[1]}", where=str(path))
    return report


def report_of(result: Any) -> Report:
    """Return the report of a `lipc.Result`."""
    return Report(result.to_dict())
