r"""Expressions as LaTeX in the paper's notation, and as text that a rule can be read back from.

SymPy's own printers put a fraction's numerator among the operators, order sums alphabetically and leave the
identity a bare 1; these do not.  In a sum what mixes comes first, what subtracts comes after, and every further
factor of Ψ moves a term to the right, so that the state matrix reads 𝓦 − I − αΨ.

>>> from ntkflow.notation import W, eta, gradient, theta
>>> print(text(W * (theta - eta * gradient(theta))))
W*(theta - eta*grad(theta))
>>> print(latex(W * theta - eta * gradient(theta)))
\mathcal{W} \vartheta - \eta \, g(\vartheta)
>>> print(latex(W - 1, operator=True))
\mathcal{W} - I
"""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE, precedence
from sympy.printing.str import StrPrinter

from .notation import H, gradient

__all__ = ["broken", "indexed", "latex", "ordered", "text", "width"]

LATEX = {  # of the alphabet's letters, where SymPy would print another one
    "W": r"\mathcal{W}", "average": r"\overline{\mathcal{W}}", "H": r"\Psi", "theta": r"\vartheta",
    "theta0": r"\vartheta_0", "g0": "g_0", "x_next": r"\hat{\vartheta}", "lambda": r"\lambda",
}  # fmt: skip


def latex(expr: Any, operator: bool = False) -> str:
    r"""LaTeX of an expression or matrix in the notation of arXiv 2409.15267.

    Parameters
    ----------
    expr : sympy expression or matrix
        In the symbols of `ntkflow.notation`; further symbols print as SymPy prints them.
    operator : bool
        Whether it stands for an operator, so that a number is that multiple of I.
    """
    return _Latex(operator).doprint(expr)


def text(expr: Any, operator: bool = False) -> str:
    """One line of text, in the language that `Rule.parse` reads; ``operator`` as in `latex`."""
    return _Text(operator).doprint(expr)


def broken(expr: Any, limit: int, operator: bool = False) -> list[str]:
    """The LaTeX of a sum in lines of at most about ``limit`` glyphs, broken before plus and minus signs."""
    printer = _Latex(operator)
    first, *others = _fitting(printer, expr, limit)
    lines = [printer.doprint(first)]
    for term in others:
        piece = printer.signed(term)
        if width(lines[-1]) + width(piece) > limit:
            lines.append(piece.strip())
        else:
            lines[-1] += piece
    return lines


def _fitting(printer: _Latex, expr: sympy.Expr, limit: int) -> list[sympy.Expr]:
    """The expression as terms that fit on a line, as far as multiplying out gets."""
    terms = ordered(_opened(expr)) if width(printer.doprint(expr)) > limit else [expr]
    return [fit for term in terms for fit in _fitting(printer, term, limit)] if len(terms) > 1 else [expr]


def indexed(letter: str, index: str) -> str:
    r"""A letter's LaTeX with an index more, for which a subscript that it has makes room.

    >>> indexed("v", "0"), indexed("v_{1}", "0"), indexed("u_x", "2")
    ('v_0', 'v_{1,0}', 'u_{x,2}')
    """
    inside = re.fullmatch(r"(.*)_(?:\{(.*)\}|(.))", letter)
    short = index if len(index) == 1 else f"{{{index}}}"
    return rf"{inside[1]}_{{{inside[2] or inside[3]},{index}}}" if inside else f"{letter}_{short}"


