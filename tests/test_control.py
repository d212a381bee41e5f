"""python-control as a partner: state spaces against the agents' own loops, minimal parts against exact arithmetic,
Gramians and norms against sums, quadrature, frequency sweeps and python-control itself."""

from __future__ import annotations

import control as ct
import loops
import numpy as np
import pytest
from libraries import assert_at_home
from market import CATALOGUE, RULES, TOPOLOGIES, linearized, mixing_of, problem

import ntkflow as nf
from ntkflow.analysis.gains import Gains
from ntkflow.errors import InputError, ShapeError
from ntkflow.interop.control import from_control, held_input, pole_zero_map, to_control
from ntkflow.interop.matrices import MatrixSystem, matrices, minimal_matrices

STEP, STEPS = 0.02, 12
every_rule = pytest.mark.parametrize("rule", CATALOGUE)


def system(rule="dgd", *, step=STEP, graph="star", xp=np, **how):
    W = nf.weights.metropolis_hastings(TOPOLOGIES[graph])
    case = problem(len(W), **how)
    return nf.LinearSystem(rule, mixing_of(rule, W), linearized(case, xp), step, "sum"), case, W


def outputs_by_the_agents(rule, case, W, steps=STEPS):
    """What every agent's outputs have changed by, from the loops in which the papers print the rules."""
    start = np.zeros((len(W), case.J.shape[2])) if case.start is None else case.start
    defaults = {str(p): v for p, v in nf.algorithms.get(rule).parameters.items() if v is not None}
    numbers = {"momentum": defaults["mu"]} if "mu" in defaults else {}
    counts = {"icdsgd": "consensus_steps", "fedavg": "local_steps"}
    if rule in counts:
        numbers = {counts[rule]: next(iter(nf.algorithms.get(rule).counts.values()))}

    def g(q, x):
        return case.J[q].T @ (case.residual[q] + case.J[q] @ (x - start[q]))

    x = loops.run(rule, W, start, g, STEP, steps, **numbers)
    return np.einsum("qip,kqp->kqi", case.J, x - start).reshape(steps + 1, -1)


class TestToControl:
    @every_rule
    @pytest.mark.parametrize("apart", [False, True])
    @pytest.mark.parametrize("minimal", [False, True])
    def test_the_iteration_is_that_of_the_agents(self, xp, rule, apart, minimal):
        built, case, W = system(rule, apart=apart, n_parameters=7, xp=xp)
        plant = to_control(built, dt=True, minimal=minimal)
        found = ct.forced_response(plant, np.arange(STEPS + 1), np.outer(held_input(built), np.ones(STEPS + 1)))
        expected = outputs_by_the_agents(rule, case, W)
        assert np.abs(found.outputs.T - expected).max() <= 1e-11 * np.abs(expected).max()

    @every_rule
    @pytest.mark.parametrize("minimal", [False, True])
    def test_the_flow_is_that_of_the_library(self, rule, minimal):
        built, case, _ = system(rule, apart=True, unequal=True, n_outputs=2)
        times = np.linspace(0, 30, 4)
        held = np.outer(held_input(built), np.ones(4))
        found = ct.forced_response(to_control(built, minimal=minimal), times, held).outputs
        expected = (built.flow(times).residual - case.residual).reshape(4, -1)
        assert np.abs(found.T - expected).max() <= 1e-9 * np.abs(expected).max()

    def test_names_and_sampling(self):
        built, _, _ = system("cdmsgd", graph="path", n_parameters=2)
        flow, iteration = to_control(built), to_control(built, dt=True)
        assert (flow.dt, iteration.dt) == (0, True)
        assert flow.state_labels == [f"{b}[{q},{i}]" for b in ("theta", "v") for q in range(4) for i in range(2)]
        assert flow.input_labels == [f"e[{q},{i}]" for q in range(4) for i in range(3)]
        assert flow.output_labels == [f"f[{q},{i}]" for q in range(4) for i in range(3)]
        A, B, C, D = built.dense()
        for mine, theirs in ((flow.A, A), (iteration.A, A + np.eye(16)), (flow.B, B), (flow.C, C), (flow.D, D)):
            assert np.array_equal(mine, theirs)

    def test_agents_that_start_apart_have_an_input_of_their_own(self):
        built, case, _ = system(apart=True)
        assert to_control(built).input_labels[-1] == to_control(built, minimal=True).input_labels[-1] == "start"
        assert np.array_equal(held_input(built), np.append(case.residual.ravel(), 1.0))

    def test_the_input_of_a_tracker_is_its_first_update(self):
        built = system("diging")[0]
        first = to_control(built).B @ held_input(built)
        assert first == pytest.approx(built.full.drive.ravel(), abs=1e-14)
        assert not np.any(built.dense()[1])  # B alone would say that nothing ever moves

    @pytest.mark.parametrize("dt", [0.1, 2, "0", None])
    def test_other_sampling_times_are_refused(self, dt):
        with pytest.raises(InputError, match="dt: expected 0"):
            to_control(system()[0], dt=dt)


