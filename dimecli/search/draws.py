"""Candidates that are drawn, again and again, until enough of them are new."""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch

from dimecli.plugin import Candidates

MOST_DRAWS = 20
"""Times that so many are drawn as are wanted; a space that then has not given enough is taken as exhausted."""


def draw_new(draw: Callable[[int], Candidates], n: int, seen: Collection[str]) -> Candidates:
    """All that was drawn until n different sentences were new, those included that were not.

    Args:
        draw: Gives so many candidates, without expectations, always or never with codes.
        n: New sentences wanted.
        seen: Sentences that are not new.
    """
    parts: list[Candidates] = []
    new: set[str] = set()
    while len(new) < n and len(parts) < MOST_DRAWS:
        parts.append(draw(n))
        new |= {sentence for sentence in parts[-1].sentences if sentence is not None and sentence not in seen}
    codes = [part.codes for part in parts if part.codes is not None]
    sentences = [sentence for part in parts for sentence in part.sentences]
    return Candidates(sentences, torch.cat(codes) if codes else None)
