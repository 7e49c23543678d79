"""What a command line names, read before anything is parsed."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def peek(
    words: Sequence[str], valued: Collection[str], bare: Collection[str], known: Collection[str]
) -> tuple[dict[str, str], str | None]:
    """Values of the flags in `valued`, and the first word that is no option, before anything is parsed.

    The flags in `bare` have no value.
    The options of the plugins are not known yet: the word after any other flag counts as its value
    unless it is one of the `known` names.
    """
    seen: dict[str, str] = {}
    first = None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--":
            return seen, first or next(iter(rest), None)
        if not word.startswith("-"):
            first = first or word
        elif equals:
            seen[flag] = value
        elif rest and flag not in bare and (flag in valued or not (rest[0].startswith("-") or rest[0] in known)):
            seen[flag] = rest.pop(0)
    return seen, first