class TestFromControl:
    def test_arrays_of_any_library_come_to_the_host(self, xp):
        A, B, C, held = np.array([[-0.5]]), np.ones((1, 1)), np.full((1, 1), 2.0), np.ones(1)
        spring = MatrixSystem(*(xp.asarray(a) for a in (A, B, C, held)))
        back = from_control(to_control(spring), xp.asarray(held))
        for found in (spring, back, spring.minimal):
            assert_at_home(found, np)
            np.testing.assert_allclose(found.flow(xp.asarray([0.0, np.inf]), xp.asarray(held)), [[0.0], [4.0]])
        assert spring.flow(xp.asarray(2.0)).shape == (1,)

    @pytest.mark.parametrize("dt", [0, True])
    @pytest.mark.parametrize("rule", RULES)
    def test_there_and_back(self, rule, dt):
        built, case, _ = system(rule, apart=True)
        back = from_control(to_control(built, dt), held_input(built))
        straight = matrices(built)
        for name in ("A", "B", "C", "held"):
            assert getattr(back, name) == pytest.approx(getattr(straight, name), abs=1e-15)
        assert (back.states, back.inputs, back.outputs) == (straight.states, straight.inputs, straight.outputs)
        moved = built.iterate(9).residual - case.residual
        assert back.iterate(9) == pytest.approx(moved.ravel(), abs=1e-12)

    def test_a_foreign_state_space(self):
        """A mass on a spring with friction: position 1/k in the end, and python-control's own step response."""
        plant = ct.ss([[0, 1], [-4, -1]], [[0], [1]], [[1, 0]], 0)
        spring = from_control(plant)
        times = np.linspace(0, 5, 11)
        assert spring.flow(times, held=np.ones(1))[:, 0] == pytest.approx(
            ct.step_response(plant, times).outputs, abs=1e-6
        )
        assert spring.flow(np.inf, held=np.ones(1)) == pytest.approx(1 / 4)
        assert spring.minimal.order == 2

    def test_a_sampled_one(self):
        sampled = ct.ss([[0.5]], [[1.0]], [[1.0]], 0, 0.1)
        assert from_control(sampled, [1.0]).iterate([0, 1, 2, np.inf])[:, 0].tolist() == [0.0, 1.0, 1.5, 2.0]

    def test_refusals(self):
        with pytest.raises(InputError, match=r"plant: expected a control.StateSpace"):
            from_control(ct.tf([1], [1, 1]))
        with pytest.raises(InputError, match="no feedthrough"):
            from_control(ct.ss([[-1.0]], [[1.0]], [[1.0]], 1))
        spring = from_control(ct.ss([[-1.0]], [[1.0]], [[1.0]], 0))
        with pytest.raises(InputError, match="held: expected an input of 1 numbers"):
            spring.flow(1.0)
        with pytest.raises(InputError, match="whole numbers"):
            spring.iterate(1.5, held=np.ones(1))
        with pytest.raises(ShapeError, match="held"):
            spring.iterate(1, held=np.ones(2))
        with pytest.raises(ShapeError, match="C: expected shape"):
            MatrixSystem(np.eye(2), np.ones((2, 1)), np.ones((1, 3)))
        with pytest.raises(ShapeError, match="states: expected 2 names"):
            MatrixSystem(np.eye(2), np.ones((2, 1)), np.ones((1, 2)), states=("x",))


