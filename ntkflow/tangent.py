"""A network's linearised model where its agents start: one Jacobian, or products with it."""

from __future__ import annotations

from typing import Any

from ._array import Array, namespace
from .errors import require
from .linearize import LinearizedModel
from .training import Network

__all__ = ["tangent"]


def tangent(network: Network, absolute: bool = False, test_inputs: Array | None = None) -> LinearizedModel:
    """The linearised model of all agents.

    Parameters
    ----------
    network : Network
        Model, data and where the agents start.
    absolute : bool
        For rules that decay weights: the start relative to zero and not to the agents' mean.
    test_inputs : (m, N), optional
        Where outputs are wanted besides.

    Raises
    ------
    InputError
        For a matrix-free model whose agents start apart, or under a rule that needs to know where.
    """
    if network.model.matrix_free:
        return _of_products(network, absolute, test_inputs)
    theta, xp = network.theta0, namespace(network.theta0)
    start = theta if absolute else theta - xp.mean(theta, axis=0, keepdims=True)
    extra: dict[str, Any] = {}
    if test_inputs is not None:
        some = theta[:1, :] if network.together else theta  # where agents start together, one of them says it for all
        points = xp.broadcast_to(test_inputs[None, :, :], (some.shape[0], *test_inputs.shape))
        J, f = network.model.jacobian(some, points), xp.reshape(network.model(some, points), (some.shape[0], -1))
        extra["test_jacobian"], extra["test_outputs"] = (J[0, ...], f[0, ...]) if network.together else (J, f)
    return LinearizedModel.from_jacobian(
        network.model.jacobian(theta, network.x),
        start=None if network.together and not absolute else start,
        **_known(network),
        **extra,
    )


def _of_products(network: Network, absolute: bool, test_inputs: Array | None) -> LinearizedModel:
    remedy = "start them together, or form the Jacobian"
    require(network.together, "theta0", "a shared start (P,) for a matrix-free model", "agents apart", remedy)
    require(not absolute, "model", "a Jacobian in memory for a rule that decays weights", "a matrix-free one")
    theta, model, xp = network.theta0[0, :], network.model, namespace(network.theta0)
    jvp, vjp = model.products(theta, network.x)
    extra: dict[str, Any] = {}
    if test_inputs is not None:
        push, _ = model.products(theta, test_inputs[None, :, :])
        extra["test_jvp"] = lambda v: push(v)[0, :]
        extra["test_outputs"] = xp.reshape(model(theta, test_inputs[None, :, :]), (-1,))
    return LinearizedModel.from_products(jvp, vjp, **_known(network), **extra, progress=model.progress)


def _known(network: Network) -> dict[str, Any]:
    return {
        "residual": network.residual,
        "n_outputs": network.model.n_outputs,
        "n_samples": network.data.n_samples,
        "outputs": network.outputs,
    }
