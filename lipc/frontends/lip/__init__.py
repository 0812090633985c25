"""The .lip front end: networks, and a question about one of them, written as text. See docs/language.md."""

from lipc.frontends.lip.reader import parse_lip, read_lip

__all__ = ["parse_lip", "read_lip"]
