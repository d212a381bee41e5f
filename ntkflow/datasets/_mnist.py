"""MNIST, from the disk or from OpenML."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from http.client import HTTPException

import numpy as np

from ..errors import DataError, refuse, require, require_choice, require_path
from . import _deal  # by its module: the function here has a parameter called deal
from ._arrays import built
from ._dataset import Dataset
from ._idx import MNIST_PREFIXES, read_mnist
from ._sources import select

_OPENML_ROWS = {"train": slice(0, 60_000), "test": slice(60_000, None), None: slice(None)}


def mnist(
    n_agents: int,
    n_samples: int | Sequence[int] | None = None,
    classes: Sequence[int] = (0, 1),
    folder: str | os.PathLike[str] | None = None,
    split: str | None = None,
    seed: int = 0,
    deal: str = "iid",
    targets: str | None = None,
    beta: float = 0.5,
    shards_per_agent: int = 2,
    download: bool = False,
) -> Dataset:
    """MNIST, from IDX files on disk or, when asked to, from OpenML.

    Parameters
    ----------
    n_agents : int
        Number of agents Q.
    n_samples : int or (Q,) sequence of ints
        Samples of each agent; None deals all there are.
    classes : sequence of ints
        Digits to tell apart, at least two.
    folder : str or path, optional
        Where the IDX files are (or in its ``mnist`` or ``MNIST/raw``), gzip-compressed or not. None: what the
        environment variable ``NTKFLOW_DATA`` says.
    split : "train", "test" or None
        None: all that exist, train first.
    seed : int
        Of the dealing, below 2³².
    deal, beta, shards_per_agent : str, float, int
        How samples are dealt, see :func:`deal`.
    targets : str or None
        As in :func:`digits`.
    download : bool
        Whether scikit-learn may fetch ``mnist_784`` when ``NTKFLOW_DATA`` has no such files; it keeps a copy in its
        own data folder.

    Returns
    -------
    Dataset
        N = 784, pixels in [0, 1].

    Raises
    ------
    DataError
        When no files are found, a file is damaged, or the download fails.
    InputError, UnknownNameError

    Notes
    -----
    A ``folder`` that is passed must hold the files, whatever ``download`` says. Only the samples that are dealt become
    floating-point numbers.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner (1998), doi:10.1109/5.726791.

    Examples
    --------
    >>> import pathlib, struct, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:   # four images of 2 x 2 pixels
    ...     images = bytes([0, 0, 8, 3]) + struct.pack(">3I", 4, 2, 2) + bytes(range(16))
    ...     _ = pathlib.Path(folder, "t10k-images-idx3-ubyte").write_bytes(images)
    ...     labels = bytes([0, 0, 8, 1]) + struct.pack(">I", 4) + bytes([0, 1, 0, 1])
    ...     _ = pathlib.Path(folder, "t10k-labels-idx1-ubyte").write_bytes(labels)
    ...     mnist(n_agents=2, n_samples=2, folder=folder).x.shape
    (2, 2, 4)
    """
    if split is not None:
        require_choice("split", split, MNIST_PREFIXES)
    images, labels = _mnist_arrays(folder, split, download)
    keep, position, table = select(labels, classes, targets)
    parts = _deal.deal(position, n_agents, n_samples, deal, beta, seed=seed, shards_per_agent=shards_per_agent)
    return built("mnist", images[keep], table[position], parts, scale=255)


def _mnist_arrays(
    folder: str | os.PathLike[str] | None, split: str | None, download: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Images (S, N) and labels (S,), both unsigned bytes."""
    place = folder if folder is not None else os.environ.get("NTKFLOW_DATA") or None
    stored = None if place is None else read_mnist(require_path("folder", place), split)
    if stored is not None:
        return stored
    if not download or folder is not None:
        wanted = f"the IDX files of {split or 'train or test'} (such as t10k-images-idx3-ubyte.gz)"
        remedy = "pass folder=..., set NTKFLOW_DATA, pass download=True without a folder, or use digits()"
        refuse("mnist", wanted, "no folder" if place is None else f"none in {place}", remedy, DataError)
    return _fetch(split)


def _fetch(split: str | None) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import fetch_openml

    parser = "pandas" if importlib.util.find_spec("pandas") else "liac-arff"
    try:
        data = fetch_openml("mnist_784", version=1, as_frame=False, parser=parser)
        images, labels = np.asarray(data.data).astype(np.uint8), np.asarray(data.target).astype(np.uint8)
    except (OSError, HTTPException, EOFError, ValueError) as problem:
        reason = " ".join(f"{type(problem).__name__}: {problem}".split())
        raise DataError(
            f"mnist: the download from OpenML failed ({reason}); pass folder=... or use digits()"
        ) from problem
    shape = f"shape {images.shape}"
    require(images.shape == (70_000, 784), "mnist", "shape (70000, 784) from OpenML", shape, "", DataError)
    rows = _OPENML_ROWS[split]
    return images[rows], labels[rows]
