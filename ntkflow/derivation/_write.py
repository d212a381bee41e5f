"""Steps as LaTeX in the paper's notation, and as text for a terminal."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import sympy

from ..printing import broken, indexed, latex, text, width
from ._agents import agent, of_agent
from ._steps import Equation, Step

LINE = 62  # glyphs that fit on a line of an A4 page beside the equation's number
BREAK = r" \\" + "\n"
NAMES = {  # of an equation's left side: LaTeX and text, with the block's letter put in for {}
    "next": ("{}", "{}'"), "let": ("{}", "{}"), "start": ("{}", "{}(0)"), "flow": (r"\dot{{{}}}", "d{}/dt"),
    "loss": (r"L(\vartheta)", "L(theta)"), "gradient": (r"g(\vartheta)", "g(theta)"),
    "outputs": (r"f(\vartheta)", "f(theta)"), "jacobian": (r"J(\vartheta)", "J(theta)"), "residual": ("e_0", "e0"),
    "hessian": (r"\Psi_0", "Psi"), "iterate": ("s_k", "s(k)"), "trajectory": ("s(t)", "s(t)"),
    **{letter: (letter, letter) for letter in ("M", "b", "A", "u", "u_x", "B", "C", "s", "s_0")},
}  # fmt: skip
PLAIN = {  # the LaTeX that reasons use, as text
    r"\mathcal{W}": "𝓦", r"\vartheta": "ϑ", r"\dot{s}": "ṡ", r"\dot{x}": "ẋ", r"\Psi": "Ψ", r"\otimes": "⊗",
    r"\mathbf{y}": "Y", "_0": "₀", "_x": "ₓ", "^{+}": "⁺", " - ": " − ", r"\,": "", "$": "",
}  # fmt: skip


def step_latex(step: Step, number: int, label: str) -> str:
    """A paragraph: title, reason, the equations with their labels, and what they were held against."""
    rows = [row for e in step.equations for row in _rows(e, f"eq:{_plain(label)}:{_plain(_tag(step, e))}")]
    return (
        f"\\paragraph{{{number}. {step.title}.}} {step.reason}{_agents(step) if step.name == 'rule' else ''}\n"
        f"\\begin{{align}}\n{BREAK.join(rows)}\n\\end{{align}}\n"
        f"\\checked{{{step.evidence}}}\n"
    )


def step_text(step: Step, number: int) -> str:
    """Title, reason, equations."""
    lines = [f"    {_left(e, 1)} {'~' if e.approximate else '='} {_right_text(e)}" for e in step.equations]
    reason = textwrap.wrap(f"{number}. {step.title}. {plain(step.reason)}", 100, subsequent_indent="   ")
    return "\n".join([*reason, *lines])


def plain(sentence: str) -> str:
    """A sentence with its LaTeX as text."""
    for source, letter in PLAIN.items():
        sentence = sentence.replace(source, letter)
    return sentence


def display(quantity: str, right: Any, operator: bool) -> str:
    r"""``left &= right`` of one quantity, on as many lines as it takes."""
    return BREAK.join(_rows(Equation(quantity, right, shape="PP" if operator else "P1")))


def _rows(equation: Equation, label: str = "") -> list[str]:
    """The rows of an equation inside ``align``; a matrix that is too wide is given entry by entry."""
    left, right = _left(equation), equation.right
    if not isinstance(right, sympy.MatrixBase):
        rows = _broken(left, equation, right)
    elif right.shape == (1, 1):
        rows = _broken(left, equation, right[0, 0])
    elif _matrix_width(equation) <= LINE:
        rows = [f"{left} &= {latex(right, equation.operator)}"]
    else:
        places = [(i, k) for i in range(right.rows) for k in range(right.cols) if right[i, k] != 0]
        names = [indexed(left, f"{i + 1}{k + 1 if right.cols > 1 else ''}") for i, k in places]
        rows = [row for n, (i, k) in zip(names, places, strict=True) for row in _broken(n, equation, right[i, k])]
    if not label:
        return rows
    return [*(rf"{row} \notag" for row in rows[:-1]), rf"{rows[-1]} \label{{{label}}}"]


def _broken(left: str, equation: Equation, right: Any) -> list[str]:
    first, *rest = broken(right, LINE, equation.operator)
    relation = r"\approx" if equation.approximate else "="
    return [f"{left} &{relation} {first}", *(rf"&\quad {line}" for line in rest)]


def _left(equation: Equation, kind: int = 0) -> str:
    if equation.block is None:
        return NAMES[equation.quantity][kind]
    letter = (latex, text)[kind](equation.block)
    if kind == 0:
        letter = {"start": indexed(letter, "0"), "next": _next(letter)}.get(equation.quantity, letter)
    return NAMES[equation.quantity][kind].format(letter)


def _next(letter: str) -> str:
    """A letter's new value; two superscripts in a row would be an error."""
    return f"{{{letter}}}^{{+}}" if "^" in letter else f"{letter}^{{+}}"


def _right_text(equation: Equation) -> str:
    right = equation.right
    if not isinstance(right, sympy.MatrixBase):
        return text(right, equation.operator)
    rows = [", ".join(text(entry, equation.operator) for entry in right.row(i)) for i in range(right.rows)]
    return rows[0] if right.shape == (1, 1) else f"[{'; '.join(rows)}]"


def _matrix_width(equation: Equation) -> int:
    right = equation.right
    widest = (max(width(latex(entry, equation.operator)) for entry in right.col(k)) for k in range(right.cols))
    return sum(widest) + 3 * right.cols


def _tag(step: Step, equation: Equation) -> str:
    several = len(step.equations) > 1
    return f"{step.name}:{equation.block or equation.quantity}" if several else step.name


def _plain(name: str) -> str:
    """A name as it can stand in a label."""
    return re.sub("[^A-Za-z0-9_:.-]+", "-", name)


def _agents(step: Step) -> str:
    """What agent q computes, as a display without a number."""
    lefts = [_next(of_agent(e.block)) if e.quantity == "next" else of_agent(e.block) for e in step.equations]
    rows = BREAK.join(f"{left} &= {agent(e.right)}" for left, e in zip(lefts, step.equations, strict=True))
    return f" Agent $q$ computes\n\\begin{{align*}}\n{rows}\n\\end{{align*}}\nand all agents together"
