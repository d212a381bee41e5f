"""The rule on the real network, against the agents' own loops on a network written out sample by sample.

Gradients of the oracle are complex-step derivatives of the loss as each normalization defines it: no backward pass
and no factor c_q is shared with the code under test.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import oracles
import pytest
import scipy.special
from libraries import few, lib_of
from market import RULES, TOPOLOGIES

import ntkflow as nf

TOL = 1e-11
STEPS = 12
NORMALIZATIONS = ["per_agent", "global", "sum", "torch_mse", "given"]
GIVEN = np.array([0.7, 1.9, 0.2, 1.1])
Q, D, N = 4, 3, 2
W = nf.weights.metropolis_hastings(TOPOLOGIES["path"])

every_rule = pytest.mark.parametrize("rule", RULES)


# --- the networks, one sample at a time


ACTIVATIONS = {
    "sigmoid": lambda h: 1 / (1 + np.exp(-h)),
    "tanh": np.tanh,
    "relu": lambda h: np.where(h.real > 0, h, 0 * h),
    "erf": scipy.special.erf,
    "gelu": lambda h: h * (1 + scipy.special.erf(h / np.sqrt(2))) / 2,
}


def mlp(theta, x, widths, activation, weight_std, bias_std):
    """Eq. (1) for one sample x (N,): h = s_w / sqrt(n) omega^T z + s_b beta, z = phi(h), the last layer linear."""
    z, at = x, 0
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        omega = theta[..., at : at + fan_in * fan_out].reshape(*theta.shape[:-1], fan_in, fan_out)
        beta = theta[..., at + fan_in * fan_out : at + fan_in * fan_out + fan_out]
        at += fan_in * fan_out + fan_out
        h = bias_std * beta
        for i in range(fan_in):
            h = h + weight_std / np.sqrt(fan_in) * z[..., i, None] * omega[..., i, :]
        z = h if layer == len(widths) - 2 else ACTIVATIONS[activation](h)
    assert at == theta.shape[-1]
    return z


def affine(theta, x, n_outputs):
    """Eq. (15) for one sample: w^T x + b."""
    w = theta[..., : len(x) * n_outputs].reshape(*theta.shape[:-1], len(x), n_outputs)
    return sum(x[i] * w[..., i, :] for i in range(len(x))) + theta[..., len(x) * n_outputs :]


@dataclass(frozen=True)
class Setting:
    """A model of ntkflow's and the same one written out; ``network(theta (..., P), x (N,))`` gives (..., M)."""

    model: object
    network: object
    theta0: np.ndarray
    data: object
    x: list  # (D_q, N) an agent, no padding
    y: list  # (D_q, M)

    def residual(self, theta_q, q):
        """All residuals of agent q's data, (..., D_q, M)."""
        samples = zip(self.x[q], self.y[q], strict=True)
        return np.stack([self.network(theta_q, x) - y for x, y in samples], axis=-2)

    def objective(self, theta_q, q, normalization):
        """What agent q differentiates, as each normalization defines it."""
        r = self.residual(theta_q, q)
        squares = np.sum(r * r, axis=(-2, -1))
        if normalization == "torch_mse":
            return np.mean(r * r, axis=(-2, -1))
        return {
            "per_agent": squares / (2 * len(self.x[q])),
            "global": squares / (2 * Q * len(self.x[q])),
            "sum": squares / 2,
            "given": GIVEN[q] * squares / 2,
        }[normalization]

    def gradient(self, normalization):
        """(q, theta_q) -> the complex-step derivative of agent q's objective, exact to rounding."""
        steps = 1e-30j * np.eye(self.theta0.shape[-1])
        return lambda q, theta_q: self.objective(theta_q + steps, q, normalization).imag / 1e-30

    def starts(self):
        theta0 = self.theta0
        return [theta0.copy() for _ in range(Q)] if theta0.ndim == 1 else list(theta0)


def dealt(n_outputs, unequal, seed, lib=nf):
    """Random data; where sizes differ the padding is filled with junk that nobody may read."""
    rng = np.random.default_rng(seed)
    sizes = [3, 1, 2, 3] if unequal else [D] * Q
    x, y = rng.standard_normal((Q, D, N)), rng.standard_normal((Q, D, n_outputs))
    data = lib.datasets.from_arrays(x, y, n_samples=sizes)
    return data, [x[q, : sizes[q]] for q in range(Q)], [y[q, : sizes[q]] for q in range(Q)]