def width(source: str) -> int:
    """About how many glyphs wide LaTeX prints: of a fraction the longer part, and room around signs."""
    plain = re.sub(r"\\(left|right|mathcal|mathbf|overline|hat|top|dot)\b|\\,", "", source)
    plain = re.sub(r"\\(?!frac)[a-zA-Z]+", "x", plain)
    plain = re.sub(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{((?:[^{}]|\{[^{}]*\})*)\}", _longer, plain)
    return len(re.sub(r"[{}^_ ]", "", plain)) + 2 * len(re.findall(r" [-+=] ", plain))


def _longer(fraction: re.Match[str]) -> str:
    return max(fraction.groups(), key=width)


def _opened(expr: sympy.Expr) -> sympy.Expr:
    """A product with its longest sum multiplied out, so that it can be broken; a sum as it is."""
    if not expr.is_Mul:
        return expr
    sums = [factor for factor in expr.args if factor.is_Add and not factor.is_commutative]
    if not sums:
        return expr
    place = expr.args.index(max(sums, key=lambda factor: len(factor.args)))
    left, right = expr.args[:place], expr.args[place + 1 :]
    return sympy.Add(*(sympy.Mul(*left, term, *right) for term in expr.args[place].args))


def ordered(expr: sympy.Expr) -> list[sympy.Expr]:
    """The terms of a sum, in the order in which they are written."""
    return sorted(sympy.Add.make_args(expr), key=_place)


def _place(term: sympy.Expr) -> tuple[Any, ...]:
    """Curvature, then sign, then how many operators: the longer word first."""
    word = term.args_cnc()[1]
    curved = sum(_curvature(factor) for factor in word)
    return curved, _negative(term), -len(word), tuple(map(str, word)), str(term)


def _negative(term: sympy.Expr) -> bool:
    """Whether a minus sign is taken out of a term: one of its number, never one out of a sum."""
    return bool(term.as_coeff_Mul()[0].is_negative)


def _curvature(expr: sympy.Expr) -> float:
    """How far to the right a factor moves its term: by how often the network enters."""
    if expr.is_Add:
        return min(map(_curvature, expr.args))
    if expr.is_Mul:
        return sum(map(_curvature, expr.args))
    if isinstance(expr, sympy.Sum | sympy.Integral):
        return 1.0  # the part that the input drives comes behind the part that the start does
    base, power = expr.as_base_exp()
    weight = 1.0 if isinstance(base, gradient) or base == H else getattr(base, "curvature", 0.0)
    return weight * (int(power) if power.is_Integer else 1)


class _Ordered:
    """What both printers share: the order of sums, and where a number means a multiple of I."""

    operator = False

    def doprint(self, expr: Any) -> str:
        """The whole expression."""
        return str(super().doprint(_with_identity(expr) if self.operator else expr))  # type: ignore[misc]

    def _print_Add(self, expr: sympy.Add, order: Any = None) -> str:
        if expr.is_commutative:
            return str(super()._print_Add(expr, order))  # type: ignore[misc]
        first, *rest = ordered(expr)
        return "".join([self._print(self._unit(first)), *map(self.signed, rest)])  # type: ignore[attr-defined]

    def signed(self, term: sympy.Expr) -> str:
        """A term that is not the first of its sum."""
        term = self._unit(term)
        return f" - {self.factor(-term)}" if _negative(term) else f" + {self._print(term)}"  # type: ignore[attr-defined]

    def _print_Mul(self, expr: sympy.Mul) -> str:
        scalars, operators = expr.args_cnc()
        if not operators:
            return str(super()._print_Mul(expr))  # type: ignore[misc]
        number = sympy.Mul(*scalars)
        if _negative(number):
            return f"-{self.factor(-expr)}"
        return self.product([*([] if number == 1 else [number]), *operators])

    @abstractmethod
    def factor(self, expr: sympy.Expr) -> str:
        """One factor of a product, or what follows a minus sign: sums in brackets."""

    @abstractmethod
    def product(self, factors: list[sympy.Expr]) -> str:
        """Factors side by side."""

    def _print_IdentityOperator(self, expr: Any) -> str:
        return "I"

    def _unit(self, term: sympy.Expr) -> sympy.Expr:
        """A term of a sum of operators."""
        return _with_identity(term)


class IdentityOperator(sympy.AtomicExpr):
    """The I that a printed sum of operators needs in place of 1; nothing is computed with it."""

    is_commutative = False


def _with_identity(expr: Any) -> Any:
    if isinstance(expr, sympy.MatrixBase):
        return expr.applyfunc(_with_identity)
    return expr * IdentityOperator() if expr.is_commutative and expr != 0 else expr


class _Latex(_Ordered, LatexPrinter):
    def __init__(self, operator: bool) -> None:
        super().__init__({"mat_delim": "", "mat_str": "bmatrix"})
        self.operator = operator

    def _print_Symbol(self, expr: sympy.Symbol, style: str = "plain") -> str:
        return LATEX.get(expr.name) or str(super()._print_Symbol(expr, style))

    def _print_Letter(self, expr: Any) -> str:
        return str(expr.tex)

    def _print_gradient(self, expr: Any, exp: Any = None) -> str:
        argument = self._print(expr.args[0])
        body = rf"\left({argument}\right)" if expr.args[0].is_Add else f"({argument})"
        return rf"\, g{body}"

    def product(self, factors: list[sympy.Expr]) -> str:
        return " ".join(map(self.factor, factors)).removeprefix(r"\, ")

    def factor(self, expr: sympy.Expr) -> str:
        return rf"\left({self._print(expr)}\right)" if expr.is_Add else self._print(expr)

    def _print_Pow(self, expr: sympy.Pow) -> str:
        base, power = expr.args
        if base.is_commutative:
            return str(super()._print_Pow(expr))
        printed = rf"\left({self._print(base)}\right)" if base.args else self._print(base)
        return f"{printed}^{{{self._print(power)}}}"


class _Text(_Ordered, StrPrinter):
    def __init__(self, operator: bool) -> None:
        super().__init__()
        self.operator = operator

    def _print_Letter(self, expr: Any) -> str:
        return str(expr.plain)

    def _unit(self, term: sympy.Expr) -> sympy.Expr:
        return _with_identity(term) if self.operator else term  # a rule is typed with a bare 1

    def _print_Pow(self, expr: sympy.Pow, rational: bool = False) -> str:
        base, power = expr.args
        if expr.is_commutative and power.is_Integer and power < -1:  # a rule's text has no negative powers
            return f"1/{self._print(base**-power)}"
        return str(super()._print_Pow(expr, rational))

    def _print_gradient(self, expr: Any) -> str:
        return f"grad({self._print(expr.args[0])})"

    def product(self, factors: list[sympy.Expr]) -> str:
        return "*".join(map(self.factor, factors))

    def factor(self, expr: sympy.Expr) -> str:
        return f"({self._print(expr)})" if precedence(expr) < PRECEDENCE["Mul"] else self._print(expr)