# ------------------------------------------------------------------------------------------------ the minimal part

PRIME = 67_108_859  # below 2²⁶: a product of two residues, summed 500 times, fits 64 bits


def exact_order(found):
    """The rank of the Hankel matrix of C Mᵏ B modulo a prime, for matrices that are rational of small denominator."""
    M, B, C = (residues(X) for X in (found.A + np.eye(found.order), found.B, found.C))
    powers = [B]
    for _ in range(2 * found.order - 2):
        powers.append(M @ powers[-1] % PRIME)
    markov = [C @ X % PRIME for X in powers]
    return rank(np.block([[markov[i + j] for j in range(found.order)] for i in range(found.order)]))


def residues(matrix):
    """The integers k·matrix modulo the prime, with the smallest whole number k that makes them so."""
    k = next(k for k in range(1, 5000) if np.abs(k * matrix - np.rint(k * matrix)).max() < 1e-9)
    return np.rint(k * matrix).astype(np.int64) % PRIME


def rank(matrix):
    """By elimination modulo the prime."""
    rest, found = matrix.copy(), 0
    for column in range(rest.shape[1]):
        pivots = found + np.flatnonzero(rest[found:, column])
        if not len(pivots):
            continue
        rest[[found, pivots[0]]] = rest[[pivots[0], found]]
        rest[found] = rest[found] * pow(int(rest[found, column]), -1, PRIME) % PRIME
        below = rest[found + 1 :]
        rest[found + 1 :] = (below - np.outer(below[:, column], rest[found])) % PRIME
        found += 1
    return found


def rational(rule, seed):
    """A system of whole-number Jacobians of unequal ranks, a step of 1/16 and momentum 1/2."""
    rng = np.random.default_rng(seed)
    W = nf.weights.metropolis_hastings((nf.graphs.complete(3), nf.graphs.path(3), nf.graphs.star(4))[seed % 3])
    J = rng.integers(-3, 4, (len(W), 2, 3)).astype(float)
    J[1, 1] = 2 * J[1, 0]
    lin = nf.LinearizedModel.from_jacobian(J, np.ones(J.shape[:2]))
    return nf.LinearSystem(rule, mixing_of(rule, W), lin, 1 / 16, "sum", **({"momentum": 0.5} if "cdm" in rule else {}))


class TestMinimalPart:
    @every_rule
    @pytest.mark.parametrize("seed", range(3))
    def test_the_order_in_exact_arithmetic(self, rule, seed):
        built = rational(rule, seed)
        order = exact_order(matrices(built))
        assert minimal_matrices(built).order == order
        if not np.any(built.full.start):  # of a tracker, whose B cancels, bare matrices show rounding as well
            assert matrices(built).minimal.order == order

    @every_rule
    def test_no_less_would_do(self, rule):
        """The minimal part is reachable and observable: by the ranks of Popov, Belevitch and Hautus."""
        found = minimal_matrices(system(rule, n_parameters=9)[0])
        for z in np.linalg.eigvals(found.A):
            shifted = found.A - z * np.eye(found.order)
            for matrix in (np.hstack([shifted, found.B]), np.vstack([shifted, found.C])):
                assert np.linalg.svd(matrix, compute_uv=False)[-1] > 1e-9

    @every_rule
    def test_it_is_stable_where_the_whole_is_marginal(self, rule):
        built = system(rule, n_parameters=20, step=1e-3)[0]
        assert np.abs(1 + np.linalg.eigvals(matrices(built).A)).max() > 1 - 1e-9
        assert np.abs(minimal_matrices(built).gains().poles).max() < 1 - 1e-9

    def test_nothing_to_see(self):
        lin = nf.LinearizedModel.from_jacobian(np.zeros((3, 2, 4)), np.ones((3, 2)))
        built = nf.LinearSystem("dgd", nf.weights.metropolis_hastings(nf.graphs.cycle(3)), lin, 0.1)
        found = minimal_matrices(built)
        gains = found.gains(flow=True)
        assert found.order == matrices(built).minimal.order == 0
        assert (gains.h2_norm, gains.hinf_norm, gains.hankel_singular_values.tolist()) == (0.0, 0.0, [])
        assert found.iterate([0, 5]).tolist() == np.zeros((2, 6)).tolist()

    def test_a_kernel_alone(self):
        case = problem(5)
        stack = case.J.reshape(15, 5)
        lin = nf.LinearizedModel.from_kernel(stack @ stack.T, case.residual)
        W = nf.weights.metropolis_hastings(TOPOLOGIES["star"])
        given, whole = nf.LinearSystem("dgd", W, lin, STEP, "sum"), system()[0]
        assert minimal_matrices(given).iterate(7) == pytest.approx(minimal_matrices(whole).iterate(7), rel=1e-9)

    def test_against_slycot(self):
        pytest.importorskip("slycot", reason="slycot is not installed, so control.minreal cannot be asked")
        for rule in CATALOGUE:
            built = system(rule, n_parameters=7)[0]
            theirs = ct.minreal(to_control(built, dt=True), tol=1e-9, verbose=False)
            assert to_control(built, dt=True, minimal=True).nstates == theirs.nstates


