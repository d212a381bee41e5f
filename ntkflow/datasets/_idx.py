"""Reader of IDX files, the format of MNIST, and of the folders in which they lie."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, refuse, require

MNIST_PREFIXES = {"train": "train", "test": "t10k"}
_MNIST_FOLDERS = (".", "mnist", "MNIST/raw")
_UNSIGNED_BYTE = 0x08
_CHUNK = 1 << 20


def read_idx(path: str | os.PathLike[str], ndim: int) -> np.ndarray:
    """The unsigned bytes of one IDX file, plain or gzip-compressed (told apart by content).

    The layout is big-endian: ``0, 0, dtype code, ndim``, then ``ndim`` sizes of four bytes, then the entries.

    Parameters
    ----------
    path : str or path
        The file.
    ndim : int
        Number of dimensions that the file must have: 3 for images, 1 for labels.

    Returns
    -------
    numpy.ndarray
        Of dtype uint8, read-only, with ``ndim`` dimensions.

    Raises
    ------
    DataError
        When the file cannot be read, is not IDX, holds another dtype or number of dimensions, holds nothing, or has
        fewer or more bytes than its header says.

    Notes
    -----
    Memory grows with the bytes that are really there, and never beyond what the header announces.

    References
    ----------
    LeCun, Cortes and Burges, The MNIST database of handwritten digits, section "file formats".

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(file, ndim=1).tolist()
    [7, 2, 1]
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            return _parse(gzip.GzipFile(fileobj=raw) if compressed else raw, str(path), ndim)
    except (OSError, EOFError, zlib.error) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        raise DataError(f"{path}: cannot be read ({reason}); fetch the file again") from problem


def read_mnist(folder: Path, split: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Images (S, N) and labels (S,) as bytes, of one split or of all that exist; None where there are no files.

    Parameters
    ----------
    folder : path
        Searched, and its ``mnist`` and ``MNIST/raw`` as well.
    split : "train", "test" or None
        None: all that exist, train first.

    Returns
    -------
    tuple of two uint8 arrays, or None

    Raises
    ------
    DataError
        When the folder does not exist, one file of a pair is missing, or images and labels do not fit together.

    Examples
    --------
    >>> read_mnist(Path("."), "test") is None
    True
    """
    require(folder.is_dir(), "mnist", "a folder that exists", str(folder), "", DataError)
    prefixes = MNIST_PREFIXES.values() if split is None else (MNIST_PREFIXES[split],)
    pairs = [pair for prefix in prefixes if (pair := _read_pair(folder, prefix)) is not None]
    if not pairs:
        return None
    images, labels = zip(*pairs, strict=True)
    pixels = sorted({part.shape[1] for part in images})
    require(len(pixels) == 1, str(folder), "train and test images of one size", f"{pixels} pixels", "", DataError)
    return np.concatenate(images), np.concatenate(labels)


def _read_pair(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray] | None:
    image_file, label_file = _find(folder, prefix, "images-idx3"), _find(folder, prefix, "labels-idx1")
    if image_file is None and label_file is None:
        return None
    if image_file is None or label_file is None:
        refuse("mnist", "images and labels side by side", f"only {image_file or label_file}", "", DataError)
    images, labels = read_idx(image_file, ndim=3), read_idx(label_file, ndim=1)
    count = images.shape[0]
    expected = f"{count} labels (as many as images in {image_file.name})"
    require(labels.shape[0] == count, str(label_file), expected, f"{labels.shape[0]}", "", DataError)
    return images.reshape(count, -1), labels


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    spellings = (kind, kind.replace("-", "."))
    names = [f"{prefix}-{spelling}-ubyte{ending}" for spelling in spellings for ending in ("", ".gz")]
    places = (folder / place / name for place in _MNIST_FOLDERS for name in names)
    return next((place for place in places if place.is_file()), None)


def _parse(stream: io.BufferedIOBase, name: str, ndim: int) -> np.ndarray:
    header = _read(stream, 4 + 4 * ndim)
    magic = bytes([0, 0, _UNSIGNED_BYTE, ndim])
    if len(header) >= 4 and header[:4] != magic:
        _refuse_magic(name, header[:4], ndim)
    expected = f"a header of {4 + 4 * ndim} bytes"
    require(len(header) == 4 + 4 * ndim, name, expected, f"{len(header)} bytes", "the file is cut short", DataError)
    shape = struct.unpack(f">{ndim}I", header[4:])
    count = math.prod(shape)
    require(count > 0, name, "at least one entry", f"shape {shape}", "", DataError)
    body = _read(stream, count + 1)
    expected = f"{count} bytes after the header (shape {shape})"
    require(len(body) >= count, name, expected, f"{len(body)}", "the file is cut short", DataError)
    require(len(body) == count, name, expected, "more bytes", "the file is damaged or its header is wrong", DataError)
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _refuse_magic(name: str, found: bytes, ndim: int) -> None:
    if found[:2] != b"\x00\x00":
        refuse(name, "an IDX file (two zero bytes first)", f"0x{found.hex()}", "is this another format?", DataError)
    if found[2] != _UNSIGNED_BYTE:
        refuse(name, "unsigned bytes (dtype code 0x08)", f"dtype code 0x{found[2]:02x}", "", DataError)
    refuse(name, f"{ndim} dimensions", f"{found[3]}", "are images and labels swapped?", DataError)


def _read(stream: io.BufferedIOBase, count: int) -> bytes:
    # In pieces: read(count) would allocate whatever a damaged header asks for.
    gathered = io.BytesIO()
    while gathered.tell() < count and (piece := stream.read(min(_CHUNK, count - gathered.tell()))):
        gathered.write(piece)
    return gathered.getvalue()
