"""Every algorithm of the catalogue as its agents run it: one agent at a time, sums over neighbours written out.

Nothing here uses ntkflow, and each loop has the form in which its paper prints it, two-step recursions and special
first steps included, which is not the form in which the catalogue states it.

A loop yields the agents' parameters after 0, 1, 2, ... updates, a list with one vector an agent, for ever.
``W[q][j]`` is the weight that agent q gives to agent j, ``g(q, x_q)`` the gradient of agent q's own loss, ``a`` the
step size.
"""

from itertools import islice

import numpy as np


def run(name, W, start, g, a, steps, **parameters):
    """The parameters after 0 ... ``steps`` updates, (steps + 1, Q, P)."""
    return np.array(list(islice(LOOPS[name](W, list(start), g, a, **parameters), steps + 1)))


def mixed(W, q, x):
    """sum_j w_qj x_j."""
    return sum(W[q][j] * x[j] for j in range(len(x)))


def half_mixed(W, q, x):
    """The same for (I + W)/2."""
    return x[q] / 2 + mixed(W, q, x) / 2


def mean(x):
    return sum(x) / len(x)


# ------------------------------------------------------------------------------------------- one server


def gd(W, x, g, a):
    """One machine steps along the mean gradient; it begins where the agents' first steps lead on average."""
    agents = range(len(x))
    yield x
    z = mean(x) - a * mean([g(q, x[q]) for q in agents])
    while True:
        yield [z for _ in agents]
        z = z - a * mean([g(q, z) for q in agents])


def fedavg(W, x, g, a, local_steps):
    """Every agent takes its local steps, the server averages and sends back (1602.05629, Algorithm 1, equal shares)."""
    while True:
        yield x
        walked = []
        for q, here in enumerate(x):
            for _ in range(local_steps):
                here = here - a * g(q, here)
            walked.append(here)
        x = [mean(walked) for _ in x]


# ------------------------------------------------------------------------------------------- gradient and mixing


def dgd(W, x, g, a):
    """x_q <- sum_j w_qj x_j - a g_q(x_q)   (2409.15267, eq. 4)."""
    while True:
        yield x
        x = [mixed(W, q, x) - a * g(q, x[q]) for q in range(len(x))]


def atc(W, x, g, a):
    """Adapt: p_q = x_q - a g_q(x_q); then combine: x_q <- sum_j w_qj p_j   (2409.15267, eq. 5)."""
    while True:
        yield x
        p = [x[q] - a * g(q, x[q]) for q in range(len(x))]
        x = [mixed(W, q, p) for q in range(len(x))]


def cta(W, x, g, a):
    """Combine: p_q = sum_j w_qj x_j; then adapt: x_q <- p_q - a g_q(p_q)   (2409.15267, eq. 6)."""
    while True:
        yield x
        p = [mixed(W, q, x) for q in range(len(x))]
        x = [p[q] - a * g(q, p[q]) for q in range(len(x))]


def cdsgd(W, x, g, a):
    """Ask the neighbours, average what they say, subtract one's own gradient   (1706.07880, Algorithm 1)."""
    while True:
        yield x
        average = [mixed(W, q, x) for q in range(len(x))]
        x = [average[q] - a * g(q, x[q]) for q in range(len(x))]


def icdsgd(W, x, g, a, consensus_steps):
    """The same after several rounds of averaging; the gradient stays the one before them   (1805.12120)."""
    while True:
        yield x
        average = x
        for _ in range(consensus_steps):
            average = [mixed(W, q, average) for q in range(len(x))]
        x = [average[q] - a * g(q, x[q]) for q in range(len(x))]


# ------------------------------------------------------------------------------------------- momentum


def cdmsgd(W, x, g, a, momentum):
    """Heavy ball: v_q <- mu v_q - a g_q(x_q); x_q <- sum_j w_qj x_j + v_q, the new v_q   (1706.07880, CDMSGD)."""
    v = [0 * x_q for x_q in x]
    while True:
        yield x
        v = [momentum * v[q] - a * g(q, x[q]) for q in range(len(x))]
        x = [mixed(W, q, x) + v[q] for q in range(len(x))]


def cdmsgd_nesterov(W, x, g, a, momentum):
    """Nesterov: the same, the gradient taken where the old velocity alone would lead, at x_q + mu v_q."""
    v = [0 * x_q for x_q in x]
    while True:
        yield x
        v = [momentum * v[q] - a * g(q, x[q] + momentum * v[q]) for q in range(len(x))]
        x = [mixed(W, q, x) + v[q] for q in range(len(x))]


