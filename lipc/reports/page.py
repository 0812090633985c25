"""One self-contained HTML page: no scripts, nothing from the network, readable on a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from lipc import __version__
from lipc.reports.figures import Picture, has_matplotlib


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading and HTML below it."""

    title: str
    html: str


def page(title: str, headline: str, sections: Iterable[Section]) -> str:
    """Return the page.

    Parameters
    ----------
    title
        Of the window, and small above the headline; text.
    headline
        The answer, as text.
    """
    body = "\n".join(f"<section>\n<h2>{escape(section.title)}</h2>\n{section.html}\n</section>" for section in sections)
    return _PAGE.substitute(title=escape(title), headline=escape(headline), body=body, version=escape(__version__))


def paragraphs(*texts: str) -> str:
    """Return texts as paragraphs."""
    return "\n".join(f"<p>{escape(text)}</p>" for text in texts if text)


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with texts, as a list of definitions."""
    items = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)
    return f"<dl>\n{items}\n</dl>"


def grid(rows: Iterable[tuple[str, str]]) -> str:
    """Return names with texts as a table without a head, for where there is no style sheet."""
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(text)}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    """Return a table that scrolls sideways on its own where it is too wide; columns of `numbers` are set right."""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(head))]

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True))

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    inner = f"<thead><tr>{cells('th', head)}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="table"><table>\n{inner}\n</table></div>'


def details(summary: str, html: str) -> str:
    """Return what is shown when it is asked for."""
    return f"<details>\n<summary>{escape(summary)}</summary>\n{html}\n</details>"


def in_pictures(drawn: Sequence[Picture]) -> list[Section]:
    """Return the section of pictures, if there are any; without matplotlib one that says how to get them."""
    if drawn:
        return [Section("In pictures", gallery(drawn))]
    if has_matplotlib():
        return []
    return [Section("Pictures", paragraphs("Pictures need matplotlib: pip install 'lipc[plot]'."))]


def gallery(pictures: Iterable[Picture]) -> str:
    """Return pictures with captions, as many in a row as there is room for."""
    figures = "\n".join(
        f'<figure role="group" aria-label="{escape(each.title)}">\n<h3>{escape(each.title)}</h3>\n{each.svg()}\n'
        f"<figcaption>{escape(each.text)}</figcaption>\n</figure>"
        for each in pictures
    )
    return f'<div class="gallery">\n{figures}\n</div>'


_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="lipc $version">
<link rel="icon" href="data:,">
<title>$title</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #101418; --muted: #57606a; --line: #d8dde2; --page: #f4f6f8; --card: #ffffff;
  --first: #1f6feb; --second: #c2410c; --third: #8b949e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --muted: #9aa5b1; --line: #2f3742; --page: #0d1117; --card: #161b22;
    --first: #58a6ff; --second: #f0883e; --third: #6e7681;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 66rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
header p { margin: 0; color: var(--muted); overflow-wrap: anywhere; }
h1 { margin: .1em 0 .6em; font-size: clamp(1.4rem, 5.5vw, 2.3rem); line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 .6rem; font-size: 1.15rem; }
h3 { margin: 0 0 .4rem; font-size: .95rem; }
section, figure { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; }
section { margin: 1rem 0; padding: 1rem 1.1rem; }
section p { margin: .5rem 0; max-width: 46rem; }
.gallery { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
figure { margin: 0; padding: .8rem; }
figure svg { display: block; width: 100%; height: auto; max-height: 34rem; }
figcaption { margin-top: .4rem; color: var(--muted); font-size: .85rem; }
dl { margin: 0; display: grid; gap: .35rem; }
dl div { display: grid; grid-template-columns: 9rem 1fr; gap: .6rem; }
dt { color: var(--muted); overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
.number { text-align: right; }
details { margin-top: .8rem; }
summary { cursor: pointer; color: var(--first); }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .85rem; }
footer { color: var(--muted); font-size: .85rem; }
@media (max-width: 34rem) { dl div { grid-template-columns: 1fr; gap: 0; } }
@media print { body { max-width: none; } section, figure { break-inside: avoid; } }
</style>
</head>
<body>
<header>
<p>$title</p>
<h1>$headline</h1>
</header>
<main>
$body
</main>
<footer><p>Written by lipc $version.</p></footer>
</body>
</html>
""")
