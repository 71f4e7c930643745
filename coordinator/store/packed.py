"""Logs that are long over take a tenth of the room: as one compressed value instead of a stream.

Nothing of them is lost, and readers see no difference. The last entry stays in the stream, so
that the next number is known, and a read that meets a gap before it goes on in the value.
"""

from __future__ import annotations

import struct
import zlib

from rolewise.coordinator.store.port import Store, StoreUnavailable

READ_AT_ONCE = 1000
LEVEL = 9
_FORM = b"1"
_HEAD = struct.Struct(">QI")  # an entry's number and length

Entries = list[tuple[int, bytes]]


class PackedLogs:
    """Reads streams whether they are packed or not, and packs them.

    Args:
        store: Where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, stream: str, *, after: int = 0, limit: int = READ_AT_ONCE) -> Entries:
        """See `Store.read`."""
        entries = await self._store.read(stream, after=after, limit=limit)
        if not entries or entries[0][0] == after + 1:
            return entries
        first = entries[0][0]
        packed = [entry for entry in await self._unpack(stream) if after < entry[0] < first]
        return (packed + entries)[:limit]

    async def pack(self, stream: str, *, at_least: int = 2) -> bool:
        """Pack a stream that has so many entries unpacked; return whether it has been packed.

        May be cut off at any moment and be done by two at once: the value is complete before
        anything is dropped from the stream.
        """
        unpacked: Entries = []
        after = 0
        while more := await self._store.read(stream, after=after, limit=READ_AT_ONCE):
            unpacked += more
            after = more[-1][0]
        if len(unpacked) < max(at_least, 2):
            return False
        packed = [one for one in await self._unpack(stream) if one[0] < unpacked[0][0]]
        await self._store.put(_key(stream), _encode(packed + unpacked))
        await self._store.forget(stream, [number for number, _ in unpacked[:-1]])
        return True

    async def _unpack(self, stream: str) -> Entries:
        data = await self._store.get(_key(stream))
        return [] if data is None else _decode(data)


def _key(stream: str) -> str:
    return f"packed/{stream}"


def _encode(entries: Entries) -> bytes:
    parts = [part for number, entry in entries for part in (_HEAD.pack(number, len(entry)), entry)]
    return _FORM + zlib.compress(b"".join(parts), LEVEL)


def _decode(data: bytes) -> Entries:
    if not data.startswith(_FORM):
        raise StoreUnavailable(f"a packed log begins with {data[:1]!r}: a newer Rolewise wrote it")
    parts = zlib.decompress(data[len(_FORM) :])
    entries: Entries = []
    at = 0
    while at < len(parts):
        number, size = _HEAD.unpack_from(parts, at)
        at += _HEAD.size
        entries.append((number, parts[at : at + size]))
        at += size
    return entries