def cdmsgd_published(W, x, g, a, momentum):
    """As the authors' code: v_q <- mu v_q - a g_q(x_q); x_q <- sum_j w_qj x_j + mu v_q - a g_q(x_q), the new v_q."""
    v = [0 * x_q for x_q in x]
    while True:
        yield x
        slope = [g(q, x[q]) for q in range(len(x))]
        v = [momentum * v[q] - a * slope[q] for q in range(len(x))]
        x = [mixed(W, q, x) + momentum * v[q] - a * slope[q] for q in range(len(x))]


# ------------------------------------------------------------------------------------------- two-step recursions


def extra(W, x, g, a):
    """x^1 = W x^0 - a g(x^0), x^{k+2} = (I + W) x^{k+1} - (I + W)/2 x^k - a [g(x^{k+1}) - g(x^k)]   (1404.6264)."""
    agents = range(len(x))
    yield x
    old, x = x, [mixed(W, q, x) - a * g(q, x[q]) for q in agents]
    while True:
        yield x
        turn = [g(q, x[q]) - g(q, old[q]) for q in agents]
        old, x = x, [x[q] + mixed(W, q, x) - half_mixed(W, q, old) - a * turn[q] for q in agents]


def exact_diffusion(W, x, g, a):
    """Adapt psi, correct phi by what the last correction left, combine with (I + W)/2   (1702.05122, Algorithm 1)."""
    agents = range(len(x))
    psi = x
    while True:
        yield x
        adapted = [x[q] - a * g(q, x[q]) for q in agents]
        phi = [adapted[q] + x[q] - psi[q] for q in agents]
        psi = adapted
        x = [half_mixed(W, q, phi) for q in agents]


def d2(W, x, g, a):
    """x^1 = W (x^0 - a g(x^0)), x^{k+1} = W (2 x^k - x^{k-1} - a g(x^k) + a g(x^{k-1}))   (1803.07068, Algorithm 1)."""
    agents = range(len(x))
    yield x
    half = [x[q] - a * g(q, x[q]) for q in agents]
    old, x = x, [mixed(W, q, half) for q in agents]
    while True:
        yield x
        half = [2 * x[q] - old[q] - a * g(q, x[q]) + a * g(q, old[q]) for q in agents]
        old, x = x, [mixed(W, q, half) for q in agents]


def nids(W, x, g, a):
    """x^1 = x^0 - a g(x^0), x^{k+2} = (I + W)/2 (2 x^{k+1} - x^k - a g(x^{k+1}) + a g(x^k))   (1704.07807)."""
    agents = range(len(x))
    yield x
    old, x = x, [x[q] - a * g(q, x[q]) for q in agents]
    while True:
        yield x
        half = [2 * x[q] - old[q] - a * g(q, x[q]) + a * g(q, old[q]) for q in agents]
        old, x = x, [half_mixed(W, q, half) for q in agents]


# ------------------------------------------------------------------------------------------- gradient tracking


def diging(W, x, g, a):
    """x_q+ = sum_j w_qj x_j - a y_q; y_q+ = sum_j w_qj y_j + g_q(x_q+) - g_q(x_q)   (1607.03218, Algorithm 1)."""
    agents = range(len(x))
    y = [g(q, x[q]) for q in agents]
    while True:
        yield x
        new = [mixed(W, q, x) - a * y[q] for q in agents]
        y = [mixed(W, q, y) + g(q, new[q]) - g(q, x[q]) for q in agents]
        x = new


def aug_dgm(W, x, g, a):
    """x_q+ = sum_j w_qj (x_j - a y_j); y_q+ = sum_j w_qj (y_j + g_j(x_j+) - g_j(x_j))   (Xu et al., CDC 2015)."""
    agents = range(len(x))
    y = [g(q, x[q]) for q in agents]
    while True:
        yield x
        step = [x[q] - a * y[q] for q in agents]
        new = [mixed(W, q, step) for q in agents]
        told = [y[q] + g(q, new[q]) - g(q, x[q]) for q in agents]
        y = [mixed(W, q, told) for q in agents]
        x = new


def atc_tracking(W, x, g, a):
    """x_q+ = sum_j w_qj (x_j - a y_j); y_q+ = sum_j w_qj y_j + g_q(x_q+) - g_q(x_q)   (the semi-ATC tracker)."""
    agents = range(len(x))
    y = [g(q, x[q]) for q in agents]
    while True:
        yield x
        step = [x[q] - a * y[q] for q in agents]
        new = [mixed(W, q, step) for q in agents]
        y = [mixed(W, q, y) + g(q, new[q]) - g(q, x[q]) for q in agents]
        x = new


LOOPS = {
    loop.__name__: loop
    for loop in (gd, fedavg, dgd, atc, cta, cdsgd, icdsgd, cdmsgd, cdmsgd_nesterov, cdmsgd_published,
                 extra, exact_diffusion, d2, nids, diging, aug_dgm, atc_tracking)
}  # fmt: skip
