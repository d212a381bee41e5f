"""T14 checked: the departure on the predicted path, the certificate against real training, and the width."""

import numpy as np

import ntkflow as nf

SLOPES = {"tanh": (1.0, 4 / 27**0.5), "sigmoid": (1 / 4, 1 / 108**0.5)}  # sup |phi'|, sup |phi''|


def study(width, *, activation="tanh", seed=0, agents=3, samples=5, rule="dgd", step=0.02, normalization="sum"):
    """One hidden layer on half moons, agents on a path."""
    data = nf.datasets.half_moons(n_agents=agents, n_samples=samples, noise=0.1, seed=0)
    model = nf.models.MLP([2, width, 1], activation=activation)
    W = nf.weights.metropolis_hastings(nf.graphs.path(agents))
    return nf.Study(W, model, model.init(seed=seed), data, rule, step_size=step, normalization=normalization)


def paper():
    """The network of the paper's figure, with the step that makes its loss fall."""
    data, model = nf.datasets.half_moons(n_agents=8, n_samples=200, noise=0.1, seed=0), nf.models.MLP([2, 256, 1])
    W = nf.weights.metropolis_hastings(nf.graphs.cycle(8))
    return nf.Study(W, model, model.init(seed=0), data, "dgd", step_size=1e-4, normalization="sum")


def lipschitz(study, rho):
    """(d): beta of every agent on the ball of radius rho."""
    return lipschitz_of(study.model, study.theta0, study.data.x, rho)


def lipschitz_of(model, theta0, x, rho):
    """The same from its parts: (Q,)."""
    (first, second), (N, H, _) = SLOPES[model.activation], model.widths
    z = np.sqrt(model.weight_std**2 / N * np.sum(x**2, axis=2) + model.bias_std**2)
    output_weights = theta0[N * H + H : N * H + 2 * H]
    hessian = model.weight_std / H**0.5 * (first * z + second * z**2 * (np.abs(output_weights).max() + rho))
    return np.linalg.norm(hessian, axis=1)


def norms(study):
    """The spectral norm of every agent's Jacobian."""
    return np.linalg.norm(study.linearized.jacobian, 2, axis=(1, 2))


def departure(study, predicted):
    """delta, (T, Q): one forward pass a time."""
    real = np.stack([study.network.pullback(study.network.theta0 + x)[0] for x in predicted.deviation])
    return np.linalg.norm(real - predicted.residual, axis=2)


def defect(study, predicted):
    """The norm of Delta, (T, Q): one backward pass a time."""
    J, c = study.linearized.jacobian, study.scale[:, None]
    rows = []
    for x in predicted.deviation:
        at = study.mixing @ x if study.algorithm.name == "cta" else x
        linear = study.network.residual + np.einsum("qnp,qp->qn", J, at)
        real, pull = study.network.pullback(study.network.theta0 + at)
        rows.append(np.linalg.norm(pull(c * real) - np.einsum("qnp,qn->qp", J, c * linear), axis=1))
    return np.stack(rows)


def certificate(study, predicted, rho):
    """E at every step, and whether the ball held up to there."""
    J, beta = norms(study), lipschitz(study, rho)
    R = np.linalg.norm(study.network.residual, axis=1) + J * rho + beta * rho**2 / 2
    growth = study.step_size * np.max(study.scale * (beta * rho * (2 * J + beta * rho) + beta * R))
    E = [0.0]
    for size in np.linalg.norm(defect(study, predicted), axis=1)[:-1]:
        E.append((1 + growth) * E[-1] + study.step_size * size)
    inside = np.linalg.norm(predicted.deviation, axis=2).max(axis=1) + E <= rho
    return np.array(E), np.logical_and.accumulate(inside)


def error(predicted, observed):
    """The distance of prediction and training over all agents, (T,)."""
    return np.linalg.norm((observed.deviation - predicted.deviation).reshape(len(predicted.times), -1), axis=1)


def check_lipschitz():
    """(d) against differences of Jacobians within the ball, in random and in the worst of many directions."""
    rng = np.random.default_rng(0)
    for activation in SLOPES:
        case = study(40, activation=activation)
        rho, centre = 0.5, case.network.theta0
        beta, x = lipschitz(case, rho), case.data.x
        ratios = []
        for _ in range(50):
            u = rng.standard_normal(centre.shape)
            u[:, np.argsort(rng.random(u.shape[1]))[: rng.integers(0, u.shape[1])]] = 0.0  # sparse ones are the worse
            u *= rho / 2 / np.linalg.norm(u, axis=1, keepdims=True)
            change = case.model.jacobian(centre + u, x) - case.model.jacobian(centre - u, x)
            ratios.append(np.linalg.norm(change, 2, axis=(1, 2)) / (beta * rho))
        assert 0.02 < np.max(ratios) <= 1


def check_single_units():
    """(d) is nearly attained by one unit: without output weight at h = 0, with a large one where |phi''| is largest."""
    worst = {"tanh": np.arctanh(3**-0.5), "sigmoid": np.log(2 + 3**0.5)}
    x, rho = np.array([[[0.7]]]), 1e-3
    for activation, h in worst.items():
        model = nf.models.MLP([1, 1, 1], activation=activation)
        z = np.array([0.7 * model.weight_std, model.bias_std])
        along = z / np.linalg.norm(z)
        for v, place in ((0.0, 0.0), (100.0, h)):
            theta = np.array([*(place * z / (z @ z)), v, 0.0])  # the input weight and bias with w.z = place
            u = rho * np.array([*along, 0.0, 0.0])
            change = model.jacobian((theta + u)[None], x) - model.jacobian((theta - u)[None], x)
            ratio = np.linalg.norm(change) / (2 * rho * lipschitz_of(model, theta, x, rho)[0])
            assert 0.95 < ratio <= 1