@cache
def setting(kind, n_outputs=1, apart=False, unequal=False, seed=0, lib=nf):
    data, x, y = dealt(n_outputs, unequal, seed, lib)
    agents = Q if apart else None
    if kind == "affine":
        model = nf.models.Affine(N, n_outputs, std=1.0)
        return Setting(model, lambda t, x: affine(t, x, n_outputs), model.init(seed, agents), data, x, y)
    activation, _, last = kind.partition(" ")
    widths = [N, 5, n_outputs] if activation != "tanh" else [N, 4, 3, n_outputs]
    model = nf.models.MLP(widths, activation, weight_std=1.3, bias_std=0.4)
    form = (widths, activation, 1.3, 0.4)
    if not last:
        return Setting(model, lambda t, x: mlp(t, x, *form), model.init(seed, agents), data, x, y)
    model, theta0 = model.fine_tune(model.init(seed))
    hidden = np.asarray(model.frozen)

    def network(theta, x):
        return mlp(
            np.concatenate([np.broadcast_to(hidden, (*theta.shape[:-1], len(hidden))), theta], axis=-1), x, *form
        )

    theta0 = np.random.default_rng(seed).standard_normal((Q, len(theta0))) if apart else theta0
    return Setting(model, network, theta0, data, x, y)


def study(case, rule, normalization, step_size=0.05):
    given = GIVEN if normalization == "given" else normalization
    return lib_of(case.data).Study(W, case.model, case.theta0, case.data, rule, step_size, given)


def relative(found, truth, scale=None):
    found, truth = np.asarray(found), np.asarray(truth)
    assert found.shape == truth.shape
    scale = np.max(np.abs(truth)) if scale is None else scale
    return float(np.max(np.abs(found - truth)) / scale)


def errors(case, trajectory, states):
    """Everything that a training run offers against absolute states (T, blocks, Q, P), by definition."""
    place, starts = states[:, 0], np.array(case.starts())
    sizes = [len(x) for x in case.x]
    r = [case.residual(place[:, q], q) for q in range(Q)]
    loss = np.stack([np.sum(r[q] ** 2, axis=(1, 2)) / (2 * sizes[q]) for q in range(Q)], axis=1)
    everybody = [np.sum(case.residual(place, q) ** 2, axis=(-2, -1)) for q in range(Q)]  # q's data, all models
    outputs, M = trajectory.outputs, case.y[0].shape[1]
    for q in range(Q):
        assert np.isnan(outputs[:, q, sizes[q] * M :]).all()
    f = [(r[q] + case.y[q]).reshape(len(place), -1) for q in range(Q)]
    size = np.max(np.abs(place))
    found = {
        "deviation": relative(trajectory.deviation, place - starts, size),
        "loss": relative(trajectory.loss, loss),
        "global loss": relative(trajectory.global_loss, sum(everybody) / (2 * sum(sizes))),
        "outputs": np.max([relative(outputs[:, q, : sizes[q] * M], f[q]) for q in range(Q)]),
        "consensus": relative(trajectory.consensus_error, oracles.consensus_error(place), size),
    }
    for i, name in enumerate(trajectory.blocks[1:], start=1):
        found[name] = relative(trajectory.block(name), states[:, i])
    return found


def worst(errors):
    """The largest; NaN if one is NaN."""
    return float(np.max(list(errors.values())))


VARIANTS = list(itertools.product((1, 2), (False, True), (False, True)))  # n_outputs, apart, unequal
KINDS = ["affine", "sigmoid", "tanh", "relu", "erf", "gelu", "sigmoid last"]


@pytest.mark.parametrize("kind", KINDS)
@every_rule
def test_training_is_the_agents_own_loop(lib, rule, kind):
    """Eqs. (4)-(6), T10 and T11 with the gradient of the real loss, every start, size, output and normalization."""
    for i, (n_outputs, apart, unequal) in few(lib, enumerate(VARIANTS), 8, len(kind)):
        case = setting(kind, n_outputs, apart, unequal, seed=i, lib=lib)
        every = kind in ("affine", "sigmoid")
        for normalization in few(lib, NORMALIZATIONS if every else NORMALIZATIONS[i % 5 : i % 5 + 1], 4):
            observed = study(case, rule, normalization).train(STEPS)
            states = oracles.run(rule, W, case.starts(), case.gradient(normalization), 0.05, STEPS)
            found = errors(case, observed, states)
            assert worst(found) <= TOL, (normalization, found)
            assert observed.times.tolist() == list(range(STEPS + 1))
            assert observed.mode == observed.method == "training"
            assert observed.error_bound is None


