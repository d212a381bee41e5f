"""A rule is data: what every block becomes, where it starts, and which numbers it needs."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from ..errors import RuleError, nearest, refuse, require, require_number
from ..notation import LONG_NAMES, H, W, eta, g0, theta, theta0
from ._affine import Affine, Operator, add, affine, compose
from ._program import Program, compile_program

RESERVED = (W, H, g0, theta0, eta)
Expressions = Mapping[sympy.Symbol, Any]


@dataclass(frozen=True, eq=False)
class Rule:
    r"""An update rule s⁺ = U(s), written as expressions.

    Every block of the state has an array of shape (Q, P), one row an agent.  Right-hand sides read
    old values; they may be any expression that is linear in the blocks and in ``gradient(...)``,
    with polynomials in ``W`` and scalars to the left.

    Parameters
    ----------
    name : str
        What results call the rule.
    update : dict
        ``{block: next value}``; ``theta`` must be among the blocks.
    start : dict
        ``{block: first value}`` of auxiliary blocks, in terms of ``theta0`` and ``gradient(theta0)``;
        a block that is left out starts at zero, ``theta`` at the agents' parameters.
    lets : dict
        Named intermediates, evaluated once, in the order given.
    parameters : dict
        ``{scalar symbol: default}``; the default None makes it compulsory.
    synonyms, source : tuple of str, str
        Other names of the rule, and where it is published.

    Raises
    ------
    RuleError
        When an expression is not linear, or uses a symbol that nothing declares; the message shows
        the term.

    Notes
    -----
    The flow of a rule is the Euler reading of its iteration, ṡ = U(s) − s, with time in iterations
    (arXiv 2409.15267, Sec. III).

    Examples
    --------
    >>> import ntkflow as nf
    >>> from ntkflow.notation import W, eta, gradient, mu, theta, v
    >>> step = mu * v - eta * gradient(theta)
    >>> rule = nf.Rule("mine", update={theta: W * theta + step, v: step}, parameters={mu: 0.9})
    >>> rule.blocks
    (theta, v)
    """

    name: str
    update: Expressions
    start: Expressions = field(default_factory=dict)
    lets: Expressions = field(default_factory=dict)
    parameters: Mapping[sympy.Symbol, float | None] = field(default_factory=dict)
    synonyms: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        require(isinstance(self.name, str) and bool(self.name), "name", "a text", repr(self.name), error=RuleError)
        for part in ("update", "start", "lets"):
            object.__setattr__(self, part, _expressions(part, getattr(self, part)))
        object.__setattr__(self, "parameters", _defaults(self.parameters))
        self._check_names()
        _ = self.words, self.start_words  # a rule that cannot be linearised is refused here, not later

    @property
    def blocks(self) -> tuple[sympy.Symbol, ...]:
        """The blocks of the state; ``theta`` comes first."""
        return (theta, *(b for b in self.update if b != theta))

    @property
    def uses_graph(self) -> bool:
        """Whether W appears at all."""
        return any(W in expr.free_symbols for part in (self.update, self.start, self.lets) for expr in part.values())

    @cached_property
    def words(self) -> dict[sympy.Symbol, Affine]:
        """The linearised update: {block: {source: {word in W and H: coefficient}}}."""
        known: dict[sympy.Symbol, Affine] = {b: {b: {(): sympy.S.One}} for b in self.blocks}
        for name, expr in self.lets.items():
            known[name] = self._checked(expr, known)
        return {b: self._checked(self.update[b], known) for b in self.blocks}

    @cached_property
    def start_words(self) -> dict[sympy.Symbol, Affine]:
        """The linearised start: {block: {theta0 or g0: {word: coefficient}}}."""
        known: dict[sympy.Symbol, Affine] = {theta0: {theta0: {(): sympy.S.One}}}
        return {b: self._checked(self.start_of(b), known) for b in self.blocks}

    @cached_property
    def moves_consensus(self) -> bool:
        """Whether a common shift of all agents' parameters does more than shift the trajectory.

        Weight decay does, for example.  Where it does not, only differences between the agents'
        parameters matter, never the parameters themselves.
        """
        unit: dict[sympy.Symbol, Operator] = {theta0: {(): sympy.S.One}}
        shift = unit | {b: _of_consensus(self.start_words[b], unit) for b in self.blocks}
        return any(_of_consensus(self.words[b], shift) != shift[b] for b in self.blocks)

    def start_of(self, block: sympy.Symbol) -> sympy.Expr:
        """The expression of a block's first value."""
        return theta0 if block == theta else self.start.get(block, sympy.S.Zero)

    @property
    def parameter_names(self) -> dict[str, sympy.Symbol]:
        """Every name by which a parameter may be passed: short ("mu") and long ("momentum")."""
        short = {str(symbol): symbol for symbol in self.parameters}
        return short | {long: short[letter] for long, letter in LONG_NAMES.items() if letter in short}

    def numbers(self, step_size: float, given: Mapping[str, Any]) -> dict[sympy.Symbol, float]:
        """Every scalar symbol's number: the step size, the parameters given by name, the defaults."""
        by_name = self.parameter_names
        numbers = dict(self.parameters)
        twice = [long for long, short in LONG_NAMES.items() if long in given and short in given]
        require(not twice, f"rule {self.name!r}", "one value a parameter", f"{twice} by two names")
        for name, value in given.items():
            if name not in by_name:
                hint = nearest(name, by_name) if by_name else f"rule {self.name!r} has none"
                refuse(f"parameter {name!r} of rule {self.name!r}", "a known parameter", "an unknown one", hint)
            numbers[by_name[name]] = require_number(name, value)
        missing = [str(symbol) for symbol, value in numbers.items() if value is None]
        require(not missing, f"rule {self.name!r}", "a value for " + ", ".join(missing), "none", "pass it by name")
        return {eta: step_size, **numbers}

    def bind(self, numbers: Mapping[sympy.Symbol, float]) -> Program:
        """The rule as a program, every scalar bound to its number."""
        ordered = {b: self.update[b] for b in self.blocks}
        return compile_program(ordered, {b: self.start_of(b) for b in self.blocks}, self.lets, numbers)

    def _checked(self, expr: sympy.Expr, known: Mapping[sympy.Symbol, Affine]) -> Affine:
        form = add(affine(expr, known))
        loose = {s for op in form.values() for c in op.values() for s in c.free_symbols} - {eta, *self.parameters}
        if loose:
            names = ", ".join(sorted(map(str, loose)))
            raise RuleError(
                f"{expr}: unknown symbol {names}; declare it in parameters, e.g. parameters={{{names}: 0.5}}"
            )
        for coefficient in (c for op in form.values() for c in op.values()):
            if coefficient.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
                raise RuleError(f"{expr}: the coefficient {coefficient} is not a finite real number")
        return form

    def _check_names(self) -> None:
        require(theta in self.update, "update", "an entry for theta", _names(self.update), error=RuleError)
        require(theta not in self.start, "start", "auxiliary blocks only", "theta", "theta starts at theta0", RuleError)
        stray = [b for b in self.start if b not in self.update]
        require(not stray, "start", "blocks that update has", _names(stray), error=RuleError)
        declared = [*self.update, *self.lets, *self.parameters]
        reserved = {str(s) for s in RESERVED}
        taken = [s for s in declared if str(s) in reserved or (str(s) == str(theta) and s != theta)]
        require(not taken, "symbols", "names of your own", _names(taken), "that letter has its meaning", RuleError)
        both = [s for i, s in enumerate(declared) if str(s) in map(str, declared[:i])]
        require(not both, "symbols", "each name once among blocks, lets and parameters", _names(both), error=RuleError)
        wrong = [s for s in (*self.update, *self.lets) if s.is_commutative]
        require(not wrong, "blocks and lets", "non-commutative symbols", _names(wrong),
                "take them from ntkflow.notation or sympy.Symbol(name, commutative=False)", RuleError)  # fmt: skip
        loose = [s for s in self.parameters if not s.is_commutative]
        require(not loose, "parameters", "commutative symbols", _names(loose), error=RuleError)


def _symbols(part: str, given: Any) -> dict[sympy.Symbol, Any]:
    require(isinstance(given, Mapping), part, "a dictionary", type(given).__name__, error=RuleError)
    wrong = [key for key in given if not isinstance(key, sympy.Symbol)]
    require(not wrong, part, "sympy symbols as keys", repr(wrong[:1]), "take them from ntkflow.notation", RuleError)
    return dict(given)


def _defaults(given: Any) -> dict[sympy.Symbol, float | None]:
    """Defaults as plain numbers; None stays None."""
    plain = {
        symbol: float(v) if isinstance(v, sympy.Number) else v for symbol, v in _symbols("parameters", given).items()
    }
    return {s: v if v is None else require_number(f"parameters[{s}]", v) for s, v in plain.items()}


def _expressions(part: str, given: Any) -> dict[sympy.Symbol, sympy.Expr]:
    return {symbol: _expression(f"{part}[{symbol}]", value) for symbol, value in _symbols(part, given).items()}


def _expression(name: str, value: Any) -> sympy.Expr:
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return sympy.sympify(value)  # a number, never text
    require(isinstance(value, sympy.Expr), name, "a sympy expression", " ".join(repr(value).split())[:60],
            "write it with the symbols of ntkflow.notation", RuleError)  # fmt: skip
    return value


def _names(symbols: Any) -> str:
    return ", ".join(map(str, symbols)) or "none"


def _of_consensus(form: Affine, shift: Mapping[sympy.Symbol, Operator]) -> Operator:
    """What a form makes of a common shift 1 ⊗ v of its sources; W 1 = 1 strips a trailing W."""
    moved = add(*({theta0: compose(op, shift[source])} for source, op in form.items() if source in shift))
    total: Operator = {}
    for word, coefficient in moved.get(theta0, {}).items():
        while word and word[-1] == "W":
            word = word[:-1]
        total[word] = sympy.expand(total.get(word, sympy.S.Zero) + coefficient)
    return {word: c for word, c in total.items() if c != 0}


__all__ = ["Rule"]
