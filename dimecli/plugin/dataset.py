"""What datasets keep to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from dimecli.data.samples import Samples, Split, fault, split_off
from dimecli.errors import PluginError, UserError
from dimecli.plugin.base import Plugin
from dimecli.plugin.language import Language


class Dataset(Plugin):
    """Samples to train and test on."""

    kind = "dataset"
    group = "dimecli.datasets"

    validation: float = Field(0.1, gt=0, lt=1, description="Share of the training samples kept for validation.")

    network: ClassVar[str] = ""
    """The network that fits this data where the user names none; empty: the default one."""

    @classmethod
    def fitting_network(cls) -> str:
        """The name of the network to take where the user names none.

        Raises:
            UserError: `network` is empty, and no installed distribution says which is the default.
        """
        from dimecli.defaults import default

        return cls.network or default("network")

    @abstractmethod
    def read(self, split: Literal["train", "test"]) -> Samples:
        """All training samples, or all test samples, in a fixed order.

        Raises:
            UserError: the data is missing or damaged; the message says what to do.
        """

    def read_prepared(self, split: Literal["train", "test"]) -> Samples:
        """What `read` gives, after what a family of datasets does to all of it, such as binarising pixels."""
        return self.read(split)

    @property
    def language(self) -> Language | None:
        """What the samples are sentences of, if they are.

        Raises:
            UserError: its grammar is not installed, or its file is missing.
        """
        return None

    @property
    def label(self) -> str | None:
        """What runs on this data are called after; None: the plugin's name."""
        return None

    def notes(self) -> Sequence[str]:
        """What a user should know of the data before training on it, such as what was left out; a line each."""
        return ()

    def training(self) -> tuple[Samples, Samples]:
        """The samples to train on and those to validate on, taken from them: the same ones for every seed."""
        return split_off(self._checked("train"), self.validation, "--validation")

    def _checked(self, split: Literal["train", "test"]) -> Samples:
        """What `read_prepared` gives.

        Raises:
            PluginError: it is not as its spec says.
        """
        from dimecli.registry import entry_of

        samples = self.read_prepared(split)
        if wrong := fault(samples):
            raise PluginError(f"{entry_of(self)}: read {wrong}")
        return samples

    def load(self, split: Split) -> Samples:
        """One split.

        Raises:
            UserError: there is no such split, or the data is missing or damaged.
        """
        if split == "test":
            return self._checked("test")
        if split not in ("train", "validation"):
            raise UserError(f"no split '{split}'; allowed: train, validation, test")
        train, validation = self.training()
        return train if split == "train" else validation
