"""T9 checked: the page's polynomials, limits, spectra and optima against what is derived from the rules."""

import numpy as np
import sympy
from sympy import Piecewise, Rational, cos, pi, sqrt

import ntkflow as nf
from ntkflow.analysis.modal import kappa, kappa_max, kappa_min, lam, lam_min, modal, z
from ntkflow.notation import eta, mu

m, w = eta * kappa, (1 + lam) / 2
POLYNOMIALS = {  # the table of (c)
    "dgd": z - lam + m,
    "cdsgd": z - lam + m,
    "atc": z - lam * (1 - m),
    "cta": z - lam * (1 - m),
    "extra": z**2 - (1 + lam - m) * z + w - m,
    "exact_diffusion": z**2 - w * (2 - m) * z + w * (1 - m),
    "nids": z**2 - w * (2 - m) * z + w * (1 - m),
    "d2": z**2 - lam * (2 - m) * z + lam * (1 - m),
    "diging": z**2 - (2 * lam - m) * z + lam**2 - m,
    "aug_dgm": z**2 - (2 * lam - lam**2 * m) * z + lam**2 * (1 - m),
    "atc_tracking": z**2 - lam * (2 - m) * z + lam * (lam - m),
    "cdmsgd": z**2 - (lam + mu - m) * z + lam * mu,
    "cdmsgd_nesterov": z**2 - (lam + mu - (1 + mu) * m) * z + lam * mu * (1 - m),
    "cdmsgd_published": z**2 - (lam + mu - (1 + mu) * m) * z + mu * (lam - m),
}
LIMITS = {
    "dgd": 1 + lam,
    "cdsgd": 1 + lam,
    "atc": 1 + 1 / abs(lam),
    "cta": 1 + 1 / abs(lam),
    "extra": (5 + 3 * lam) / 4,
    "exact_diffusion": (5 + 3 * lam) / (2 + 2 * lam),
    "nids": (5 + 3 * lam) / (2 + 2 * lam),
    "d2": Piecewise((0, lam < -Rational(1, 3)), (1 + 1 / abs(lam), lam < 0), ((1 + 3 * lam) / (2 * lam), True)),
    "diging": (1 + lam) ** 2 / 2,
    "aug_dgm": (1 + lam) ** 2 / (2 * lam**2),
    "atc_tracking": Piecewise((1 / abs(lam) - abs(lam), lam < 0), ((1 + lam) ** 2 / (2 * lam), True)),
    "cdmsgd": (1 + lam) * (1 + mu),
    "cdmsgd_nesterov": (1 + lam) * (1 + mu) / (1 + mu + lam * mu),
    "cdmsgd_published": (1 + lam) * (1 + mu) / (1 + 2 * mu),
}
AT_ZERO = ("atc", "cta", "d2", "aug_dgm", "atc_tracking")  # their modes with λ = 0 are stable for every step size
FLOWS = dict.fromkeys(("atc", "cta"), 1) | dict.fromkeys(("d2", "atc_tracking"), 2)  # times 1 + 1/|λ_min|
POINTS = [Rational(k, 20) for k in range(-19, 20)]
THREE = {  # p(1), p(-1) and 1 - c0, the table in the proof of (c)
    "extra": ((1 - lam) / 2, (5 + 3 * lam) / 2 - 2 * m, (1 - lam) / 2 + m),
    "exact_diffusion": ((1 - lam) / 2, (5 + 3 * lam) / 2 - (1 + lam) * m, (1 - lam) / 2 + (1 + lam) * m / 2),
    "nids": ((1 - lam) / 2, (5 + 3 * lam) / 2 - (1 + lam) * m, (1 - lam) / 2 + (1 + lam) * m / 2),
    "d2": (1 - lam, 1 + 3 * lam - 2 * lam * m, 1 - lam + lam * m),
    "diging": ((1 - lam) ** 2, (1 + lam) ** 2 - 2 * m, 1 - lam**2 + m),
    "aug_dgm": ((1 - lam) ** 2, (1 + lam) ** 2 - 2 * lam**2 * m, 1 - lam**2 + lam**2 * m),
    "atc_tracking": ((1 - lam) ** 2, (1 + lam) ** 2 - 2 * lam * m, 1 - lam**2 + lam * m),
    "cdmsgd": ((1 - lam) * (1 - mu) + m, (1 + lam) * (1 + mu) - m, 1 - lam * mu),
    "cdmsgd_nesterov": (
        (1 - lam) * (1 - mu) + (1 + mu - lam * mu) * m,
        (1 + lam) * (1 + mu) - (1 + mu + lam * mu) * m,
        1 - lam * mu + lam * mu * m,
    ),
    "cdmsgd_published": (
        (1 - lam) * (1 - mu) + m,
        (1 + lam) * (1 + mu) - (1 + 2 * mu) * m,
        1 - lam * mu + mu * m,
    ),
}


