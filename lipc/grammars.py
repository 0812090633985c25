"""Find the grammar files: inside the package when installed, at the top of the repository when run from there."""

from __future__ import annotations

from pathlib import Path

from lipc.errors import InternalError


def grammar(name: str) -> str:
    """Return the text of ``grammar/NAME``.

    Raises
    ------
    InternalError
        If the installation lacks the file.
    """
    package = Path(__file__).parent
    for folder in (package / "grammar", package.parent / "grammar"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise InternalError(f"the grammar {name} is missing from this installation of lipc")
