"""Tensors from arrays and back, on their own device and without a copy where memory can be shared."""

from __future__ import annotations

import numpy as np
import torch

from ..._array import Array, library, namespace
from ...errors import MissingError, refuse, require_choice

HOMES = {"numpy": "cpu", "cupy": "cuda", "torch": None}  # the kind of device that each library has arrays on


def tensor_of(array: Array) -> torch.Tensor:
    """The array as a tensor; NumPy's are copied where they are read-only or run backwards."""
    with torch.inference_mode(False):  # whose tensors know no gradients
        if isinstance(array, torch.Tensor):
            return array.clone() if array.is_inference() else array.detach()
        if isinstance(array, np.ndarray):
            return torch.from_numpy(np.require(array, requirements=["C", "W"]))
        return torch.from_dlpack(array)


def array_like(tensor: torch.Tensor, other: Array) -> Array:
    """The tensor as an array of the library of ``other``."""
    tensor = tensor.detach()
    if isinstance(other, torch.Tensor):
        return tensor
    return tensor.numpy() if isinstance(other, np.ndarray) else namespace(other).from_dlpack(tensor)


def array_in(tensor: torch.Tensor, name: str) -> Array:
    """The tensor as an array of the library of this name."""
    tensor = tensor.detach()
    if name == "torch":
        return tensor
    return tensor.numpy() if name == "numpy" else library(name).from_dlpack(tensor)


def chosen_library(name: str | None, device: torch.device) -> str:
    """The library that results take: NumPy on the CPU and CuPy on a GPU, unless told otherwise."""
    if name is None:
        name = next((known for known, home in HOMES.items() if home == device.type), "torch")
    home = HOMES[require_choice("library", name, HOMES)]
    if home not in (None, device.type):
        refuse("library", f"one with arrays on {device}", repr(name), "move module and data, or say 'torch'")
    try:
        library(name)
    except ImportError as error:
        remedy = "install it, or keep tensors with library='torch'"
        raise MissingError(f"library: expected {name}, found none installed; {remedy}") from error
    return name
