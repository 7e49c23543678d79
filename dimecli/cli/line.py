"""A command put together for the words at hand: its own options, and those of the plugins that it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, get_args

import typer

from dimecli.cli.files import FLAG, PluginFiles
from dimecli.cli.layers import Given, Layer, choose, combine, read_layer
from dimecli.cli.options import Table, completer, help_text, parameter
from dimecli.cli.parsed import Parsed
from dimecli.cli.peek import peek
from dimecli.cli.several import choose_several, split_names
from dimecli.entry import Entry
from dimecli.errors import PluginError, UserError, did_you_mean
from dimecli.plugin import KINDS
from dimecli.registry import find, names, warn_if_deprecated
from dimecli.settings import Settings

Default = Callable[[], str]
"""Gives the name of the plugin to take where none is named; asked only then."""


class Line:
    """Builds the callback of one command from the words after its name.

    The options of a command depend on the plugins that it names, so their names are read before
    anything is parsed: from the words, then from the file after `--config`, then the defaults.

    Args:
        work: what the command does; takes a `Parsed` and, by keyword, the command's own options, whose
            flags are their names.
        words: the command line after the command's name.
        kinds: the kinds of plugins that the command chooses.
        positional: the one of `kinds` that needs no flag.

    Attributes:
        word: The first word that is no option, as far as that can be told.
    """

    def __init__(
        self, work: Callable[..., None], words: Sequence[str], kinds: Sequence[str], positional: str = ""
    ) -> None:
        self._work = work
        self._positional = positional
        self._own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
        own = {f"--{item.name.replace('_', '-')}": get_args(item.annotation)[0] for item in self._own}
        flags = (f"--{KINDS[kind].option or kind}" for kind in kinds if kind != positional)
        slots = dict.fromkeys(("--preset", *flags), str)
        self._words = words
        self._valued = {flag for flag, annotation in (own | slots).items() if annotation is not bool}
        bare = own.keys() - self._valued
        self._seen, self.word = peek(words, self._valued, bare, names(positional) if positional else ())
        if positional and self.word is not None:
            self._seen[f"--{positional}"] = self.word
        self._taken = {"--help", FLAG, *own, *slots}
        self._layers = [read_layer(self._seen["--config"])] if "--config" in self._seen else []
        self._tables: dict[str, Table] = {}
        self._slots: list[inspect.Parameter] = []
        self._options: list[inspect.Parameter] = []
        self._notes: list[str] = []
        self._everything: list[str] = []
        self._chosen: list[Entry] = []

    def value(self, option: str) -> str | None:
        """What was typed for an option of the command itself; None if nothing was."""
        return self._seen.get(f"--{option}")

    def below(self, layer: Layer) -> None:
        """Puts options below those of the file; called before anything is added."""
        self._layers.insert(0, layer)

    def gives(self, table: str, option: str) -> bool:
        """Whether a word, a preset or a file gives this option, whichever plugin has it."""
        typed = {word.partition("=")[0] for word in self._words}
        return f"--{option}" in typed or any(option in layer.tables.get(table, {}) for layer in self._layers)

    def entry(self, kind: str, default: Default) -> Entry:
        """The plugin of a kind that the command line names."""
        if name := self._seen.get(f"--{kind}"):
            return find(kind, name)
        name = choose(kind, "", self._layers)[0] or default()
        for layer in self._layers:
            if name not in names(kind) and layer.tables.get(kind, {}).get("name") == name:
                from dimecli.run.origin import require

                require(f"--config {layer.source}", layer.origins.get(kind), kind, name)
        return find(kind, name)

    def preset(self, entry: Entry) -> None:
        """Adds the choice of a preset, and puts the one chosen, if any, below the file."""
        presets = getattr(entry.plugin, "presets", {})
        name = self._seen.get("--preset")
        if name is not None:
            if name not in presets:
                raise UserError(f"--preset: {entry.kind} '{entry.name}' has no '{name}'.{did_you_mean(name, presets)}")
            self.below(Layer(f"preset '{name}'", presets[name]))
        text = f"Settings that {entry.kind} '{entry.name}' knows by name: {', '.join(presets) or 'none'}."
        self._slots.append(_slot("preset", help_text(text), presets))

    def plugin(self, kind: str, default: Default, text: str) -> Entry:
        """Adds the choice of a plugin, and the options of the one chosen.

        Args:
            kind: Of which kind.
            default: Gives the name where none is named; it may raise a UserError.
            text: What it is for.
        """
        typed = self._seen.get(f"--{kind}")
        layers = [*self._layers, *([Layer("the command line", {kind: {"name": typed}})] if typed else [])]
        name, given = choose(kind, "", layers)
        name = name or default()
        entry = find(kind, name)
        self._chosen.append(entry)
        table = Table(kind, entry.plugin, f"{kind} '{name}'", given, frozenset(self._taken))
        self._add(table, f"Options of {table.owner} ({entry.origin})")
        known = names(kind)
        unless_typed = choose(kind, "", self._layers)[0] or _name_of(default)
        shown = help_text(f"{text}: {', '.join(known)}.", f"default: {unless_typed}")
        if kind == self._positional:
            info = typer.Argument(metavar=kind.upper(), help=shown, autocompletion=completer(known))
            self._slots.append(parameter(kind, str, info))
        else:
            self._slots.append(_slot(kind, shown, known))
        return entry

    def plugins(self, kind: str, default: str, text: str, more: Sequence[str] = ()) -> None:
        """Adds the choice of several plugins, by their names with commas between, and the options of the chosen ones.

        An option that several of them have is one option, for all of them. A file gives the names as `name`
        in the table of the kind, and the options of each in a table of its own, such as `[metric.mine]`.

        Args:
            kind: Of which kind.
            default: Names.
            text: What they are for.
            more: Words that may stand in place of names; none of them has options. `all` stands for all plugins.
        """
        flag = KINDS[kind].option or kind
        chosen, tables = choose_several(kind, default, self._layers)
        typed = self._seen.get(f"--{flag}")
        wanted = split_names(kind, chosen if typed is None else Given(typed, f"--{flag} {typed}".strip()), more)
        if "all" in wanted:
            self._everything.append(kind)
        known, taken = names(kind), frozenset(self._taken)
        for name in known if "all" in wanted else [name for name in wanted if name in known]:
            try:
                entry, given = find(kind, name), tables.get(name, {})
                self._chosen += [entry] if name in wanted else []
                table = Table(f"{kind}.{name}", entry.plugin, f"{kind} '{name}'", given, taken, group=kind)
                self._add(table, f"Options of {table.owner} ({entry.origin})")
            except PluginError as error:
                if name in wanted:
                    raise
                self._notes.append(f"left out: {error}")
        shown = help_text(f"{text}, with commas between: {', '.join((*more, *known))}.", f"default: {chosen.value}")
        self._slots.append(_slot(kind, shown, (*more, *known), flag))

    def settings(self, name: str, model: type[Settings], panel: str, short: Mapping[str, str] | None = None) -> None:
        """Adds the options of a settings class that belongs to no plugin."""
        given = combine(name, self._layers)
        self._add(Table(name, model, f"'dime {name}'", given, frozenset(self._taken), short or {}), panel)

    def callback(self) -> Callable[..., None]:
        """What Typer calls with what it parsed: does the work.

        Raises:
            UserError: an option's value is missing.
        """
        for word, following in pairwise(self._words):
            if word in self._valued and following in self._taken:
                raise UserError(f"{word}: its value is missing, before {following}")

        def run(**values: Any) -> None:
            values.pop("plugins")  # which were loaded long ago
            self._check_positional(values.get(self._positional))
            for entry in self._chosen:
                warn_if_deprecated(entry.kind, entry.name, entry.plugin)
            slots = [slot.name for slot in self._slots]
            parsed = Parsed(self._tables, slots, values, self._notes, self._everything)
            self._work(parsed, **{item.name: values[item.name] for item in self._own})

        files = inspect.Parameter("plugins", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=PluginFiles)
        run.__signature__ = inspect.Signature([*self._slots, *self._own, files, *self._options])  # type: ignore[attr-defined]
        return run

    def _add(self, table: Table, panel: str) -> None:
        self._taken |= table.flags  # raises where an option has no form, before anything is added
        self._tables[table.name] = table
        self._valued |= {table.flag(key) for key, form in table.forms.items() if not form.is_flag}
        there = {option.name for option in self._options}
        self._options += [option for option in table.parameters(panel) if option.name not in there]

    def _check_positional(self, parsed: str | None) -> None:
        """Refuses a line in which the name was taken for the value of an option before it was parsed, or vice versa."""
        if parsed is None and self._positional and (word := self.word) is not None:
            raise UserError(
                f"'{word}' is also the name of some {self._positional}, so write the option before it as OPTION={word}"
            )
        if parsed is not None and parsed != self._seen.get(f"--{self._positional}"):
            find(self._positional, parsed)  # most likely it is misspelt
            raise UserError(f"write {self._positional} '{parsed}' before all options")


def _name_of(default: Default) -> str:
    """What help says of a default; of plugins that were chosen by themselves there may be none."""
    try:
        return default()
    except UserError:
        return "none"


def _slot(name: str, text: str, known: Iterable[str], flag: str = "") -> inspect.Parameter:
    option = typer.Option(
        f"--{flag or name}", metavar="NAME", help=text, rich_help_panel="Plugins", autocompletion=completer(known)
    )
    return parameter(name, str, option)