def check_departure():
    """(a) on the predicted path, flow and iteration."""
    for activation in SLOPES:
        for width in (16, 256):
            case = study(width, activation=activation)
            for predicted in (case.predict(steps=40), case.predict(times=np.linspace(0, 40, 9), flow=True)):
                size = np.linalg.norm(predicted.deviation, axis=2)
                bound = lipschitz(case, size.max()) * size**2 / 2
                found = departure(case, predicted)
                assert np.all(found <= bound + 1e-12)
                assert found.max() > 1e-6


def check_certificate():
    """(b) and (c): three rules, two activations, another normalization; tight within a factor of three."""
    for rule in ("dgd", "atc", "cta"):
        for activation, width, step, c in (("tanh", 1024, 0.02, "sum"), ("sigmoid", 64, 0.1, "per_agent")):
            case = study(width, activation=activation, rule=rule, step=step, normalization=c)
            predicted, observed = case.predict(steps=12), case.train(12)
            # the classical step, below alpha* and below 2 / lambda_max: the linear map does not expand
            assert step * np.max(case.scale * norms(case) ** 2) <= 1 + np.linalg.eigvalsh(case.mixing)[0]
            E, valid = certificate(case, predicted, 2 * np.linalg.norm(predicted.deviation, axis=2).max())
            missed = error(predicted, observed)
            assert valid.all()
            assert np.all(missed <= E + 1e-12)  # rounding: up to k = 1 the two are the same
            assert E[-1] < 3 * missed[-1]


def check_bounds_of_the_parts():
    """(c): the defect and the real outputs, within what beta says of them."""
    case = study(256)
    predicted, observed = case.predict(steps=12), case.train(12)
    size = np.linalg.norm(predicted.deviation, axis=2)
    rho = 2 * size.max()
    beta, delta, J = lipschitz(case, rho), departure(case, predicted), norms(case)
    E, valid = certificate(case, predicted, rho)
    assert valid.all()
    r = np.linalg.norm(predicted.residual, axis=2)
    assert np.all(defect(case, predicted) <= (J + beta * size) * delta + beta * size * r + 1e-12)
    missed = np.linalg.norm(observed.residual - predicted.residual, axis=2)
    assert np.all(missed <= delta + (J + beta * rho) * E[:, None] + 1e-12)


def check_paper():
    """The paper's network: two hundred steps certified before any training, and then trained."""
    case = paper()
    predicted = case.predict(steps=200)
    E, valid = certificate(case, predicted, rho=1.6)
    assert valid.all()
    observed = case.train(200)
    assert observed.loss[-1].mean() < 0.7 * observed.loss[0].mean()  # something was learned
    missed = error(predicted, observed)
    assert np.all(missed <= E + predicted.error_bound + 1e-12)  # up to k = 1 there is only what compression leaves out
    assert E[-1] < 1.5 * missed[-1]


def measured(width):
    """Departure, output error and parameter error after 20 steps: geometric means over seeds."""
    rows = []
    for seed in range(6):
        case = study(width, seed=seed, agents=4, samples=10, step=0.01)
        predicted, observed = case.predict(steps=20), case.train(20)
        outputs = np.linalg.norm((observed.residual - predicted.residual)[-1])
        rows.append([np.linalg.norm(departure(case, predicted)[-1]), outputs, error(predicted, observed)[-1]])
    return np.exp(np.mean(np.log(rows), axis=0))


def check_width():
    """Parameters like H^-1/2, outputs like 1/H: told apart, with room for the scatter of six seeds."""
    widths = (64, 256, 1024)
    errors = np.array([measured(width) for width in widths])
    departed, outputs, parameters = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert -0.7 < parameters < -0.3
    assert -1.3 < departed < -0.7
    assert -1.3 < outputs < -0.7
    said, seen = errors[:, 0], errors[:, 1]  # by forward passes, by training
    assert np.all((seen / 3 < said) & (said < 3 * seen))


def horizon(study, tolerance, times):
    """The first time at which the departure exceeds a share of the predicted movement of the outputs."""
    predicted = study.predict(times=times, flow=True)
    moved = np.linalg.norm(predicted.residual - predicted.residual[0], axis=2)
    beyond = np.any(departure(study, predicted) > tolerance * np.maximum.accumulate(moved), axis=1)
    return times[np.argmax(beyond)] if beyond.any() else np.inf


def check_horizon():
    """A wider network is trusted longer, a looser tolerance too."""
    times = np.concatenate([[0.0], np.geomspace(0.1, 1e4, 60)])
    narrow, wide = study(16), study(4096)
    assert 0 < horizon(narrow, 0.01, times) < horizon(narrow, 0.05, times) < np.inf
    assert horizon(narrow, 0.01, times) < horizon(wide, 0.01, times)


check_lipschitz()
check_single_units()
check_departure()
check_certificate()
check_bounds_of_the_parts()
check_paper()
check_width()
check_horizon()
