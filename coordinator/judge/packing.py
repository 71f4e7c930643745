"""Numbers as short text, for the state of engines: exact, and a few bytes each."""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Iterable


def pack_single(values: Iterable[float]) -> str:
    """Return values in single precision."""
    return _text(array("f", values).tobytes())


def unpack_single(text: str) -> list[float]:
    """Return what `pack_single` packed."""
    return array("f", base64.b64decode(text)).tolist()


def pack_double(values: Iterable[float]) -> str:
    """Return values in double precision, so bit for bit."""
    return _text(array("d", values).tobytes())


def unpack_double(text: str) -> list[float]:
    """Return what `pack_double` packed."""
    return array("d", base64.b64decode(text)).tolist()


def pack_counts(counts: Iterable[int]) -> str:
    """Return counts, many of them 0 or small, compressed."""
    return _text(zlib.compress(array("Q", counts).tobytes(), 9))


def unpack_counts(text: str) -> list[int]:
    """Return what `pack_counts` packed."""
    return array("Q", zlib.decompress(base64.b64decode(text))).tolist()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