# ------------------------------------------------------------------------------------------------ Gramians and norms


def small(rule, flow):
    return minimal_matrices(system(rule, n_parameters=4, graph="path")[0]).gains(flow=flow)


def summed(gains, A, B):
    """Σ Fᵏ B Bᵀ (Fᵀ)ᵏ by doubling; of the flow ∫ e^{At} B Bᵀ e^{Aᵀt} dt, which is that sum over steps of one."""
    from scipy.linalg import expm

    total, F = B @ B.T, A + np.eye(len(A))
    if gains.flow:  # over the first step by Gauss-Legendre quadrature in four panels, exact to rounding
        F, nodes = expm(A), np.polynomial.legendre.leggauss(12)
        points = [((k + (x + 1) / 2) / 4, w / 8) for k in range(4) for x, w in zip(*nodes, strict=True)]
        total = sum(w * (E := expm(A * t) @ B) @ E.T for t, w in points)
    for _ in range(30):
        total, F = total + F @ total @ F.T, F @ F
    return total


either = pytest.mark.parametrize("flow", [True, False])


class TestGains:
    @either
    @pytest.mark.parametrize("rule", RULES)
    def test_gramians_and_what_follows(self, rule, flow):
        gains = small(rule, flow)
        reach, sight = summed(gains, gains.A, gains.B), summed(gains, gains.A.T, gains.C.T)
        assert gains.controllability_gramian == pytest.approx(reach, abs=1e-9 * np.abs(reach).max())
        assert gains.observability_gramian == pytest.approx(sight, abs=1e-9 * np.abs(sight).max())
        assert gains.h2_norm**2 == pytest.approx(np.trace(gains.B.T @ sight @ gains.B), rel=1e-9)
        hankel = np.sort(np.sqrt(np.abs(np.linalg.eigvals(reach @ sight))))[::-1]
        assert gains.hankel_singular_values == pytest.approx(hankel, abs=1e-6 * hankel[0])

    @either
    @pytest.mark.parametrize("rule", RULES)
    def test_python_control_says_the_same(self, rule, flow):
        built = system(rule, n_parameters=4, graph="path")[0]
        plant, gains = to_control(built, not flow, minimal=True), small(rule, flow)
        assert gains.h2_norm == pytest.approx(ct.system_norm(plant, 2), rel=1e-8)
        assert np.sort_complex(gains.poles) == pytest.approx(np.sort_complex(plant.poles()), abs=1e-9)

    @either
    @pytest.mark.parametrize("seed", range(20))
    def test_the_largest_gain(self, seed, flow):
        """No frequency of a sweep, which is dense around every pole, exceeds it, and one attains it."""
        gains = random_gains(seed, flow)
        swept = sweep(gains)
        assert gains.hinf_norm >= swept.max() * (1 - 1e-12)
        assert gains.hinf_norm == pytest.approx(swept.max(), rel=1e-3)

    def test_the_largest_gain_of_a_symmetric_flow_is_at_rest(self):
        gains = small("dgd", True)
        assert gains.hinf_norm == pytest.approx(
            np.linalg.norm(gains.C @ np.linalg.solve(gains.A, gains.B), 2), rel=1e-8
        )

    def test_a_resonance(self):
        """ω² / (s² + 2 ζ ω s + ω²) peaks at 1 / (2 ζ √(1 − ζ²))."""
        for damping in (0.3, 1e-2, 1e-4):
            A = np.array([[0.0, 1.0], [-25.0, -10.0 * damping]])
            gains = Gains(A, np.array([[0.0], [25.0]]), np.array([[1.0, 0.0]]), flow=True)
            assert gains.hinf_norm == pytest.approx(1 / (2 * damping * (1 - damping**2) ** 0.5), rel=1e-8)

    def test_zeros(self):
        """(s − 3)(s + 5) / ((s + 1)(s + 2)(s + 4)), and nothing for a system that is not square."""
        plant = ct.tf2ss([1, 2, -15], [1, 7, 14, 8])
        gains = Gains(plant.A, plant.B, plant.C, flow=True)
        assert np.sort(gains.zeros.real) == pytest.approx([-5, 3])
        assert np.abs(gains.zeros.imag).max() < 1e-9
        assert Gains(plant.A, np.eye(3), plant.C, flow=True).zeros.size == 0

    @pytest.mark.parametrize("ask", ["h2_norm", "hinf_norm", "hankel_singular_values", "observability_gramian"])
    def test_an_unstable_system_has_none(self, ask):
        gains = matrices(system(step=3.0)[0]).minimal.gains()
        with pytest.raises(InputError, match="gains: expected a spectral radius below 1, found"):
            getattr(gains, ask)
        assert gains.poles.size


