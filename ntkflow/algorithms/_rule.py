"""A rule is data: what every block becomes, where it starts, and which numbers it needs."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import sympy

from ..errors import RuleError, nearest, refuse, require, require_number
from ..notation import LONG_NAMES, H, W, average, eta, g0, theta, theta0
from ._affine import Affine, Operator, add, affine, of_consensus
from ._claims import Claim
from ._increments import Increments, increments
from ._program import Compiled, Program

RESERVED = (W, average, H, g0, theta0, eta)
MOST = 100  # consensus or local steps in one update
Expressions = Mapping[sympy.Symbol, Any]


@dataclass(frozen=True, eq=False)
class Rule:
    r"""An update rule s⁺ = U(s), written as expressions.

    Every block of the state has an array of shape (Q, P), one row an agent.  Right-hand sides read
    old values; they may be any expression that is linear in the blocks and in ``gradient(...)``,
    with polynomials in ``W`` and ``average`` and scalars to the left.

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
    claims : tuple of Claim
        What is known about it.
    counts, family : dict, callable
        Whole numbers that shape the rule, and the function that writes the rule for them; see `counted`.

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
    claims: tuple[Claim, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    family: Callable[..., Rule] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        found = repr(self.name)[:60]
        require(isinstance(self.name, str) and bool(self.name.strip()), "name", "a text", found, error=RuleError)
        require(self.name.isprintable(), "name", "one line of printable characters", found, error=RuleError)
        _check_mapping("counts", self.counts)
        for part in ("update", "start", "lets"):
            object.__setattr__(self, part, _expressions(part, getattr(self, part)))
        object.__setattr__(self, "parameters", _defaults(self.parameters))
        self._check_names()
        written = bool(self.counts) == (self.family is not None)
        require(written, "counts", "a family to go with them", dict(self.counts), "use algorithms.counted", RuleError)
        _ = self.words, self.start_words  # a rule that cannot be linearised is refused here, not later

    @property
    def blocks(self) -> tuple[sympy.Symbol, ...]:
        """The blocks of the state; ``theta`` comes first."""
        return (theta, *(b for b in self.update if b != theta))

    @property
    def uses_graph(self) -> bool:
        """Whether W appears at all."""
        return self._mentions(W)

    @property
    def averages(self) -> bool:
        """Whether the mean over all agents appears."""
        return self._mentions(average)

    @cached_property
    def words(self) -> dict[sympy.Symbol, Affine]:
        """The linearised update: {block: {source: {word in W and H: coefficient}}}."""
        known: dict[sympy.Symbol, Affine] = {b: {b: {(): sympy.S.One}} for b in self.blocks}
        for name, expr in self.lets.items():
            known[name] = self._checked(expr, known)
        return {b: self._checked(self.update[b], known) for b in self.blocks}

    @cached_property
    def increments(self) -> Increments:
        """M − I in words of W − I, with a sum over the agents that the rule conserves as a coordinate of its own."""
        return increments(self.words, self.start_words)

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
        shift = unit | {b: of_consensus(self.start_words[b], unit) for b in self.blocks}
        return any(of_consensus(self.words[b], shift) != shift[b] for b in self.blocks)

    def start_of(self, block: sympy.Symbol) -> sympy.Expr:
        """The expression of a block's first value."""
        return theta0 if block == theta else self.start.get(block, sympy.S.Zero)

    @cached_property
    def parameter_names(self) -> dict[str, str]:
        """Every name by which a parameter or a count may be passed: {long or short name: short name}."""
        short = {letter: letter for letter in (*map(str, self.parameters), *self.counts)}
        return short | {long: letter for long, letter in LONG_NAMES.items() if letter in short}

    def shaped(self, given: Mapping[str, Any]) -> Rule:
        """The rule with the counts that are among the parameters ``given`` by name; itself where they change nothing.

        Raises
        ------
        InputError
            A count that is not a whole number from 1 to 100.

        Examples
        --------
        >>> from ntkflow import algorithms
        >>> algorithms.get("icdsgd").shaped({"consensus_steps": 3}).update
        {theta: -eta*gradient(theta) + W**3*theta}
        """
        counts = self._counts(given)
        if self.family is None or counts == self.counts:
            return self
        return _member(self.family, tuple(sorted(counts.items())))

    def numbers(self, step_size: float, given: Mapping[str, Any]) -> dict[sympy.Symbol, float]:
        """Every scalar symbol's number: the step size, the parameters given by name, the defaults."""
        names = self._as_given(given)
        counts = self._counts(given)
        require(counts == self.counts, f"rule {self.name!r}", f"{self.counts}", counts, "take rule.shaped(...) first")
        values: dict[sympy.Symbol, Any] = {
            symbol: require_number(names[str(symbol)], given[names[str(symbol)]]) if str(symbol) in names else default
            for symbol, default in self.parameters.items()
        }
        missing = [str(symbol) for symbol, value in values.items() if value is None]
        require(not missing, f"rule {self.name!r}", "a value for " + ", ".join(missing), "none", "pass it by name")
        return {eta: step_size, **values}

    def bind(self, numbers: Mapping[sympy.Symbol, float]) -> Program:
        """The rule as a program, every scalar bound to its number."""
        return _compiled(self).bind(numbers)

    def spelled(
        self, form: Mapping[tuple[str, ...], sympy.Expr], number: Callable[[sympy.Expr], float]
    ) -> dict[tuple[str, ...], float]:
        """What a block takes from one source, as {word in W and H: number}; without a graph, W is the average."""
        read_as = {} if self.uses_graph else {"average": "W"}
        return {tuple(read_as.get(a, a) for a in word): number(c) for word, c in form.items()}

    @classmethod
    def parse(cls, text: str, name: str = "rule", parameters: Mapping[str, float | None] | None = None) -> Rule:
        r"""Read a rule from text: a statement a line, a prime for the new value.

        Parameters
        ----------
        text : str
            ``block' = expression`` in the old values for every block; ``let name = expression`` for an intermediate;
            ``start block = expression`` in ``theta0`` and ``grad(theta0)``; ``parameter name = number``, compulsory
            without the number.  Statements end with the line or with ``;``, ``#`` begins a comment.
        name : str
            What results call the rule.
        parameters : dict, optional
            ``{name: default}`` of further scalars; a default given here goes before the text's.

        Raises
        ------
        RuleError
            For what is not a rule; the message has the line and the piece that offends.

        Notes
        -----
        Nothing in the text is evaluated.

        Examples
        --------
        >>> import ntkflow as nf
        >>> nf.Rule.parse("theta' = W*theta - eta*grad(theta)").update
        {theta: -eta*gradient(theta) + W*theta}
        >>> nf.Rule.parse("theta' = W*theta + v; v' = mu*v - eta*grad(theta + v)", parameters={"mu": 0.9}).blocks
        (theta, v)
        """
        from ._text import parse

        return parse(text, name, parameters)

    def to_text(self) -> str:
        """The text that `parse` reads as the same rule; the name is not in it.

        Scalars come back real, and decimals exact.

        Raises
        ------
        RuleError
            When the rule has something that text cannot say, such as a square root or a name that is none.

        Examples
        --------
        >>> import ntkflow as nf
        >>> print(nf.algorithms.get("diging").to_text())
        theta' = x_next
        y'     = W*y + grad(x_next) - grad(theta)
        let x_next = W*theta - eta*y
        start y = grad(theta0)
        """
        from ._text import to_text

        return to_text(self)

    @cached_property
    def _mentioned(self) -> set[sympy.Symbol]:
        parts = (self.update, self.start, self.lets)
        return {symbol for part in parts for expr in part.values() for symbol in expr.free_symbols}

    def _mentions(self, symbol: sympy.Symbol) -> bool:
        return symbol in self._mentioned

    def _as_given(self, given: Mapping[str, Any]) -> dict[str, str]:
        """The short name of everything given, to the name by which it came."""
        _check_mapping("parameters", given)
        known = self.parameter_names
        for name in given:
            if name not in known:
                hint = nearest(name, known) if known else f"rule {self.name!r} has none"
                refuse(f"parameter {name!r} of rule {self.name!r}", "a known parameter", "an unknown one", hint)
        twice = [name for name in given if known[name] != name and known[name] in given]
        require(not twice, f"rule {self.name!r}", "one value a parameter", f"{twice} by two names")
        return {known[name]: name for name in given}

    def _counts(self, given: Mapping[str, Any]) -> dict[str, int]:
        """The counts given, else the rule's own."""
        names = self._as_given(given)
        return {c: _count(names[c], given[names[c]]) if c in names else own for c, own in self.counts.items()}

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
        declared = [*self.update, *self.lets, *self.parameters, *self.counts]
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
        known = {str(s): s for s in (*RESERVED, theta, *self.update, *self.lets, *self.parameters)}
        twins = sorted(str(s) for s in self._mentioned if known.get(str(s), s) != s)
        require(not twins, "symbols", "one symbol a name", f"{', '.join(twins)} with other assumptions too",
                "use the same object throughout, that of ntkflow.notation if it is there", RuleError)  # fmt: skip


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
        value = sympy.sympify(value)  # a number, never text
    require(isinstance(value, sympy.Expr), name, "a sympy expression", " ".join(repr(value).split())[:60],
            "write it with the symbols of ntkflow.notation", RuleError)  # fmt: skip
    return value.xreplace({number: _exact(number) for number in value.atoms(sympy.Float)})


def _exact(number: sympy.Float) -> sympy.Rational:
    """The shortest decimal that is this floating-point number: 0.1 is one tenth."""
    double = float(number)
    return sympy.Rational(repr(double) if sympy.Float(double) == number else str(number))


def _check_mapping(name: str, given: Any) -> None:
    require(isinstance(given, Mapping), name, "a dictionary {name: value}", repr(given)[:60], "leave it out for none")


def _names(symbols: Any) -> str:
    return ", ".join(map(str, symbols)) or "none"


def _count(name: str, value: Any) -> int:
    number = require_number(name, value, 1, MOST)
    require(number.is_integer(), name, f"a whole number from 1 to {MOST}", number)
    return int(number)


@lru_cache(maxsize=256)
def _compiled(rule: Rule) -> Compiled:
    """Beside the rule, which can be pickled."""
    ordered = {b: rule.update[b] for b in rule.blocks}
    return Compiled.of(ordered, {b: rule.start_of(b) for b in rule.blocks}, rule.lets)


@lru_cache(maxsize=128)
def _member(family: Callable[..., Rule], counts: tuple[tuple[str, int], ...]) -> Rule:
    """One rule for the same counts, whose words and program are then found once."""
    return replace(family(**dict(counts)), counts=dict(counts), family=family)


def counted(**counts: int) -> Callable[[Callable[..., Rule]], Rule]:
    """Turn a function of whole numbers that writes a rule into the rule for these counts.

    The rule remembers the function: `Rule.shaped` gives its other members, and so do ``LinearSystem`` and
    ``Study`` when a count is passed among the parameters.

    Examples
    --------
    >>> import ntkflow as nf
    >>> from ntkflow.notation import W, eta, gradient, theta
    >>> @nf.algorithms.counted(tau=2)
    ... def rule(tau: int) -> nf.Rule:
    ...     return nf.Rule("patient", update={theta: W**tau * (theta - eta * gradient(theta))})
    >>> rule.update, dict(rule.counts)
    ({theta: W**2*(-eta*gradient(theta) + theta)}, {'tau': 2})
    """
    defaults = {name: _count(name, value) for name, value in counts.items()}
    return lambda family: _member(family, tuple(sorted(defaults.items())))


__all__ = ["Rule", "counted"]
