"""The fields of a plugin, or of settings, as options of a command, and what was typed back as an instance."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from dimecli.cli.layers import Given
from dimecli.errors import PluginError, UserError, did_you_mean
from dimecli.fields import Form, form_of, options_of, show
from dimecli.settings import Settings, replacement, warn_deprecated

_LONGEST = 16  # letters in the column of types; a longer one would squeeze the others


@dataclass(frozen=True)
class Table:
    """The options of one plugin, or of one settings class, in one command line.

    Args:
        name: name of the table in a file: a kind of plugin, or `train`.
        settings: the class whose fields are the options.
        owner: whom error messages name, such as `objective 'dime'`.
        given: values of presets and files.
        taken: flags in use already; an option that clashes is spelled `--NAME.OPTION`.
        short: one-letter flags by option.
        group: tables of one group share options of one name: what is typed is for all of them.

    Raises:
        UserError: `given` has an option that `settings` lacks, or a value of another type.
        PluginError: a field has no form on a command line.
    """

    name: str
    settings: type[Settings]
    owner: str
    given: Mapping[str, Given]
    taken: Set[str]
    short: Mapping[str, str] = field(default_factory=dict)
    group: str = ""

    def __post_init__(self) -> None:
        for key, given in self.given.items():
            if key not in self.forms:
                raise UserError(f"{given.source}: {self.owner} has no such option.{did_you_mean(key, self.forms)}")
            if not _fits(given.value, self.forms[key]):
                raise UserError(f"{given.source}: should be of type {self.forms[key].label}, got {given.value!r}")

    @cached_property
    def forms(self) -> dict[str, Form]:
        """How the value of every option is written."""
        forms = {}
        for key, info in options_of(self.settings).items():
            try:
                forms[key] = form_of(info)
            except TypeError as error:
                raise PluginError(f"option '{key}' of {self.owner}: {error}") from error
        return forms

    @property
    def flags(self) -> set[str]:
        """Every flag that this table takes."""
        return {
            flag for key in self.forms for flag in (self.flag(key), self._negation(key), self.short.get(key)) if flag
        }

    def flag(self, key: str) -> str:
        """The flag of an option: `--latent-size`, or `--objective.latent-size` if that is taken."""
        word = key.replace("_", "-")
        clashes = self.taken & {f"--{word}", f"--no-{word}"}
        return f"--{self.group or self.name}.{word}" if clashes else f"--{word}"

    def parameters(self, panel: str) -> Iterator[inspect.Parameter]:
        """A parameter per option for Typer; None, the default, stands for "not typed"."""
        for key, info in options_of(self.settings).items():
            form = self.forms[key]
            default = self.given[key].value if key in self.given else info.get_default(call_default_factory=True)
            long = len(form.label) > _LONGEST
            gone = replacement(info)
            remarks = [f"deprecated: {gone}"] if gone else []
            remarks += [*([form.label] if long else []), *form.bounds, f"default: {show(default)}"]
            declaration = f"{self.flag(key)}/{self._negation(key)}" if form.is_flag else self.flag(key)
            option = typer.Option(
                *([self.short[key]] if key in self.short else []),
                declaration,
                metavar=None if form.is_flag else "<choice>" if long else f"<{form.label}>",
                help=help_text(info.description or "", ", ".join(remarks)),
                rich_help_panel=panel,
                autocompletion=completer(map(str, form.choices)) if form.choices else None,
            )
            annotation = bool if form.is_flag else str  # the settings class knows better how to read a number
            yield parameter(self._argument(key), annotation, option)

    def typed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the user typed of these options, by key, as text (or bool)."""
        return {key: value for key in self.forms if (value := values[self._argument(key)]) is not None}

    def build(self, values: Mapping[str, Any]) -> Settings:
        """The checked instance: defaults, then what was given, then what was typed.

        Raises:
            UserError: names the option, or the file, table and key, and what is allowed.
            PluginError: a default is none of the values that are allowed.
        """
        typed = self.typed(values)
        self._warn_of_deprecated(typed)
        read = {key: self.forms[key].parse(text) if isinstance(text, str) else text for key, text in typed.items()}
        try:
            return self.settings.model_validate({key: given.value for key, given in self.given.items()} | read)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ").removeprefix("Input ").partition(", unable to parse")[0]
        if not first["loc"]:  # a rule over several options
            raise UserError(f"options of {self.owner}: {said}")
        key = str(first["loc"][0])
        if key in typed:
            raise UserError(f"{self.flag(key)}: {said}, got {typed[key]!r}")
        if key not in self.given:
            raise PluginError(f"{self.owner}: the default of option '{key}' {said}, got {first['input']!r}")
        raise UserError(f"{self.given[key].source}: {said}, got {self.given[key].value!r}")

    def _warn_of_deprecated(self, typed: Mapping[str, Any]) -> None:
        for key, info in options_of(self.settings).items():
            if not (gone := replacement(info)):
                continue
            if key in typed:
                warn_deprecated(self.flag(key), gone)
            elif key in self.given and self.given[key].value != info.get_default(call_default_factory=True):
                warn_deprecated(self.given[key].source, gone)  # not of what a record of all options only repeats

    def _negation(self, key: str) -> str | None:
        return f"--no-{self.flag(key)[2:]}" if self.forms[key].is_flag else None

    def _argument(self, key: str) -> str:
        return f"{self.group or self.name}__{key}"


def _fits(value: Any, form: Form) -> bool:
    """Whether a value of a file is not of another type, which pydantic would turn into the right one."""
    if form.many and isinstance(value, list | tuple):
        return all(_fits(item, replace(form, many=False)) for item in value)
    if form.item is bool:
        return value is None or isinstance(value, bool)
    return form.item not in (int, float) or not isinstance(value, bool | str)


def parameter(name: str, annotation: Any, info: Any) -> inspect.Parameter:
    """A keyword parameter that is None unless typed, as Typer reads it from a signature."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation | None, info]
    )


def help_text(text: str, remark: str = "") -> str:
    """Help in Rich's markup, which Typer reads, from plain text; the remark is dimmed and in brackets."""
    return escape(text) + (f" [dim]{escape(f'[{remark}]')}[/dim]" if remark else "")


def completer(words: Iterable[str]) -> Callable[[str], list[str]]:
    """What a shell offers for a value: the words that start as typed."""
    offered = list(words)

    def complete(incomplete: str) -> list[str]:
        return [word for word in offered if word.startswith(incomplete)]

    return complete
