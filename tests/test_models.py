"""Models: outputs by a plain loop, Jacobians by differences and by 60 digits, widths going to infinity."""

import math

import array_api_strict
import mpmath
import numpy as np
import pytest
from conftest import to_numpy

from ntkflow.errors import InputError, ShapeError, UnknownNameError
from ntkflow.models import MLP, Affine

ACTIVATIONS = ["sigmoid", "tanh", "relu", "erf", "gelu"]
NETWORKS = {
    "affine": Affine(3),
    "affine, 2 outputs": Affine(2, 2, std=0.7),
    "no hidden layer": MLP([3, 2], bias_std=0.3),
    **{f"[2,5,1] {a}": MLP([2, 5, 1], a, 1.3, 0.2) for a in ACTIVATIONS},
    **{f"[3,4,4,2] {a}": MLP([3, 4, 4, 2], a, 1.5, 0.4) for a in ACTIVATIONS},
    "last layer": MLP([3, 4, 4, 2], "tanh", trainable="last", frozen=5),
}
every_network = pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())


def phi(name, h, m=math):
    """The activations by their definitions, for numbers of ``math`` or of ``mpmath``."""
    return {
        "sigmoid": lambda: 1 / (1 + m.exp(-h)),
        "tanh": lambda: m.tanh(h),
        "relu": lambda: h if h > 0 else 0 * h,
        "erf": lambda: m.erf(h),
        "gelu": lambda: h * (1 + m.erf(h / m.sqrt(2))) / 2,
    }[name]()


def loop(model, theta, x, m=math):
    """f(x; theta) for one sample, every sum written out; theta holds all layers."""
    theta, at = list(theta), 0
    if isinstance(model, Affine):
        N, M = model.n_inputs, model.n_outputs
        return [sum(x[i] * theta[i * M + j] for i in range(N)) + theta[N * M + j] for j in range(M)]
    z = list(x)
    for layer, (n_in, n_out) in enumerate(zip(model.widths, model.widths[1:], strict=False)):
        omega, beta, at = theta[at:], theta[at + n_in * n_out :], at + n_in * n_out + n_out
        gain = model.weight_std / m.sqrt(n_in)
        h = [gain * sum(z[i] * omega[i * n_out + j] for i in range(n_in)) + model.bias_std * beta[j]
             for j in range(n_out)]  # fmt: skip
        z = h if layer == len(model.widths) - 2 else [phi(model.activation, value, m) for value in h]
    return z


def all_layers(model, theta):
    """Theta of one agent with the frozen layers before it."""
    frozen = getattr(model, "trainable", "all") == "last"
    return np.concatenate([to_numpy(model.frozen), theta]) if frozen else theta


def draw(model, xp, n_agents=3, n_samples=4):
    theta = model.init(seed=3, n_agents=n_agents)
    x = np.random.default_rng(4).standard_normal((n_agents, n_samples, model.n_inputs))
    return theta, x, xp.asarray(theta), xp.asarray(x)


@every_network
def test_forward_against_a_loop(xp, model):
    theta, x, theta_xp, x_xp = draw(model, xp)
    expected = [[loop(model, all_layers(model, t), sample) for sample in agent]
                for t, agent in zip(theta, x, strict=True)]  # fmt: skip
    found = model(theta_xp, x_xp)
    assert found.shape == (3, 4, model.n_outputs)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(to_numpy(model.pullback(theta_xp, x_xp)[0]), to_numpy(found))