@pytest.mark.parametrize("kind", ["affine", "sigmoid last"])
@every_rule
def test_a_model_that_is_linear_is_predicted_exactly(lib, rule, kind):
    """No Taylor remainder: the closed form of the iteration is the training run."""
    for i, (n_outputs, apart, unequal) in few(lib, enumerate(VARIANTS), 8, len(kind) + len(rule)):
        case = setting(kind, n_outputs, apart, unequal, seed=10 + i, lib=lib)
        for normalization in few(lib, NORMALIZATIONS, 4):
            experiment = study(case, rule, normalization)
            predicted, observed = experiment.predict(STEPS * 5), experiment.train(STEPS * 5)
            size = np.max(np.abs(case.theta0 + observed.deviation))
            found = {
                "deviation": relative(predicted.deviation, observed.deviation),
                "loss": relative(predicted.loss, observed.loss),
                "global loss": relative(predicted.global_loss, observed.global_loss),
                "outputs": relative(np.nan_to_num(predicted.outputs), np.nan_to_num(observed.outputs)),
                "consensus": relative(predicted.consensus_error, observed.consensus_error, size),
            }
            for name in predicted.blocks[1:]:
                found[name] = relative(predicted.block(name), observed.block(name))
            assert worst(found) <= TOL, (normalization, found)


@every_rule
def test_one_agent_trains_alone(lib, rule):
    """One agent, W = [[1]]: plain gradient descent, or its momentum and tracking forms."""
    case = setting("sigmoid", 2, False, False, seed=4)
    data = lib.datasets.from_arrays(case.x[0][None], case.y[0][None])
    observed = lib.Study(np.ones((1, 1)), case.model, case.theta0, data, rule, 0.05, "torch_mse").train(STEPS)
    states = oracles.run(rule, np.ones((1, 1)), [case.theta0], case.gradient("torch_mse"), 0.05, STEPS)
    assert relative(case.theta0 + observed.deviation, states[:, 0]) <= TOL


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("kind", ["affine", "sigmoid"])
def test_the_first_update_is_the_gradient_of_the_named_loss(kind, normalization):
    """(theta(0) - theta(1)) / eta for agents that start together is the gradient itself."""
    case = setting(kind, 2, False, True, seed=3)
    gradient = case.gradient(normalization)
    observed = study(case, "dgd", normalization, 1.0).train(1)
    truth = np.array([gradient(q, case.theta0) for q in range(Q)])
    assert relative(-observed.deviation[1], truth) <= 1e-13


def test_torch_mse_is_the_mean_over_all_entries():
    """nn.MSELoss averages over the D_q M entries that are there, and has no half."""
    case = setting("sigmoid", 2, False, True, seed=3)
    observed = study(case, "dgd", "torch_mse", 1.0).train(1)
    for q in range(Q):
        entries = 2 * len(case.x[q])
        gradient, h = np.zeros_like(case.theta0), 1e-6
        for i in range(len(case.theta0)):  # central differences, to have seen it in real numbers too
            e = h * np.eye(len(case.theta0))[i]
            up, down = (np.sum(case.residual(case.theta0 + s * e, q) ** 2) / entries for s in (1, -1))
            gradient[i] = (up - down) / (2 * h)
        assert relative(-observed.deviation[1, q], gradient) <= 1e-8


@every_rule
def test_overflow_in_training_is_infinite_and_never_nan(lib, rule):
    """A step size far too large for a linear model: the run goes through the largest number and on."""
    observed = study(setting("affine", 2, True, True, seed=1, lib=lib), rule, "sum", 1e3).train(200)
    for name in ("loss", "global_loss", "consensus_error", "deviation"):
        values = getattr(observed, name)
        assert not np.isnan(values).any(), name
        assert np.isposinf(np.abs(values[-1])).all(), name


@every_rule
def test_the_prediction_is_tangent_to_the_training(rule):
    """From a common start the gap is of second order in the step size: half of it leaves a quarter of the gap."""
    case = setting("tanh", 1, False, True, seed=2)
    gaps = []
    for step_size in (1e-3, 5e-4):
        experiment = study(case, rule, "sum", step_size)
        gaps.append(np.max(np.abs(experiment.predict(3).deviation - experiment.train(3).deviation)))
    assert gaps[1] / gaps[0] == pytest.approx(0.25, rel=0.02)
