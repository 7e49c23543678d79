"""CIFAR-100."""

from __future__ import annotations

from typing import ClassVar

from dimecli_plugins.datasets.cifar10 import CIFAR10


class CIFAR100(CIFAR10):
    """60,000 colour images in 100 classes, 32 x 32 pixels (Krizhevsky, 2009).

    The files are pickles; torchvision reads them only if their MD5 is that of the originals.
    """

    source: ClassVar[str] = "CIFAR100"
    folder: ClassVar[str] = "cifar-100-python"
