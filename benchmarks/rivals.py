"""What a user of SciPy, python-control or NumPy would write from given Jacobians, as well as we could write it.

Every rival takes a `Question`, DGD with summed gradients, and gives the losses of all agents at its times: of the flow,
ẋ_q = Σ_r (W − I)_qr x_r − η J_qᵀ (e_q + J_q x_q), or, where it says so, of the iteration.  The product with A is
structured, W along the agents and J_q per agent; only the two dense rivals form A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

REACHED = 1e-10  # the relative error of a loss that every rival has to reach


@dataclass(frozen=True, eq=False)
class Question:
    """Jacobians J (Q, n, p) and residuals (Q, n) of agents with one output, W (Q, Q), η; evenly spaced times from 0."""

    J: np.ndarray
    residual: np.ndarray
    W: np.ndarray
    step: float
    times: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(Q, p)."""
        return self.J.shape[0], self.J.shape[2]

    @cached_property
    def turned(self) -> np.ndarray:
        """J_qᵀ, contiguous."""
        return np.ascontiguousarray(np.swapaxes(self.J, 1, 2))

    @cached_property
    def u(self) -> np.ndarray:
        """−η Jᵀ e, (Q, p)."""
        return -self.step * (self.turned @ self.residual[:, :, None])[:, :, 0]

    def A(self, x: np.ndarray) -> np.ndarray:
        """(W − I) x − η Jᵀ J x for x (Q, p) or columns of them, (Q, p, k)."""
        columns = x if x.ndim == 3 else x[:, :, None]
        mixed, curved = self.W @ x.reshape(len(x), -1), self.turned @ (self.J @ columns)
        return mixed.reshape(x.shape) - x - self.step * curved.reshape(x.shape)

    def losses(self, x: np.ndarray) -> np.ndarray:
        """‖e_q + J_q x_q‖² / 2n for x (T, Q, p), as (T, Q)."""
        r = self.residual[:, :, None] + self.J @ x.transpose(1, 2, 0)
        return (r**2).sum(1).T / (2 * self.J.shape[1])

    def matrix(self) -> np.ndarray:
        """A, (Q p, Q p)."""
        Q, p = self.shape
        A = np.kron(self.W - np.eye(Q), np.eye(p))
        for q in range(Q):
            own = slice(q * p, (q + 1) * p)
            A[own, own] -= self.step * self.turned[q] @ self.J[q]
        return A


def loop(question: Question) -> np.ndarray:
    """The iteration x⁺ = x + A x + u, step by step."""
    x, wanted, states = np.zeros(question.shape), set(question.times.tolist()), []
    for k in range(int(question.times[-1]) + 1):
        if k in wanted:
            states.append(x)
        x = x + question.A(x) + question.u
    return question.losses(np.stack(states))


def exponential_action(question: Question) -> np.ndarray:
    """The flow by scipy.sparse.linalg.expm_multiply on [[A, u], [0, 0]], applied and never formed."""
    from scipy.sparse.linalg import LinearOperator, expm_multiply

    (Q, p), u, N, times = question.shape, question.u.ravel(), question.u.size, question.times

    def moved(z: np.ndarray) -> np.ndarray:
        return question.A(z[:N].reshape(Q, p, -1)).reshape(z[:N].shape)

    def forward(z: np.ndarray) -> np.ndarray:  # of one column or several, as the norm estimates ask for
        return np.concatenate([moved(z) + np.multiply.outer(u, z[N]), 0.0 * z[:1]])

    def adjoint(z: np.ndarray) -> np.ndarray:  # A is symmetric
        return np.concatenate([moved(z), (u @ z[:N])[None]])

    trace = (np.trace(question.W) - Q) * p - question.step * (question.J**2).sum()
    products = {"matvec": forward, "rmatvec": adjoint, "matmat": forward, "rmatmat": adjoint}
    augmented = LinearOperator((N + 1, N + 1), dtype=float, **products)
    start = np.append(np.zeros(N), 1.0)
    states = expm_multiply(augmented, start, times[0], times[-1], times.size, endpoint=True, traceA=trace)
    return question.losses(states[:, :N].reshape(-1, Q, p))


def integrated(question: Question, method: str, tolerance: float) -> np.ndarray:
    """The flow by scipy.integrate.solve_ivp."""
    from scipy.integrate import solve_ivp

    shape, u = question.shape, question.u

    def right(_: float, x: np.ndarray) -> np.ndarray:
        return (question.A(x.reshape(shape)) + u).ravel()

    span, start = (question.times[0], question.times[-1]), np.zeros(u.size)
    found = solve_ivp(right, span, start, method, question.times, rtol=tolerance, atol=1e-3 * tolerance)
    return question.losses(found.y.T.reshape(-1, *shape))


def loosest(question: Question, method: str, exact: np.ndarray) -> float | None:
    """The loosest power of ten as tolerance with which `integrated` reaches the error, None where none does."""
    tolerances = [10.0**-k for k in range(8, 14)]
    return next((tol for tol in tolerances if gap(integrated(question, method, tol), exact) <= REACHED), None)


def forced_response(question: Question) -> np.ndarray:
    """The flow by control.forced_response on the dense system."""
    import control

    A, times = question.matrix(), question.times
    system = control.ss(A, question.u.reshape(-1, 1), np.zeros((1, A.shape[0])), 0)
    states = control.forced_response(system, times, np.ones((1, times.size)), return_states=True).states
    return question.losses(states.T.reshape(-1, *question.shape))


def dense_exponential(question: Question) -> np.ndarray:
    """The flow by one scipy.linalg.expm of [[A, u], [0, 0]] times the spacing, then a product a time."""
    from scipy.linalg import expm

    N, times = question.u.size, question.times
    generator = np.zeros((N + 1, N + 1))
    generator[:N, :N], generator[:N, N] = question.matrix(), question.u.ravel()
    E, state, states = expm(generator * (times[1] - times[0])), np.append(np.zeros(N), 1.0), []
    for _ in times:
        states.append(state[:N])
        state = E @ state
    return question.losses(np.stack(states).reshape(-1, *question.shape))


def torch_training(design: Any, steps: int) -> np.ndarray:
    """The training of the figure's network in PyTorch, all agents batched, gradients by autograd; losses (T, Q)."""
    import torch

    x, y, W = (torch.from_numpy(np.ascontiguousarray(a)) for a in (design.data.x, design.data.y, design.W))
    theta = torch.from_numpy(np.tile(design.theta0, (8, 1))).requires_grad_()
    H, gain, std, losses = 256, 1 / 2**0.5, 0.1, np.empty((steps + 1, 8))
    for k in range(steps + 1):
        w1, b1, w2, b2 = torch.split(theta, [2 * H, H, H, 1], dim=1)
        z = torch.sigmoid(torch.baddbmm(std * b1[:, None, :], x, w1.reshape(8, 2, H), alpha=gain))
        squares = ((z @ w2[:, :, None] / 16 + std * b2[:, None, :] - y) ** 2).sum((1, 2))
        losses[k] = squares.detach().numpy() / 400
        (gradient,) = torch.autograd.grad(squares.sum() / 2, theta)
        with torch.no_grad():
            theta = (W @ theta - design.step_size * gradient).requires_grad_()
    return losses


def gap(losses: np.ndarray, exact: np.ndarray) -> float:
    """The largest relative error of a loss."""
    return float(np.abs(losses / exact - 1).max())
