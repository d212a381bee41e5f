"""Rules as text: what `Rule.parse` reads, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sympy

from ..errors import RuleError, refuse, require
from ..notation import W, average, beta, eta, gamma, mu, theta0
from ..printing import text as written
from ._lines import Statement, canonical, is_name, refuse_piece, statements
from ._reading import Piece, Reader, operator, scalar, state
from ._rule import Rule
from ._size import Budget

UNDECLARED = (mu, beta, gamma)  # scalars of the notation: compulsory where nothing declares them
OPERATORS = {"W": operator(W), "average": operator(average)}
SCALARS = {"step_size": scalar(eta), **{symbol.name: scalar(symbol) for symbol in (eta, *UNDECLARED)}}
OURS = {"W", "average", "H", "g0", "theta0", "eta", "step_size", "grad", "gradient", "let", "start", "parameter", "I"}
OF_THE_LINEARISED = ("belongs to the linearised rule", "write grad(...)")
HINTS = {
    "H": OF_THE_LINEARISED, "g0": OF_THE_LINEARISED, "I": ("the identity is written 1", "write 1, as in (1 + W)/2"),
    **dict.fromkeys(["grad", "gradient"], ("a gradient is taken at a state", "write grad(theta)")),
}  # fmt: skip
UPDATE_HINTS = HINTS | {"theta0": ("has a meaning in start lines only", "write theta for the parameters as they are")}


def parse(text: str, name: str = "rule", parameters: Mapping[str, float | None] | None = None) -> Rule:
    """Read a rule from text, a statement a line.

    ``block' = expression`` is a block's next value in terms of the old values, ``let name = expression`` names an
    intermediate, ``start block = expression`` is a first value in terms of ``theta0`` and ``grad(theta0)``, and
    ``parameter name = number`` declares a scalar with its default; without ``= number`` it is compulsory.
    Statements end with the line or with ``;``, and ``#`` begins a comment.

    Parameters
    ----------
    text : str
        The rule, at most 10,000 characters.
    name : str
        What results call the rule.
    parameters : dict, optional
        ``{name: default}`` of further scalars; a default given here goes before the text's.

    Raises
    ------
    RuleError
        For what is not a rule, in one line: the line of the text, the piece as it is written there, and what to do.

    Notes
    -----
    Nothing in the text is evaluated: its characters are checked one by one, `ast.parse` builds a tree, and only the
    nodes of sums, products, powers and ``grad`` are read.  What would grow too large when it is multiplied out is
    refused before.

    Examples
    --------
    >>> rule = parse('''
    ...     theta' = W*theta + mu*v - eta*grad(theta)
    ...     v'     = mu*v - eta*grad(theta)
    ...     parameter mu = 0.9
    ... ''')
    >>> rule.blocks, rule.parameters
    ((theta, v), {mu: 0.9})
    >>> parse("theta' = W*theta - eta*grad(theta)**2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ntkflow.errors.RuleError: line 1: grad(theta)**2: not linear in the state and the gradient; ...
    """
    try:
        return _rule(list(statements(text)), name, _given(parameters))
    except (RecursionError, MemoryError):
        refuse("rule", "expressions of a few levels", "more than can be read", "split them up with let", RuleError)


def to_text(rule: Rule) -> str:
    """What `Rule.to_text` gives."""
    lines = "\n".join(_lines(rule))
    parse(lines, rule.name)  # what cannot be read back is refused
    return lines


def _rule(said: list[Statement], name: str, given: dict[str, float | None]) -> Rule:
    _check_names(said, given)
    budget = Budget()
    defaults = _defaults(said, budget) | given
    scalars = {n: sympy.Symbol(n, real=True) for n in defaults}
    shared = OPERATORS | SCALARS | {n: scalar(symbol) for n, symbol in scalars.items()}
    states = {s.name for s in said if s.head in ("", "let")}
    common = {n: piece for n, piece in shared.items() if n not in states}
    lets, names = _lets(said, common, budget)
    update = {_symbol(s): Reader(s, names, UPDATE_HINTS, budget).state().value for s in said if not s.head}
    start = _starts(said, common, budget)
    used = set().union(*(expr.free_symbols for part in (lets, update, start) for expr in part.values()))
    parameters = {symbol: None for symbol in UNDECLARED if symbol in used}
    rule = Rule(name, update, start, lets, parameters | {scalars[n]: value for n, value in defaults.items()})
    _check_use([n for n, symbol in scalars.items() if symbol not in used], said)
    return rule


def _check_use(idle: list[str], said: list[Statement]) -> None:
    """Every parameter, declared or given, occurs in the rule."""
    for s in said:
        if s.head == "parameter" and s.name in idle:
            refuse_piece(s.place, s.name, "a parameter that the rule does not use", "use it, or leave the line out")
    require(not idle, "parameters", "names that the rule uses", ", ".join(idle), "leave the others out", RuleError)


def _lets(
    said: list[Statement], common: dict[str, Piece], budget: Budget
) -> tuple[dict[sympy.Symbol, sympy.Expr], dict[str, Piece]]:
    """The lets in their order, and what every name stands for in an update."""
    names = common | {s.name: state(_symbol(s)) for s in said if not s.head}
    below = {s.name: ("defined further down", "move its let up") for s in said if s.head == "let"}
    lets = {}
    for statement in (s for s in said if s.head == "let"):
        piece = Reader(statement, names, UPDATE_HINTS | below, budget).state()
        lets[_symbol(statement)] = piece.value
        names = names | {statement.name: state(_symbol(statement), piece.size)}
    return lets, names


def _starts(said: list[Statement], common: dict[str, Piece], budget: Budget) -> dict[sympy.Symbol, sympy.Expr]:
    only = ("has no value yet", "a start line reads theta0 and grad(theta0)")
    hints = HINTS | {s.name: only for s in said if s.head in ("", "let")}
    names = common | {"theta0": state(theta0)}
    return {_symbol(s): Reader(s, names, hints, budget).state().value for s in said if s.head == "start"}


def _defaults(said: list[Statement], budget: Budget) -> dict[str, float | None]:
    lines = [s for s in said if s.head == "parameter"]
    return {s.name: Reader(s, {}, {}, budget).number() if s.expression else None for s in lines}


def _symbol(statement: Statement) -> sympy.Symbol:
    return sympy.Symbol(statement.name, commutative=False)


def _given(parameters: Mapping[str, float | None] | None) -> dict[str, float | None]:
    given = {} if parameters is None else parameters
    named = isinstance(given, Mapping) and all(isinstance(n, str) and is_name(n) for n in given)
    require(named, "parameters", "a dictionary {name: default}", repr(given)[:60], "write {'mu': 0.9}", RuleError)
    return {canonical(n): value for n, value in given.items()}


def _check_names(said: list[Statement], given: Mapping[str, float | None]) -> None:
    """Every name has one meaning, every start its block, and theta is there."""
    blocks = [s.name for s in said if not s.head]
    found = ", ".join(f"{b}'" for b in blocks) or "no such line"
    require("theta" in blocks, "rule", "a line theta' = ...", found, "write theta' = W*theta - ...", RuleError)
    meanings: set[tuple[bool, str]] = set()
    for s in said:
        _check_name(s, blocks)
        if (s.head == "start", s.name) in meanings:
            refuse_piece(s.place, s.name, "defined twice", "define every name once")
        meanings.add((s.head == "start", s.name))
    taken = [n for n in given if n in OURS or any(s.name == n for s in said if s.head != "parameter")]
    require(not taken, "parameters", "names that are free", ", ".join(taken), "choose others", RuleError)


def _check_name(s: Statement, blocks: list[str]) -> None:
    if s.name in OURS:
        refuse_piece(s.place, s.name, "has its meaning already", "choose another name")
    if s.head == "start" and s.name == "theta":
        refuse_piece(s.place, s.name, "starts at theta0 always", "leave the line out")
    if s.head == "start" and s.name not in blocks:
        refuse_piece(s.place, s.name, "no block of that name", f"write a line {s.name}' = ... for its new value")


def _lines(rule: Rule) -> Iterator[str]:
    width = max(len(f"{block}'") for block in rule.blocks)
    yield from (f"{block}'".ljust(width) + f" = {written(rule.update[block])}" for block in rule.blocks)
    yield from (f"let {name} = {written(expr)}" for name, expr in rule.lets.items())
    yield from (f"start {b} = {written(expr)}" for b, expr in rule.start.items() if expr != 0)
    yield from (f"parameter {s}" + ("" if v is None else f" = {v!r}") for s, v in rule.parameters.items())
