"""Arrays of the user's own, from a NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dimecli.data.options import PixelDataset
from dimecli.data.samples import Samples, split_off
from dimecli.data.spec import Spec
from dimecli.errors import UserError
from dimecli.lazy import np, torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEST_SHARE = 0.2
_LAYOUTS = ({"x"}, {"x", "y"}, {"x_train", "x_test"}, {"x_train", "y_train", "x_test", "y_test"})
_CHANNELS = (1, 3)
_MAGIC = (b"\x93NUMPY", b"PK")


class Arrays(PixelDataset):
    """Your own arrays, from a NumPy file: an .npy with x, or an .npz with x, or with x_train and x_test.

    `(N, D)` numbers are vectors, taken as they are. Images are uint8, or floats in [0, 1]:
    `(N, H, W)`, `(N, C, H, W)` or `(N, H, W, C)` with C = 1 or 3; where both H and C could be the
    channels, the second axis is. An .npz may hold labels as well, integers or strings: `(N,)` y, or
    y_train and y_test. Nothing is unpickled.
    """

    path: Path = Field(Path("data.npz"), description="The .npz or .npy file.")
    test: float | None = Field(
        None, gt=0, lt=1, description=f"Share of x kept for testing, {TEST_SHARE} if not given; not with an x_test."
    )

    network: ClassVar[str] = "mlp"

    def read(self, split: Literal["train", "test"]) -> Samples:
        """`(N, C, H, W)` uint8 or float32, or `(N, D)` float32, and the labels if there are any.

        Raises:
            UserError: the file or an array in it is not as it has to be.
        """
        arrays = _load(self.path.expanduser())
        classes = self._classes(arrays)
        if "x" in arrays:
            share = TEST_SHARE if self.test is None else self.test
            train, test = split_off(self._samples(arrays, "", classes), share, "--test")
            return train if split == "train" else test
        if self.test is not None:
            raise UserError(
                f"--test {self.test}: {self.path} has test samples of its own, x_test; leave the option out"
            )
        shapes = [arrays[name].shape[1:] for name in ("x_train", "x_test")]
        if shapes[0] != shapes[1]:
            raise UserError(f"{self.path}: samples of x_train have the shape {shapes[0]}, of x_test {shapes[1]}")
        return self._samples(arrays, f"_{split}", classes)

    def _samples(self, arrays: dict[str, NDArray[Any]], suffix: str, classes: NDArray[Any] | None) -> Samples:
        x = self._x(f"x{suffix}", arrays[f"x{suffix}"])
        y = None
        if classes is not None:
            if len(arrays[f"y{suffix}"]) != len(x):
                raise UserError(
                    f"{self.path}: x{suffix} has {len(x)} samples, y{suffix} {len(arrays[f'y{suffix}'])} labels; "
                    "allowed: as many labels as samples"
                )
            y = torch.from_numpy(np.searchsorted(classes, arrays[f"y{suffix}"])).long()
        image = x.ndim == 4
        spec = Spec(
            modality="image" if image else "vector",
            shape=tuple(x.shape[1:]),
            likelihood=self.p_x_given_z(bounded=image),
            classes=() if classes is None else tuple(str(name) for name in classes),
        )
        return Samples(spec, x, y)

    def _x(self, name: str, x: NDArray[Any]) -> torch.Tensor:
        where = f"{self.path}: {name}"
        if x.ndim not in (2, 3, 4) or x.size == 0:
            raise UserError(
                f"{where} has the shape {x.shape}; allowed: (N, D), (N, H, W), (N, H, W, C) or (N, C, H, W), not empty"
            )
        image = x.ndim > 2
        if x.dtype.kind not in ("f" if image else "biuf") and not (image and x.dtype == np.uint8):
            allowed = "uint8, or floats in [0, 1]" if image else "numbers"
            raise UserError(f"{where} has the type {x.dtype}; allowed: {allowed}")
        if self.likelihood == "logistic" and x.dtype != np.uint8:
            raise UserError(f"--likelihood logistic is for images of 8-bit pixels, uint8; {where} is {x.dtype}")
        if image:
            x = _channels_first(where, x)
            if x.dtype == np.uint8:
                return torch.from_numpy(np.ascontiguousarray(x))
        largest = float(np.finfo(np.float32).max)
        low, high = (0.0, 1.0) if image or self.likelihood == "bernoulli" else (-largest, largest)
        _check_range(where, x, low, high)
        return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))

    def _classes(self, arrays: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
        """The distinct labels, sorted; None if there are none."""
        labels = [(name, array) for name, array in arrays.items() if name.startswith("y")]
        for name, array in labels:
            if array.ndim != 1 or array.dtype.kind not in "biuU":
                raise UserError(
                    f"{self.path}: {name} has the type {array.dtype} and the shape {array.shape}; "
                    "allowed: integers or strings, (N,)"
                )
        return np.unique(np.concatenate([array for _, array in labels])) if labels else None


def _load(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise UserError(f"--path {path}: no such file")
    try:
        with path.open("rb") as file:
            if not file.read(6).startswith(_MAGIC):
                raise UserError(f"{path} is no .npy or .npz file")
            file.seek(0)
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"x": loaded}
            if set(loaded.files) not in _LAYOUTS:
                raise UserError(
                    f"{path} holds {', '.join(sorted(loaded.files)) or 'nothing'}; "
                    f"allowed: {' | '.join(' '.join(sorted(names)) for names in _LAYOUTS)}"
                )
            arrays = {name: loaded[name] for name in loaded.files}
    except UserError:
        raise
    except Exception as error:  # numpy, zipfile and zlib each raise errors of their own for damaged files
        raise UserError(f"{path} cannot be read as a NumPy file ({type(error).__name__}: {error})") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}: {name} is no array; allowed: what numpy.savez writes")
    return arrays


def _channels_first(where: str, x: NDArray[Any]) -> NDArray[Any]:
    """`(N, C, H, W)` from images of any allowed layout."""
    if x.ndim == 3:
        return x[:, None]
    if x.shape[1] in _CHANNELS:
        return x
    if x.shape[3] in _CHANNELS:
        return x.transpose(0, 3, 1, 2)
    raise UserError(f"{where} has the shape {x.shape}; allowed: 1 or 3 channels, in the second or the last axis")


def _check_range(where: str, x: NDArray[Any], low: float, high: float) -> None:
    wrong = ~((x >= np.float64(low)) & (x <= np.float64(high)))  # in float64 at least; NaN compares as False
    if wrong.any():
        index = tuple(int(i) for i in np.unravel_index(wrong.argmax(), x.shape))
        allowed = "[0, 1]" if high == 1 else "finite numbers that float32 can hold"
        raise UserError(f"{where}{list(index)} is {x[index]}; allowed: {allowed}")