@every_network
def test_jacobian_against_differences(xp, model):
    theta, x, theta_xp, x_xp = draw(model, xp)
    J = to_numpy(model.jacobian(theta_xp, x_xp))
    P = model.n_parameters
    assert J.shape == (3, 4 * model.n_outputs, P)
    for q in range(3):
        # every shifted parameter vector is an agent of its own; rows are sample-major, output fastest
        steps, same = 1e-5 * np.eye(P), xp.asarray(np.stack([x[q]] * P))
        up, down = (to_numpy(model(xp.asarray(theta[q] + s), same)).reshape(P, -1) for s in (steps, -steps))
        np.testing.assert_allclose(J[q], (up - down).T / 2e-5, atol=3e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_jacobian_against_60_digits(xp, activation):
    model = MLP([2, 3, 3, 2], activation, 1.5, 0.4)
    theta, x, theta_xp, x_xp = draw(model, xp, 1, 2)
    mp = mpmath.mp.clone()
    mp.dps = 60
    place, h = [mp.mpf(t) for t in theta[0]], mp.mpf(10) ** -20  # central differences: an error of 1e-40
    exact = np.empty((4, model.n_parameters))
    for i in range(model.n_parameters):
        up, down = ([t + s * h * (k == i) for k, t in enumerate(place)] for s in (1, -1))
        for d in range(2):
            sample = [mp.mpf(value) for value in x[0, d]]
            pairs = zip(loop(model, up, sample, mp), loop(model, down, sample, mp), strict=True)
            exact[2 * d : 2 * d + 2, i] = [float((a - b) / (2 * h)) for a, b in pairs]
    assert abs(to_numpy(model.jacobian(theta_xp, x_xp))[0] - exact).max() <= 1e-14 * max(1, abs(exact).max())


@every_network
def test_pullback_is_the_transposed_jacobian(xp, model, rng):
    _, _, theta_xp, x_xp = draw(model, xp)
    r = rng.standard_normal((3, 4, model.n_outputs))
    J = to_numpy(model.jacobian(theta_xp, x_xp))
    pull = model.pullback(theta_xp, x_xp)[1]
    for scale in (1.0, 0.0, -2.0):  # the same pass serves many residuals
        found = to_numpy(pull(xp.asarray(scale * r)))
        np.testing.assert_allclose(found, np.einsum("qnp,qn->qp", J, scale * r.reshape(3, -1)), rtol=1e-13, atol=1e-13)


@every_network
def test_shared_and_own_parameters(xp, model):
    _, _, theta_xp, x_xp = draw(model, xp)
    shared = theta_xp[0, :]
    repeated = xp.stack([shared] * 3)
    for call in (model, model.jacobian, lambda t, x: model.pullback(t, x)[1](model(t, x))):
        np.testing.assert_array_equal(to_numpy(call(shared, x_xp)), to_numpy(call(repeated, x_xp)))
    # agents do not see one another: agent 1 alone is agent 1 among three
    alone = model(theta_xp[1:2, :], x_xp[1:2, :, :])
    np.testing.assert_allclose(to_numpy(alone)[0], to_numpy(model(theta_xp, x_xp))[1], rtol=1e-14)


@every_network
def test_float32_stays_float32(xp, model):
    theta, x, *_ = draw(model, xp)
    theta_xp, x_xp = xp.asarray(theta, dtype=xp.float32), xp.asarray(x, dtype=xp.float32)
    outputs, pull = model.pullback(theta_xp, x_xp)
    for found, expected in [
        (outputs, model(theta, x)),
        (model.jacobian(theta_xp, x_xp), model.jacobian(theta, x)),
        (pull(outputs), model.pullback(theta, x)[1](model(theta, x))),
    ]:
        assert found.dtype == xp.float32
        np.testing.assert_allclose(to_numpy(found), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_huge_inputs_do_not_overflow(xp, activation):
    model = MLP([1, 3, 1], activation)
    theta = xp.asarray(model.init(seed=0))
    for size in (50.0, 1e5):
        x = xp.asarray([[[size], [-size]]])
        assert np.isfinite(to_numpy(model(theta, x))).all()
        assert np.isfinite(to_numpy(model.jacobian(theta, x))).all()


# --- fine-tuning


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fine_tuning_is_the_last_columns(xp, activation):
    model = MLP([3, 4, 5, 2], activation)
    theta, x = xp.asarray(model.init(seed=1)), xp.ones((2, 3, 3)) * 0.3
    tuned, last = model.fine_tune(theta)
    assert (tuned.trainable, tuned.n_parameters, last.shape) == ("last", 12, (12,))
    np.testing.assert_array_equal(to_numpy(tuned(last, x)), to_numpy(model(theta, x)))
    np.testing.assert_array_equal(to_numpy(tuned.jacobian(last, x)), to_numpy(model.jacobian(theta, x))[:, :, -12:])
    r = xp.ones((2, 3, 2))
    found, full = tuned.pullback(last, x)[1](r), model.pullback(theta, x)[1](r)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(full)[:, -12:])
    with pytest.raises(InputError, match="fine_tune"):
        tuned.fine_tune(last)


def test_a_fine_tuned_model_is_linear(xp):
    model = MLP([2, 6, 1], trainable="last", frozen=3)
    theta, x = xp.asarray(model.init(seed=0)), xp.asarray(np.random.default_rng(0).standard_normal((1, 5, 2)))
    moved = model(3.0 * theta, x)
    np.testing.assert_allclose(to_numpy(moved), 3.0 * to_numpy(model(theta, x)), rtol=1e-14)


def test_frozen_layers_by_seed_and_by_array(xp):
    seeded = MLP([2, 4, 1], trainable="last", frozen=8)
    given = MLP([2, 4, 1], trainable="last", frozen=xp.asarray(to_numpy(seeded.frozen)))
    theta, x = xp.asarray(seeded.init(seed=0)), xp.ones((1, 2, 2))
    np.testing.assert_array_equal(to_numpy(seeded(theta, x)), to_numpy(given(theta, x)))
    other = MLP([2, 4, 1], trainable="last", frozen=9)
    assert np.any(to_numpy(other(theta, x)) != to_numpy(seeded(theta, x)))


# --- sizes and initialisation


def test_parameter_counts():
    assert MLP([2, 256, 1]).n_parameters == 1025
    assert MLP([3, 4, 4, 2]).n_parameters == 16 + 20 + 10
    assert MLP([2, 256, 1], trainable="last").n_parameters == 257
    assert Affine(784).n_parameters == 785
    assert Affine(3, 2).n_parameters == 8


@every_network
def test_init(model):
    shared, own = model.init(seed=7), model.init(seed=7, n_agents=5)
    assert shared.shape == (model.n_parameters,)
    assert own.shape == (5, model.n_parameters)
    np.testing.assert_array_equal(shared, model.init(seed=7))
    np.testing.assert_array_equal(own, model.init(seed=7, n_agents=5))
    assert np.any(shared != model.init(seed=8))
    assert len(np.unique(own[:, 0])) == 5
    strongest = own[np.argmax(np.linalg.norm(own, axis=1))]
    np.testing.assert_array_equal(model.init(seed=7, n_agents=5, synchronise=True), strongest)


def test_init_is_standard_normal_and_affine_scales_it():
    draws = MLP([20, 100, 20]).init(seed=0, n_agents=20)
    # 84,400 draws: the mean has a standard error of 0.0034, the variance of 0.0049; five of each
    assert abs(draws.mean()) < 0.018
    assert abs(draws.var() - 1) < 0.025
    np.testing.assert_allclose(Affine(30, std=0.5).init(seed=2), 0.5 / 0.1 * Affine(30).init(seed=2))


def test_init_in_another_library(xp):
    other = xp.zeros(2, dtype=xp.float32)
    for more in ({}, {"n_agents": 3}, {"n_agents": 3, "synchronise": True}):
        theta = MLP([2, 3, 1]).init(seed=1, other=other, **more)
        assert type(theta) is type(other)
        assert theta.dtype == xp.float32
        np.testing.assert_allclose(to_numpy(theta), MLP([2, 3, 1]).init(seed=1, **more), rtol=1e-6)


# --- wide networks: the published kernels


def expectations(activation, k11, k12, k22):
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for Gaussians (u, v): Cho & Saul 2009; Williams 1997."""
    if activation == "relu":
        angle = np.arccos(np.clip(k12 / np.sqrt(k11 * k22), -1, 1))
        return (
            np.sqrt(k11 * k22) / (2 * np.pi) * (np.sin(angle) + (np.pi - angle) * np.cos(angle)),
            (np.pi - angle) / (2 * np.pi),
        )
    full = (1 + 2 * k11) * (1 + 2 * k22)
    return 2 / np.pi * np.arcsin(2 * k12 / np.sqrt(full)), 4 / np.pi / np.sqrt(full - 4 * k12**2)


def infinite_width(model, x):
    """The neural tangent kernel of (D, N) inputs as all hidden widths go to infinity (Jacot et al. 2018)."""
    sw2, sb2 = model.weight_std**2, model.bias_std**2
    K = sw2 * x @ x.T / x.shape[1] + sb2
    tangent = K
    for _ in model.widths[1:-1]:
        variances = np.diag(K)
        same, slope = expectations(model.activation, variances[:, None], K, variances[None, :])
        K = sw2 * same + sb2
        tangent = K + sw2 * slope * tangent
    return tangent


def empirical(widths, activation, x, draws):
    model = MLP(widths, activation, 1.4, 0.3)
    points = np.broadcast_to(x, (draws, *x.shape))
    J = model.jacobian(model.init(seed=11, n_agents=draws), points)
    return J @ J.swapaxes(1, 2) - infinite_width(model, x)


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("hidden", [1, 2])
def test_wide_networks_have_the_published_kernel(activation, hidden):
    x = np.random.default_rng(0).standard_normal((4, 3))
    draws, narrow, wide = 64, 12, 12 * 16 if hidden == 1 else 12 * 9
    errors = {w: empirical([3, *[w] * hidden, 1], activation, x, draws) for w in (narrow, wide)}
    size = np.abs(infinite_width(MLP([3, *[9] * hidden, 1], activation, 1.4, 0.3), x)).max()
    rms = {w: np.sqrt((e**2).mean()) for w, e in errors.items()}
    # An average of w independent terms: the error falls like w^-1/2, so the ratio is near sqrt(wide/narrow).
    # An rms over 64 draws of a few correlated entries is known to about 15 %, a ratio of two to about 20 %;
    # 45 % on either side still tells w^-1/2 (4 or 3) from no convergence (1) and from w^-1 (16 or 9).
    assert 0.55 < rms[narrow] / rms[wide] / (wide / narrow) ** 0.5 < 1.45
    assert rms[wide] < 0.3 * size
    # And it is *this* kernel: the mean error is within five standard errors, plus the O(1/w) bias of a deep network.
    mean, spread = errors[wide].mean(axis=0), errors[wide].std(axis=0) / draws**0.5
    assert (abs(mean) < 5 * spread + (hidden - 1) * 2 * size / wide).all()


# --- bad inputs

good = MLP([2, 3, 1])
theta, x = good.init(seed=0), np.ones((2, 4, 2))
BAD = {
    "one width": (lambda: MLP([2]), "widths"),
    "no widths": (lambda: MLP([]), "widths"),
    "widths as a number": (lambda: MLP(3), "widths"),
    "widths as a float": (lambda: MLP(3.0), "widths"),
    "widths as text": (lambda: MLP("2,3"), "widths"),
    "widths missing": (lambda: MLP(None), "widths"),
    "zero width": (lambda: MLP([2, 0, 1]), "widths"),
    "half a width": (lambda: MLP([2, 2.5, 1]), "widths"),
    "negative std": (lambda: MLP([2, 1], weight_std=-1.0), "weight_std"),
    "NaN std": (lambda: MLP([2, 1], bias_std=math.nan), "bias_std"),
    "std as text": (lambda: MLP([2, 1], weight_std="1"), "weight_std"),
    "trainable": (lambda: MLP([2, 1], trainable="first"), "trainable"),
    "frozen shape": (lambda: MLP([2, 3, 1], trainable="last", frozen=np.ones(4)), "frozen"),
    "frozen NaN": (lambda: MLP([2, 3, 1], trainable="last", frozen=np.full(9, math.nan)), "frozen"),
    "frozen seed": (lambda: MLP([2, 3, 1], trainable="last", frozen=-1), "frozen"),
    "affine without inputs": (lambda: Affine(0), "n_inputs"),
    "affine outputs": (lambda: Affine(2, 1.5), "n_outputs"),
    "affine std": (lambda: Affine(2, std=-0.1), "std"),
    "seed": (lambda: good.init(seed=-1), "seed"),
    "seed as text": (lambda: good.init(seed="0"), "seed"),
    "no agents": (lambda: good.init(n_agents=0), "n_agents"),
    "synchronise alone": (lambda: good.init(synchronise=True), "synchronise"),
    "other is no array": (lambda: good.init(other=[1.0]), "other"),
    "x of one agent": (lambda: good(theta, x[0]), "x"),
    "x as a list": (lambda: good(theta, x.tolist()), "x"),
    "x of other width": (lambda: good(theta, np.ones((2, 4, 3))), "x"),
    "x with NaN": (lambda: good(theta, np.full((2, 4, 2), math.nan)), "x"),
    "x whole numbers": (lambda: good(theta, np.ones((2, 4, 2), dtype=int)), "x"),
    "x complex": (lambda: good(theta, x + 0j), "x"),
    "theta too short": (lambda: good(theta[:-1], x), "theta"),
    "theta of other agents": (lambda: good.jacobian(np.stack([theta] * 3), x), "theta"),
    "theta infinite": (lambda: good(theta * math.inf, x), "theta"),
    "theta as a list": (lambda: good(theta.tolist(), x), "theta"),
    "two libraries": (lambda: good(theta, array_api_strict.asarray(x)), "library"),
    "fine_tune of many": (lambda: good.fine_tune(np.stack([theta] * 2)), "theta"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "named"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_error(call, named):
    with pytest.raises(InputError) as caught, np.errstate(invalid="ignore"):
        call()
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kinds_of_error():
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        MLP([2, 1], "sigmod")
    with pytest.raises(ShapeError, match=r"model\.init"):
        good(theta[:-1], x)
