"""HTML in which every text is escaped unless it is markup already."""

from html import escape
from pathlib import Path
from typing import Final

STYLE: Final = Path(__file__).with_name("style.css")
MARKS: Final = {"open": "✓", "warned": "!", "closed": "✕"}
WORDS: Final = {"open": "open", "warned": "open, warned", "closed": "closed"}
_VOID: Final = ("meta", "link", "br")


class Html(str):
    """Markup, not to be escaped again."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: str) -> Html:
    """Return an element; `class_` writes the attribute of that name.

    >>> tag("a", "1 < 2", href="x.html", class_="quiet")
    '<a href="x.html" class="quiet">1 &lt; 2</a>'
    """
    given = "".join(f' {key.rstrip("_")}="{escape(text)}"' for key, text in attributes.items())
    inner = join(*content)
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{inner}</{name}>")


def join(*content: str) -> Html:
    """Return texts and markup in a row."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in content))


def table(head: tuple[str, ...], rows: list[Html], class_: str = "") -> Html:
    """Return a table of rendered rows, which scrolls when it is too wide."""
    header = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in head)))
    return tag("div", tag("table", header, tag("tbody", *rows), class_=class_), class_="scroll")


def row(*cells: str, class_: str = "") -> Html:
    """Return a row of a table; a cell that is a `td` or `th` already is not wrapped."""
    made = (
        cell if isinstance(cell, Html) and cell.startswith(("<td", "<th")) else tag("td", cell)
        for cell in cells
    )
    return tag("tr", *made, class_=class_)


def pill(verdict: str) -> Html:
    """Return a verdict as a coloured label with its symbol."""
    return tag("span", f"{MARKS[verdict]} {WORDS[verdict]}", class_=f"pill {verdict}")


def moment(iso: str) -> str:
    """Return a UTC time in readable form, to the minute."""
    return iso[:16].replace("T", " ")


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    >>> count(1, "warning"), count(2, "warning"), count(0, "is", "are")
    ('1 warning', '2 warnings', '0 are')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def page(
    title: str, *body: str, root: str = "", trail: tuple[tuple[str, str], ...] = (), here: str = ""
) -> str:
    """Return a complete page.

    `root` is the path to the folder of pages, `trail` are the parent pages, `here` is the page's
    name.
    """
    crumbs = [join(tag("a", name, href=f"{root}{place}"), " / ") for name, place in trail]
    return "<!doctype html>\n" + tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{title} · Tollgate data docs"),
            tag("link", rel="icon", href="data:,"),
            tag("link", rel="stylesheet", href=f"{root}{STYLE.name}"),
        ),
        tag("body", *([tag("nav", *crumbs, here)] if crumbs else []), tag("main", *body)),
        lang="en",
    )
