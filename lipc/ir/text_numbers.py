"""Numbers, lists of numbers and strings as the textual IR writes and reads them; every double round-trips."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lipc.ir.polytope import Floats

LARGEST_WHOLE = 10**18
"""What a longer whole number is read as; beyond every size that is allowed, and within 64 bits."""

_FLOATS = re.compile(r"[-+0-9.eEinf, \t\r\n]*")
_WHOLES = re.compile(r"[-0-9, \t\r\n]*")
_SPARSE = re.compile(r"[-+0-9.eE:, \t\r\n]*")
_ESCAPED = re.compile(r'\\(?:u\{([0-9a-fA-F]{1,6})\}|(["\\nt])|)')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class TokenError(Exception):
    """Something is wrong within a token.

    Parameters
    ----------
    message
        What.
    start, end
        Where, in characters from the start of the text that was given.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end


def float_text(number: float) -> str:
    """Return the shortest text that stands for a double."""
    return repr(float(number))


def floats_text(numbers: Floats) -> str:
    """Return a vector as a bracketed list."""
    return "[" + ", ".join(map(repr, numbers.tolist())) + "]"


def wholes_text(numbers: NDArray[np.int64]) -> str:
    """Return whole numbers as a bracketed list."""
    return "[" + ", ".join(map(str, numbers.tolist())) + "]"


def sparse_text(columns: NDArray[np.int64], numbers: Floats) -> str:
    """Return the stored entries of a sparse row, ``{0: 1.5, 3: -2.0}``."""
    pairs = zip(columns.tolist(), numbers.tolist(), strict=True)
    return "{" + ", ".join([f"{column}: {number!r}" for column, number in pairs]) + "}"


def quoted(text: str) -> str:
    """Return a string in quotes; characters that do not print, and surrogates, by their code points."""
    return '"' + "".join(map(_character, text)) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def read_string(token: str) -> str:
    """Return what a quoted string stands for.

    Raises
    ------
    TokenError
        For a backslash that begins no escape, or a code point beyond Unicode.
    """

    def character(match: re.Match[str]) -> str:
        code, letter = match.groups()
        if letter:
            return _ESCAPES[letter]
        if code is None:
            raise TokenError('unknown escape; there are \\" \\\\ \\n \\t \\u{41}', match.start(), match.end() + 1)
        if int(code, 16) > 0x10FFFF:
            raise TokenError("there is no such character", match.start(), match.end())
        return chr(int(code, 16))

    try:
        return _ESCAPED.sub(character, token[1:-1])
    except TokenError as error:
        raise TokenError(error.message, error.start + 1, error.end + 1) from None


def read_whole(token: str) -> int:
    """Return a whole number without a sign; one of more than 18 digits counts as 10**18."""
    digits = token.lstrip("0")
    return LARGEST_WHOLE if len(digits) > 18 else int(digits or "0")


def read_float(token: str) -> float:
    """Return a number; infinities only where they are spelt out.

    Raises
    ------
    TokenError
        It is beyond double precision, or no number.
    """
    trouble = _float_trouble(token)
    if trouble:
        raise TokenError(trouble, 0, len(token))
    return float(token)


def count(token: str) -> int:
    """Return how many items a bracketed list has."""
    return token.count(",") + 1 if token[1:-1].strip() else 0


def read_floats(token: str) -> Floats:
    """Return a bracketed list of numbers.

    One `float` per item: 270,000 numbers of full length in rows of 784, 5.5 MB of text, take 80 ms.

    Raises
    ------
    TokenError
        With the first item that is not a number.
    """
    body = token[1:-1]
    if not body.strip():
        return np.zeros(0)
    if _FLOATS.fullmatch(body):
        try:
            numbers = np.array(list(map(float, body.split(","))))
        except ValueError:
            pass
        else:
            if int(np.isinf(numbers).sum()) == body.count("inf"):
                return numbers
    raise _first_trouble(token, _float_trouble)


