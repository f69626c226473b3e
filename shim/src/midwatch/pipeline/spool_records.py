"""Payloads as records of a spool file: framed, checked and compressed.

A record that was torn by a crash, or damaged later, is recognised and skipped; what follows it is
found again.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass

from midwatch.pipeline.payloads import Payload, Signal

_MAGIC = b"MwS1"
# Magic, checksum of the rest of the header, checksum of the body, bytes of the body, items in it,
# code of the content type.
_HEADER = struct.Struct(">4sIIIIB")
_CHECKED_FROM = 8
_CONTENT_TYPES = ("application/json", "application/x-protobuf")
_COMPRESSION_LEVEL = 1


@dataclass(frozen=True)
class Record:
    """One payload in a file, and where the next begins."""

    payload: Payload
    next_offset: int


@dataclass(frozen=True)
class Damage:
    """A part of a file that holds no record; `count` items are known to have been in it."""

    count: int
    next_offset: int


@dataclass(frozen=True)
class _Header:
    body_checksum: int
    length: int
    count: int
    content_type: int


def encoded(payload: Payload) -> bytes:
    """The payload as one record.

    Raises:
        OSError: the content type is none that the spool can keep.
    """
    if payload.content_type not in _CONTENT_TYPES:
        raise OSError(f"the spool keeps none of {payload.content_type}")
    body = zlib.compress(payload.body, _COMPRESSION_LEVEL)
    code = _CONTENT_TYPES.index(payload.content_type)
    header = _HEADER.pack(_MAGIC, 0, zlib.crc32(body), len(body), payload.count, code)
    checksum = zlib.crc32(header[_CHECKED_FROM:])
    return _MAGIC + struct.pack(">I", checksum) + header[_CHECKED_FROM:] + body


def record_at(descriptor: int, offset: int, signal: Signal) -> Record | Damage | None:
    """The record that begins at the offset; nothing at the end of the file.

    Raises:
        OSError: the file cannot be read.
    """
    header = _header(os.pread(descriptor, _HEADER.size, offset))
    if header is None:
        return _skip(descriptor, offset)
    begin = offset + _HEADER.size
    body = os.pread(descriptor, header.length, begin)
    after = begin + header.length
    if len(body) < header.length or zlib.crc32(body) != header.body_checksum:
        return Damage(header.count, min(after, os.fstat(descriptor).st_size))
    content_type = _CONTENT_TYPES[header.content_type]
    return Record(Payload(signal, content_type, zlib.decompress(body), header.count), after)


def items_between(descriptor: int, begin: int, end: int) -> int:
    """The number of items in the records of a part of a file, told by the headers alone."""
    count, offset = 0, begin
    while offset < end:
        header = _header(os.pread(descriptor, _HEADER.size, offset))
        if header is None:
            damage = _skip(descriptor, offset)
            if damage is None:
                break
            offset = damage.next_offset
            continue
        count += header.count
        offset += _HEADER.size + header.length
    return count


def _header(data: bytes) -> _Header | None:
    if len(data) < _HEADER.size:
        return None
    magic, checksum, *rest = _HEADER.unpack(data)
    if magic != _MAGIC or checksum != zlib.crc32(data[_CHECKED_FROM:]):
        return None
    header = _Header(*rest)
    return header if header.content_type < len(_CONTENT_TYPES) else None


def _skip(descriptor: int, offset: int) -> Damage | None:
    """What lies between the offset and the next record; nothing if the file ends there."""
    rest = os.pread(descriptor, os.fstat(descriptor).st_size - offset, offset)
    if not rest:
        return None
    found = rest.find(_MAGIC, 1)
    while found >= 0 and _header(rest[found : found + _HEADER.size]) is None:
        found = rest.find(_MAGIC, found + 1)
    return Damage(0, offset + (found if found >= 0 else len(rest)))
