"""Numbering equal keys: what sorting would do, in a few passes over the keys instead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

_FEW = 4  # possible keys to each that is there
_RUN = 1.5  # how long runs of equal keys must be on average to be worth a look

_FACTORS = (0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0xD6E8_FEB8_6659_FD93)


def find(keys: Keys, among: Keys) -> Ints:
    """Return for each key its place among distinct others; every key must be there."""
    _, groups = group(np.concatenate([among, keys]))
    place = np.empty(len(groups), np.int64)
    place[groups[: len(among)]] = np.arange(len(among))
    found: Ints = place[groups[len(among) :]]
    return found


def group(keys: Keys | Ints, *, below: int | None = None) -> tuple[Ints, Ints]:
    """Number the distinct keys.

    Args:
        keys: Any 64 bits.
        below: What all keys are below, if that is known: few possible keys are looked up at once.

    Returns:
        For each group the place of one of its keys; for each key the number of its group.

    Notes:
        Keys are thrown into a table by a multiplicative hash; the last one in a slot stands for
        all that equal it, and the others go on to the next hash. Equal keys always share a
        slot, so a group is never split. What is left after three hashes is sorted. Linear but
        for that rest: about twice as fast as `np.unique` where keys stand many times, as tasks do.
    """
    if below is not None and below <= _FEW * len(keys):
        return _look_up(keys, below)
    begins = np.flatnonzero(keys[1:] != keys[:-1]) + 1
    if _RUN * len(begins) > len(keys) or not len(keys):
        return _hash(keys.astype(np.uint64, copy=False))
    # Neighbours are often equal: one stands for its run.
    begins = np.concatenate([[0], begins])
    heads, groups = _hash(keys[begins].astype(np.uint64, copy=False))
    lengths = np.diff(begins, append=len(keys))
    return begins[heads], np.repeat(groups, lengths)


def _look_up(keys: Keys | Ints, below: int) -> tuple[Ints, Ints]:
    places = np.full(below, -1, np.int64)
    places[keys] = np.arange(len(keys))  # the last one stands for all
    used = np.flatnonzero(places >= 0)
    heads = places[used]
    places[used] = np.arange(len(used))
    groups: Ints = places[keys]
    return heads, groups


def _hash(keys: Keys) -> tuple[Ints, Ints]:
    groups = np.empty(len(keys), np.int64)
    bits = max(8, len(keys).bit_length())
    table = np.empty(1 << bits, np.int32)  # small: it is read and written in no order
    members: list[Ints] = []
    count, left = 0, np.arange(len(keys))
    for factor in _FACTORS:
        slot = (keys * np.uint64(factor)) >> np.uint64(64 - bits)
        places = np.arange(len(keys), dtype=np.int32)
        table[slot] = places
        standing = table[slot]
        equal = keys[standing] == keys
        heads = np.flatnonzero(standing == places)
        number = np.empty(len(keys), np.int64)
        number[heads] = np.arange(count, count + len(heads))
        groups[left[equal]] = number[standing[equal]]
        members.append(left[heads])
        count += len(heads)
        keys, left = keys[~equal], left[~equal]
        if not len(left):
            break
    else:
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        groups[left] = count + inverse
        members.append(left[first])
    return np.concatenate(members), groups