def check_decomposition():
    """(a): the spectrum of the whole M is that of all modes together; power sums, as eigenvalues may be defective."""
    rng = np.random.default_rng(9)
    W = nf.weights.metropolis_hastings(nf.graphs.star(4))
    J = rng.standard_normal((2, 2)) / 2
    lin = nf.LinearizedModel.from_jacobian(np.stack([J] * 4), np.ones((4, 2)))
    for name in POLYNOMIALS:
        given = {"momentum": 0.5} if nf.algorithms.get(name).parameters else {}
        A = nf.LinearSystem(name, W, lin, 0.3, "sum", **given).dense()[0]
        M = A + np.eye(len(A))
        pairs = [(a, b) for a in np.linalg.eigvalsh(W) for b in np.linalg.eigvalsh(J.T @ J)]
        matrix = modal(name, **given).matrix
        modes = [np.array(matrix.subs({lam: a, kappa: b, eta: 0.3}), dtype=float) for a, b in pairs]
        for power in range(1, len(M) + 1):
            found = sum(np.trace(np.linalg.matrix_power(mode, power)) for mode in modes)
            assert abs(found - np.trace(np.linalg.matrix_power(M, power))) < 1e-10, name


def check_limits():
    """(c): polynomials, limits on every mode, and their minimum over [λ_min, 1]."""
    for name, polynomial in POLYNOMIALS.items():
        modes = modal(name)
        assert sympy.expand(modes.characteristic_polynomial - polynomial) == 0, name
        at_one = LIMITS[name].subs(lam, 1)
        worst, flow = (modes.step_size_bound(flow=flow).value.subs(kappa_max, 1) for flow in (False, True))
        least = at_one
        for point in reversed(POINTS):
            limit = LIMITS[name].subs(lam, point) if point or name not in AT_ZERO else sympy.oo
            found = modes.max_step_size.subs(lam, point)
            assert found == limit or sympy.simplify(kappa * found - limit) == 0, (name, point)
            least = min(least, limit, key=lambda value: value.subs(mu, Rational(1, 3)))
            assert sympy.simplify(worst.subs(lam_min, point) - least) == 0, (name, point)
            bounded = name in FLOWS and point < 0
            wanted = FLOWS.get(name, 0) * (1 + 1 / abs(point)) if bounded else sympy.oo
            assert flow.subs(lam_min, point) == wanted, (name, point)


def check_rows():
    """The proof of (c): its table, and that at every limit one of the three expressions changes its sign."""
    for name, row in THREE.items():
        p = sympy.Poly(POLYNOMIALS[name], z)
        for written, due in zip(row, (p(1), p(-1), 1 - p.nth(0)), strict=True):
            assert sympy.expand(written - due) == 0, name
        for point in POINTS:
            limit = LIMITS[name].subs(lam, point) if point or name not in AT_ZERO else sympy.oo
            values = [[e.subs({lam: point, mu: Rational(2, 5), kappa: 1, eta: x}) for e in row] for x in near(limit)]
            assert all(v > 0 for v in values[0]) or not limit, (name, point)
            assert len(values) == 1 or min(values[1]) < 0, (name, point)


def near(limit):
    """A little below and a little above a limit, at μ = 2/5; far out where there is none."""
    if limit == sympy.oo:
        return [sympy.Integer(100)]
    value, little = limit.subs(mu, Rational(2, 5)), Rational(1, 1000)
    return [value * (1 - little), value * (1 + little) or little]


