"""Promises, tried one by one: which hold, which do not and what to do about it, and which could not be tried."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from dimecli.errors import DimeError, UserError
from dimecli.settings import Settings, first_error


@dataclass(frozen=True)
class Finding:
    """What came of one promise.

    Attributes:
        where: What it was tried on, such as `images`; empty where that goes without saying.
        promise: What has to hold, such as `the same seed gives the same loss`.
        held: Whether it does; None where it could not be tried.
        reason: What is wrong, and the cure; or why it could not be tried.
    """

    where: str
    promise: str
    held: bool | None
    reason: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.where, self.promise))) + f": {self.reason}" * bool(self.reason)


class _SectionError(Exception):
    """What comes next needs a promise that was just broken."""


class Contract:
    """Tries promises and keeps what came of them.

    What is wrong with a promise is raised inside of it, by `dimecli.testing.expect.expect` or by the plugin
    itself, and does not keep the next one from being tried:

        with contract.section("images"):
            with contract.needed("the loss is finite"):
                loss = ...
            with contract.promise("the same seed gives the same loss"):
                expect(loss == again, "it gives another one", "draw from `rng` only")

    Args:
        asks: Whether the plugin may ask for what is not here, such as its data: it then raises a UserError,
            and the promise counts as not tried. With its defaults any other plugin has to work.
    """

    def __init__(self, asks: bool = False) -> None:
        self.findings: list[Finding] = []
        self._asks = asks
        self._where = ""

    @contextmanager
    def section(self, where: str = "") -> Iterator[None]:
        """Promises about one thing, which end where one is broken that the rest needs."""
        outer, self._where = self._where, " ".join(filter(None, (self._where, where)))
        try:
            yield
        except _SectionError:
            pass
        finally:
            self._where = outer

    @contextmanager
    def promise(self, text: str) -> Iterator[None]:
        """Tries one promise."""
        try:
            yield
        except _SectionError:
            raise
        except UserError as error:
            if self._asks:
                self.findings.append(Finding(self._where, text, None, str(error)))
            else:
                self._broken(text, f"with its defaults it refuses: {error}")
        except AssertionError as error:
            self._broken(text, str(error) or f"an assertion fails {_place(error)}")
        except DimeError as error:
            self._broken(text, str(error))
        except ValidationError as error:
            self._broken(text, first_error(error, Settings))
        except Exception as error:
            self._broken(text, f"{type(error).__name__}: {error} {_place(error)}")
        else:
            self.findings.append(Finding(self._where, text, True))

    @contextmanager
    def needed(self, text: str) -> Iterator[None]:
        """Tries one promise that the rest of its section cannot do without."""
        with self.promise(text):
            yield
        if not self.findings[-1].held:
            raise _SectionError

    def _broken(self, text: str, reason: str) -> None:
        self.findings.append(Finding(self._where, text, False, " ".join(reason.split())))


def _place(error: BaseException) -> str:
    """The line that raised, as far as it is no line of a library: `(mine.py, line 12)`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "/dimecli/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"({Path(frame.filename).name}, line {frame.lineno})"