def read_wholes(token: str) -> NDArray[np.int64]:
    """Return a bracketed list of whole numbers.

    Raises
    ------
    TokenError
        With the first item that is not a whole number of 64 bits.
    """
    body = token[1:-1]
    if not body.strip():
        return np.zeros(0, np.int64)
    if _WHOLES.fullmatch(body):
        try:
            return np.array(list(map(int, body.split(","))), dtype=np.int64)
        except (ValueError, OverflowError):
            pass
    raise _first_trouble(token, _whole_trouble)


def read_sparse_row(token: str) -> tuple[int, list[int], list[float]]:
    """Return the number of a sparse row, its columns and their numbers, of a text like ``7: {0: 1.5, 3: -2.0}``.

    Raises
    ------
    TokenError
        With the first item that is not ``COLUMN: NUMBER``, or whose column does not exceed the one before.
    """
    brace = token.index("{")
    row = read_whole(token[: token.index(":")].strip())
    body = token[brace + 1 : -1]
    if not body.strip():
        return row, [], []
    columns, numbers = [], []
    if _SPARSE.fullmatch(body):
        try:
            for item in body.split(","):
                column, number = item.split(":")
                columns.append(int(column))
                numbers.append(float(number))
        except ValueError:
            pass
        else:
            ascending = all(map(int.__lt__, columns, columns[1:])) and columns[0] >= 0
            if ascending and columns[-1] < LARGEST_WHOLE and not any(map(math.isinf, numbers)):
                return row, columns, numbers
    raise _sparse_trouble(token, brace)


def item_place(token: str, index: int) -> tuple[int, int]:
    """Return where item `index` of a bracketed list stands in its token."""
    start = 1
    for _ in range(index):
        start = token.index(",", start) + 1
    return _trimmed(token, start, token.find(",", start))


def _trimmed(token: str, start: int, end: int) -> tuple[int, int]:
    """Return the place of an item without the white space around it; of an empty item, what ends it."""
    end = len(token) - 1 if end < 0 else end
    item = token[start:end]
    if not item.strip():
        return end, end + 1
    start += len(item) - len(item.lstrip())
    return start, start + len(item.strip())


def _items(token: str, start: int) -> list[tuple[int, int]]:
    """Return the places of all items after the bracket at ``start - 1``."""
    places = []
    while True:
        comma = token.find(",", start)
        places.append(_trimmed(token, start, comma))
        if comma < 0:
            return places
        start = comma + 1


def _first_trouble(token: str, trouble_of: Callable[[str], str]) -> TokenError:
    for start, end in _items(token, 1):
        trouble = trouble_of("" if token[start] in ",]" else token[start:end])
        if trouble:
            return TokenError(trouble, start, end)
    return TokenError("this is not a list of numbers", 0, len(token))


def _sparse_trouble(token: str, brace: int) -> TokenError:
    before = -1
    for start, end in _items(token, brace + 1):
        column, colon, number = ("" if token[start] in ",}" else token[start:end]).partition(":")
        if not colon or not column.strip().isdecimal() or not column.isascii():
            return TokenError("an entry of a sparse row is written COLUMN: NUMBER", start, end)
        trouble = _float_trouble(number.strip(), infinite=False)
        if trouble:
            return TokenError(trouble, start, end)
        if read_whole(column.strip()) <= before:
            return TokenError("the columns of a sparse row ascend", start, end)
        before = read_whole(column.strip())
    return TokenError("there is no such column", 0, len(token))


def _float_trouble(item: str, *, infinite: bool = True) -> str:
    """Return what is wrong with a number; empty if nothing is."""
    if not item:
        return "a number is missing"
    if item == "nan":
        return "a program holds no nan"
    try:
        number = float(item) if _FLOATS.fullmatch(item) else None
    except ValueError:
        number = None
    if number is None:
        return f"'{_short(item)}' is not a number"
    if math.isinf(number) and "inf" not in item:
        return f"{_short(item)} is beyond double precision"
    return "this must be finite" if math.isinf(number) and not infinite else ""


def _whole_trouble(item: str) -> str:
    if not item:
        return "a number is missing"
    digits = item.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal():
        return f"'{_short(item)}' is not a whole number"
    return f"{_short(item)} is beyond 64 bits" if len(digits.lstrip("0")) > 18 else ""


def _short(item: str) -> str:
    return item if len(item) <= 40 else f"{item[:40]}..."