def check_spectra():
    """(d): (3W − 1)/2 on cycle and path takes the mean of two neighbours, with mirror images beyond the ends."""
    q, x = sympy.symbols("q x", real=True)
    wave = cos(x * (q + Rational(1, 2)))
    neighbours = wave.subs(q, q + 1) + wave.subs(q, q - 1)
    assert sympy.simplify(sympy.expand_trig(neighbours - 2 * cos(x) * wave)) == 0
    assert wave.subs(q, -1) == wave.subs(q, 0)  # so the end of a path keeps what it would have got from beyond
    agents, k = sympy.symbols("Q k", integer=True, positive=True)
    ends = [wave.subs({x: pi * k / agents, q: place}) for place in (agents, agents - 1)]
    assert sympy.simplify(sympy.expand_trig(ends[0] - ends[1])) == 0
    for topology, sides in (("cycle", (7,)), ("path", (6,)), ("star", (5,)), ("hypercube", (3,)), ("torus", (3, 4))):
        graph = getattr(nf.graphs, topology)(*sides)
        found = nf.weights.metropolis_hastings(graph)
        L = np.diag([d for _, d in graph.degree]) - np.array([[graph.has_edge(i, j) for j in graph] for i in graph])
        np.testing.assert_allclose(found, np.eye(len(L)) - L / (1 + L.max()), atol=1e-15)


def check_optima():
    """(e): both optima, the double roots at both ends, and the balance for a given momentum."""
    assert sympy.simplify(modal("nids").best_step_size - 2 / (kappa_min + kappa_max)) == 0
    polyak = modal("cdmsgd")
    low, high = sqrt(kappa_min), sqrt(kappa_max)
    rate = (high - low) / (high + low)
    assert sympy.simplify(polyak.best_momentum - rate**2) == 0
    assert sympy.simplify(polyak.best_step_size - 4 / (high + low) ** 2) == 0
    best = POLYNOMIALS["cdmsgd"].subs(lam, 1).subs({mu: polyak.best_momentum, eta: polyak.best_step_size})
    for curvature, root in ((kappa_min, rate), (kappa_max, -rate)):
        assert sympy.simplify(sympy.expand(best.subs(kappa, curvature) - (z - root) ** 2)) == 0
    given = modal("cdmsgd", momentum=0.25).best_step_size
    assert sympy.simplify(given - Rational(5, 2) / (kappa_min + kappa_max)) == 0


def check_look_ahead():
    """(e) for the look-ahead and the published form, and the identities of its proof."""
    r, t, s = sympy.symbols("r t s", positive=True)
    a, b = (1 + mu) * r - mu, (1 + mu) * r + mu
    p = z**2 - (1 + mu) * t * z + mu * t
    for name in ("cdmsgd_nesterov", "cdmsgd_published"):
        on_consensus = POLYNOMIALS[name].subs(lam, 1)
        assert sympy.expand(on_consensus.subs(eta, (1 - t) / kappa) - p) == 0, name
        best = modal(name)
        ratio = sqrt(3 * kappa_max / kappa_min + 1)
        assert sympy.simplify(best.best_step_size - 4 / (3 * kappa_max + kappa_min)) == 0, name
        assert sympy.simplify(best.best_momentum - (ratio - 2) / (ratio + 2)) == 0, name
        assert sympy.simplify(best.best_rate - (1 - 2 / ratio)) == 0, name
    assert sympy.expand(p.subs(z, r) - (r**2 - t * a)) == sympy.expand(p.subs(z, -r) - (r**2 + t * b)) == 0
    first = (1 + r) * (r + mu) * a / ((1 - r) * (r - mu) * b)
    second = (1 + r) * (r + mu) * mu / ((mu - r**2) * b)
    grows = 2 * r / (r**2 - mu**2) - 2 * r / (a * b)
    falls = 1 / mu - 1 / (mu - r**2) - r**2 / ((r + mu) * b)
    for bound, slope in ((first, grows), (second, falls)):
        assert sympy.simplify(sympy.diff(bound, mu) / bound - slope) == 0
        at_the_best = bound.subs(mu, r / (2 - r))
        assert sympy.simplify(at_the_best - (1 + r) * (3 - r) / (3 * (1 - r) ** 2)) == 0
        assert sympy.simplify(at_the_best.subs(r, 1 - 2 / s) - (s**2 - 1) / 3) == 0
    assert sympy.expand(a * b - (r**2 - mu**2 + r**2 * mu * (2 + mu))) == 0
    fastest = (1 + r**2 / (3 * mu)).subs(mu, r / (2 - r)).subs(r, 1 - 2 / s)
    assert sympy.simplify(fastest - 4 * (s**2 - 1) / (3 * s**2)) == 0


check_decomposition()
check_limits()
check_rows()
check_spectra()
check_optima()
check_look_ahead()