def random_gains(seed, flow):
    """Up to six states, poles as near as 1e-3 to the boundary."""
    rng = np.random.default_rng(seed)
    N, m, k = rng.integers(1, 7, 3)
    A, margin = rng.normal(size=(N, N)), 10 ** rng.uniform(-3, -0.1)
    if flow:
        A = A - (np.linalg.eigvals(A).real.max() + margin) * np.eye(N)
    else:
        A = A * (1 - margin) / np.abs(np.linalg.eigvals(A)).max() - np.eye(N)
    return Gains(A, rng.normal(size=(N, m)), rng.normal(size=(k, N)), flow)


def sweep(gains):
    """The gain over a grid of frequencies that is fine near every pole."""
    poles = gains.poles if gains.flow else np.log(gains.poles.astype(complex))
    spread = np.concatenate([[0.0], np.geomspace(1e-6, 3, 400)])
    near = np.abs(poles.imag)[:, None] + np.abs(poles.real)[:, None] * np.concatenate([-spread, spread])
    w = np.concatenate([near.ravel(), np.linspace(0, np.pi, 2000), np.geomspace(1e-6, 1e3, 500)])
    s = 1j * w if gains.flow else np.exp(1j * w) - 1
    N = len(gains.A)
    moved = np.linalg.solve(s[:, None, None] * np.eye(N) - gains.A, np.broadcast_to(gains.B, (len(s), *gains.B.shape)))
    return np.linalg.norm(gains.C @ moved, 2, axis=(1, 2))


@pytest.mark.parametrize("dt", [0, True])
def test_the_map_of_poles_and_zeros(dt):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    built = system("diging", graph="path", n_parameters=2)[0]
    gains = minimal_matrices(built).gains(flow=not dt)
    ax = pole_zero_map(built, dt)
    boundary = ax.lines[0].get_xydata()
    assert np.hypot(*boundary.T) == pytest.approx(1) if dt else not boundary[:, 0].any()
    drawn = [line.get_xydata() for line in ax.lines if line.get_marker() in ("x", "o")]
    assert drawn[0] == pytest.approx(np.column_stack([gains.poles.real, gains.poles.imag]))
    assert pole_zero_map(built, dt, ax) is ax
    plt.close("all")
