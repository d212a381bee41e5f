"""How long it takes to derive the catalogue's linear systems, and to check every step of every derivation.

    python benchmarks/derivations.py     # some seconds

Each algorithm in a fresh process; the best of several runs in it, so that SymPy's caches are warm as they would
be in a session, and the first run beside it.
"""

from __future__ import annotations

import multiprocessing
import platform
import time
from pathlib import Path

import sympy

import ntkflow as nf

REPEATS = 5
RESULTS = Path(__file__).parent / "results"


def derive(name: str) -> tuple[str, float, float, float, int]:
    """Seconds of the first derivation, of a further one, of checking it, and the number of equations."""
    nf.algorithms.get(name)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        steps = nf.Derivation(name, normalization="global").steps
        derived = time.perf_counter()
        if not all(step.check() for step in steps):
            raise SystemExit(f"{name}: a step does not hold")
        times.append((derived - begun, time.perf_counter() - derived))
    equations = sum(len(step.equations) for step in steps)
    return name, times[0][0], min(t for t, _ in times), min(t for _, t in times), equations


def main() -> None:
    """Derive everything and write the table."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        rows = pool.map(derive, nf.algorithms.names(), chunksize=1)
    total = ["**all**", *(sum(row[i] for row in rows) for i in (1, 2, 3)), sum(row[4] for row in rows)]
    lines = [
        "# Deriving the catalogue", "",
        f"{platform.machine()}, Python {platform.python_version()}, SymPy {sympy.__version__}; "
        "by `python benchmarks/derivations.py`. Milliseconds, one core.", "",
        "| algorithm | derive, first time | derive again | check all steps | equations |", "|---|---:|---:|---:|---:|",
        *(f"| {name} | {1e3 * a:.1f} | {1e3 * b:.1f} | {1e3 * c:.0f} | {n} |" for name, a, b, c, n in [*rows, total]),
        "",
    ]  # fmt: skip
    (RESULTS / "derivations.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
