"""Text that every store, log and terminal takes."""


def printable(text: str) -> str:
    r"""Return a text with its characters that cannot be printed escaped.

    Postgres stores no NUL, no UTF-8 text has half of a surrogate pair, and Airflow's API refuses a
    request with either.

    >>> printable("a\x00\ud800b")
    'a\\x00\\ud800b'
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )
