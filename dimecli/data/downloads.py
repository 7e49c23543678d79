"""Datasets that torchvision downloads, checks and reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from dimecli.data.images import ImageDataset
from dimecli.errors import DimeError, UserError
from dimecli.lazy import torchvision


class TorchvisionDataset(ImageDataset):
    """A dataset of `torchvision.datasets`."""

    data_dir: Path = Field(
        default_factory=lambda: Path(os.environ.get("DIME_DATA", "data")),
        description="Folder in which every dataset has a folder of its own; $DIME_DATA sets the default.",
    )
    download: bool = Field(False, description="Download the dataset if it is not there.")

    source: ClassVar[str]
    """The class in `torchvision.datasets`."""
    folder: ClassVar[str]
    """Where torchvision keeps the files, below `data_dir`."""
    home: ClassVar[str]
    """The dataset's page, for those who have to fetch it by hand."""

    @property
    def location(self) -> Path:
        """The folder of this dataset's files."""
        return self.data_dir.expanduser() / self.folder

    def open(self, **arguments: Any) -> Any:
        """The dataset as torchvision reads it from disk, downloaded first where it is missing and wanted.

        Raises:
            UserError: the files are missing or damaged.
            DimeError: the download failed.
        """
        make = getattr(torchvision.datasets, self.source)
        root = self.data_dir.expanduser()
        try:
            return make(root, **arguments)
        except Exception as error:  # torchvision raises whatever the damage leads to, even AssertionError
            if "not found" not in str(error):  # its words where files are missing or their MD5 differs
                raise self.damaged(_cause(error)) from error
            if not self.download:
                state = "is incomplete or damaged" if self.location.exists() else "does not exist"
                raise UserError(
                    f"{self.source}: {self.location} {state}; --download fetches it, "
                    f"or give --data-dir the folder that holds {self.folder}"
                ) from error
        try:
            return make(root, download=True, **arguments)
        except Exception as error:  # network, archive, disk
            raise DimeError(
                f"{self.source}: the download failed ({_cause(error)}); "
                f"by hand: get the files from {self.home} and put them into {self.location}"
            ) from error

    def damaged(self, cause: str) -> UserError:
        """The error to raise for files that are there but make no sense."""
        return UserError(
            f"{self.source}: the files in {self.location} cannot be read ({cause}); "
            "delete that folder and give --download"
        )


def _cause(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")
