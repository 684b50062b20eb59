"""Rows drawn at random from a signature's types and shapes, where there are no others.

Indices must lie inside of the tables that they are looked up in, which no signature tells: the model is asked.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from taxiway.components.errors import UsageError
from taxiway.components.optimizer.given_model.parsed_examples import ParsedFeature, encode_examples
from taxiway.components.optimizer.given_model.signatures import FLOATS, INTEGERS, STRING, SignatureSpec, TensorSpec

Tensors = dict[str, NDArray[Any]]
Probe = Callable[[Tensors], Any]
"""The model: it raises where it does not take the rows."""

_FREE_DIMENSION, _FREE_IMAGE_SIDE, _IMAGE_RANK = 16, 64, 4
_BLOCK = 8
_MOST_WORDS, _LONGEST_TEXT = 20_000, 12
_LARGEST_BITS = 15
_MASK = "mask"
"""In the name of an integer input: 0 and 1 say which positions count, and random ones would hide most of a row."""
_PLAIN_WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")


@dataclass(frozen=True)
class RandomRows:
    """Draws rows of a signature.

    Attributes:
        signature: The signature.
        shapes: Shape of a row by input, where it was given.
        words: Words of which texts are made.
        features: Features that are parsed of a string input; empty where it holds plain text.
        limits: Number above the largest value of each integer input.
        seed: Seed of the draw.
        images: Whether texts are files of images; of parsed features the only one of texts.
    """

    signature: SignatureSpec
    shapes: Mapping[str, tuple[int, ...]]
    words: Sequence[str]
    features: Sequence[ParsedFeature]
    limits: Mapping[str, int]
    seed: int
    images: bool = False

    def draw_rows(self, count: int, stream: int = 0) -> Tensors:
        """So many rows; the same number of a stream gives the same ones."""
        random = np.random.default_rng((self.seed, stream))
        return {name: self._draw_input(random, spec, count) for name, spec in sorted(self.signature.inputs.items())}

    def _draw_input(self, random: np.random.Generator, spec: TensorSpec, count: int) -> NDArray[Any]:
        if spec.dtype == STRING and self.features:
            columns = {feature.name: self._draw_feature(random, feature, count) for feature in self.features}
            return encode_examples(columns, list(self.features))
        if spec.dtype == STRING and self.images:
            return self._draw_images(random, spec.name, count)
        return self._draw_values(random, spec.name, spec.dtype, (count, *choose_row_shape(spec, self.shapes)))

    def _draw_feature(self, random: np.random.Generator, feature: ParsedFeature, count: int) -> NDArray[Any]:
        shape = (count, feature.values if feature.values is not None else 1)
        texts = [each for each in self.features if each.dtype == STRING]
        if self.images and texts == [feature]:
            return self._draw_images(random, feature.name, count)
        if feature.dtype == STRING:
            return random.choice(np.array([word.encode() for word in self.words], object), shape)
        return self._draw_values(random, feature.name, feature.dtype, shape)

    def _draw_values(self, random: np.random.Generator, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if dtype == STRING:
            texts = [self._draw_text(random) for _ in range(int(np.prod(shape)))]
            return np.array(texts, object).reshape(shape)
        if dtype in INTEGERS and _MASK in name.lower():
            return np.ones(shape, dtype)
        if dtype in INTEGERS:
            return random.integers(0, self.limits.get(name, 2), shape).astype(dtype)
        if dtype == "bool":
            return random.integers(0, 2, shape).astype(bool)
        drawn = np.float64 if dtype == "float64" else np.float32  # rows of images are large: no second copy of them
        values = random.random(shape, drawn) if len(shape) >= _IMAGE_RANK else random.standard_normal(shape, drawn)
        return values.astype(tf.dtypes.as_dtype(dtype).as_numpy_dtype, copy=False)

    def _draw_images(self, random: np.random.Generator, name: str, count: int) -> NDArray[Any]:
        """JPEG files `[count]`, of coarse random colours: noise of single pixels is nothing that JPEG keeps."""
        shape = self.shapes.get(name, (_FREE_IMAGE_SIDE, _FREE_IMAGE_SIDE, 3))
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise UsageError(
                f"--shape {name}={','.join(map(str, shape))} is no shape of an image, whose files {name!r} takes.",
                f"Give height, width and 1 or 3 colours: --shape {name}=224,224,3.",
            )
        coarse = (-(-shape[0] // _BLOCK), -(-shape[1] // _BLOCK), shape[2])
        files = np.empty(count, object)
        for row in range(count):
            blocks = random.integers(0, 256, coarse, np.uint8)
            pixels = blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1)[: shape[0], : shape[1]]
            files[row] = tf.io.encode_jpeg(pixels).numpy()
        return files

    def _draw_text(self, random: np.random.Generator) -> bytes:
        return " ".join(random.choice(list(self.words), random.integers(1, _LONGEST_TEXT))).encode()


def choose_row_shape(spec: TensorSpec, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """The shape of one row: the signature's, with dimensions that it leaves free chosen.

    Raises:
        UsageError: not even the rank is known, or the shape that was given does not fit.
    """
    given = shapes.get(spec.name)
    if spec.shape is None:
        if given is None:
            raise UsageError(
                f"The signature does not tell the rank of its input {spec.name!r}.",
                f"Give the shape of a row: --shape {spec.name}=28,28,1.",
            )
        return given
    inner = spec.shape[1:]
    if given is not None:
        fits = len(given) == len(inner) and all(d in (None, g) for d, g in zip(inner, given, strict=True))
        if not fits:
            raise UsageError(
                f"--shape {spec.name}={','.join(map(str, given))} does not fit the signature's {spec}.",
                "The shape is that of a row, without the batch.",
            )
        return given
    free = _FREE_IMAGE_SIDE if len(spec.shape) == _IMAGE_RANK else _FREE_DIMENSION
    return tuple(free if dim is None else dim for dim in inner)


def find_integer_limits(signature: SignatureSpec, rows: RandomRows, probe: Probe) -> dict[str, int]:
    """For each integer input, the number above the largest value that the model answers, with 0 in the other integer
    inputs."""
    integers = sorted(name for name, spec in signature.inputs.items() if spec.dtype in INTEGERS)
    names = [name for name in integers if _MASK not in name.lower()]  # a mask is drawn as 1
    plain = rows.draw_rows(signature.fixed_rows or 1)
    for name in integers:
        plain[name] = np.zeros_like(plain[name])
    limits = {}
    for name in names:
        bits = min(_LARGEST_BITS, int(np.iinfo(plain[name].dtype).max).bit_length())
        limits[name] = _find_limit(plain, name, bits, probe)
    return limits


def _find_limit(plain: Tensors, name: str, bits: int, probe: Probe) -> int:
    def is_taken(value: int) -> bool:
        try:
            probe({**plain, name: np.full_like(plain[name], value)})
        except tf.errors.OpError:
            return False
        return True

    refused = next((2**bit - 1 for bit in range(1, bits + 1) if not is_taken(2**bit - 1)), None)
    if refused is None:
        return int(2**bits)
    return (
        bisect.bisect_left(range(refused // 2 + 1, refused), True, key=lambda value: not is_taken(value))
        + refused // 2
        + 1
    )


def read_words(servable: str | Path) -> list[str]:
    """Words of the model's vocabulary files; others where it has none."""
    words: list[str] = []
    for file in sorted(Path(servable, "assets").rglob("*")):
        if file.is_file():
            with file.open("rb") as lines:
                content = [line for _, line in zip(range(_MOST_WORDS), lines, strict=False)]
            if all(b"\0" not in line for line in content):
                words += [line.decode(errors="ignore").split("\t")[0].strip() for line in content]
    return [word for word in words if word][:_MOST_WORDS] or list(_PLAIN_WORDS)


def is_drawable(spec: TensorSpec) -> bool:
    """Whether values of an input's type can be drawn."""
    return spec.dtype in FLOATS | INTEGERS | {STRING, "bool"}
