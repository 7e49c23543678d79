"""Fashion-MNIST."""

from __future__ import annotations

from typing import ClassVar

from dimecli_plugins.datasets.mnist import MNIST


class FashionMNIST(MNIST):
    """70,000 grey images of clothes in 10 classes, 28 x 28 pixels (Xiao et al., 2017)."""

    source: ClassVar[str] = "FashionMNIST"
    folder: ClassVar[str] = "FashionMNIST/raw"
    home: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
