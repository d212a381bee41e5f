"""One expression of a rule's text, read node by node: what is not listed here does not exist.

Python's own grammar (`ast.parse` builds a tree and evaluates nothing) settles precedence and brackets.  Every node is
read to a `Piece`: the SymPy expression, what it stands for, and how large it would be when multiplied out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from typing import NoReturn

import sympy

from ..errors import nearest
from ..notation import gradient
from ._affine import LARGEST_POWER
from ._lines import FOR_THE_STEP_SIZE, Statement, canonical, check_characters, refuse_piece
from ._size import Budget, Size

BY_A_BLOCK = "multiply it by a block, such as theta"
STEP_SIZES = {"alpha", "epsilon", "h_step", "learning_rate", "lr", "rate", "step", "step_length", "stepsize"}


class Kind(Enum):
    """What an expression stands for; the text is how messages call it."""

    SCALAR = "a number"
    OPERATOR = "an operator"
    STATE = "a state"


@dataclass(frozen=True)
class Piece:
    """An expression that has been read."""

    value: sympy.Expr
    kind: Kind
    size: Size

    @property
    def is_state(self) -> bool:
        """Whether it is a state."""
        return self.kind is Kind.STATE


def scalar(symbol: sympy.Symbol) -> Piece:
    """A scalar symbol."""
    return Piece(symbol, Kind.SCALAR, Size.of_scalar(symbol.name))


def operator(symbol: sympy.Symbol) -> Piece:
    """An operator that stands for itself."""
    return Piece(symbol, Kind.OPERATOR, Size.of_word(symbol.name))


def state(symbol: sympy.Symbol, size: Size | None = None) -> Piece:
    """A block, or a let with the size of what it stands for."""
    return Piece(symbol, Kind.STATE, size or Size.of_word(symbol.name))


@dataclass(frozen=True)
class Reader:
    """Reads the right-hand side of one statement, where ``names`` have a meaning.

    ``hints`` has (complaint, remedy) for names that have their meaning elsewhere.
    """

    statement: Statement
    names: Mapping[str, Piece]
    hints: Mapping[str, tuple[str, str]]
    budget: Budget

    def state(self) -> Piece:
        """The right-hand side as a state; 0 is one too."""
        piece = self._whole()
        if not piece.is_state and piece.value != 0:
            self._refuse(None, f"{piece.kind.value} is not a state", BY_A_BLOCK)
        return piece

    def number(self) -> float:
        """The right-hand side as a number."""
        return float(self._whole().value)

    def _whole(self) -> Piece:
        check_characters(self.statement.place, self.statement.expression)
        try:
            tree = ast.parse(self.statement.expression, mode="eval")
        except (SyntaxError, ValueError, OverflowError):
            self._refuse(None, "cannot be read", "something is missing around an operator or a bracket")
        return self._read(tree.body)

    def _read(self, node: ast.expr) -> Piece:
        match node:
            case ast.Constant():
                return self._number(node)
            case ast.Name():
                return self._name(node)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
                return self._signed(node)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                return self._sum(node)
            case ast.BinOp(op=ast.Mult()):
                return self._product(node)
            case ast.BinOp(op=ast.Div()):
                return self._quotient(node)
            case ast.BinOp(op=ast.Pow()):
                return self._power(node)
            case ast.Call(func=ast.Name(id="grad" | "gradient"), args=[inner], keywords=[]):
                return self._gradient(node, inner)
            case ast.Call():
                self._refuse(node, "only grad(...) is called, at one state", "write * for a product")
        return self._refuse(node, "not part of a rule", "use + - * / ** and grad(...)")

    def _number(self, node: ast.Constant) -> Piece:
        number = Fraction(self._source(node))  # from its text: 0.1 is 1/10
        return Piece(sympy.Rational(number.numerator, number.denominator), Kind.SCALAR, Size.of_number(number))

    def _name(self, node: ast.Name) -> Piece:
        name = canonical(node.id)
        if name not in self.names:
            self._refuse(node, *(self.hints.get(name) or self._unknown(name)))
        return self.names[name]

    def _unknown(self, name: str) -> tuple[str, str]:
        if not self.names:
            return "a default is a number", "write it out"
        declare = f"(a parameter is declared: parameter {name} = value)"
        meant = FOR_THE_STEP_SIZE if name.lower() in STEP_SIZES else nearest(name, self.names)
        return "neither a block, a let nor a parameter", f"{meant} {declare}"

    def _signed(self, node: ast.UnaryOp) -> Piece:
        inner = self._read(node.operand)
        return replace(inner, value=-inner.value) if isinstance(node.op, ast.USub) else inner

    def _sum(self, node: ast.BinOp) -> Piece:
        left, right = self._read(node.left), self._read(node.right)
        if left.is_state or right.is_state:
            self._check_term(node.left, left)
            self._check_term(node.right, right)
        size = self._affordable(node, self.budget.sum(left.size, right.size))
        value = left.value + right.value if isinstance(node.op, ast.Add) else left.value - right.value
        return Piece(value, _larger(left, right), size)

    def _check_term(self, node: ast.expr, term: Piece) -> None:
        if not term.is_state and term.value != 0:
            self._refuse(node, f"{term.kind.value} cannot be added to a state", BY_A_BLOCK)

    def _product(self, node: ast.BinOp) -> Piece:
        left, right = self._read(node.left), self._read(node.right)
        if left.is_state and right.is_state:
            self._refuse(node, "not linear in the state and the gradient", "multiply a block by scalars and W only")
        if left.is_state and right.kind is Kind.OPERATOR:
            self._refuse(node, "an operator to the right of a state", "write it to the left, as in W*theta")
        size = self._affordable(node, self.budget.product(left.size, right.size))
        return Piece(left.value * right.value, _larger(left, right), size)

    def _quotient(self, node: ast.BinOp) -> Piece:
        left, right = self._read(node.left), self._read(node.right)
        if right.kind is not Kind.SCALAR:
            self._refuse(node, f"{right.kind.value} cannot divide", "divide by numbers and parameters only")
        size = self._affordable(node, self.budget.quotient(left.size, right.size, str(right.value)))
        if sympy.expand(right.value) == 0:
            self._refuse(node, "a division by zero", "divide by something else")
        return Piece(left.value / right.value, left.kind, size)

    def _power(self, node: ast.BinOp) -> Piece:
        base, power = self._read(node.left), self._source(node.right)
        if base.is_state:
            self._refuse(node, "not linear in the state and the gradient", "raise only scalars and W to a power")
        if not re.fullmatch("[0-9]{1,3}", power) or int(power) > LARGEST_POWER:
            self._refuse(node, "not a power that a rule can have", f"write a whole number from 0 to {LARGEST_POWER}")
        size = self._affordable(node, self.budget.power(base.size, int(power)))
        return Piece(base.value ** int(power), base.kind, size)

    def _gradient(self, node: ast.Call, inner: ast.expr) -> Piece:
        point = self._read(inner)
        if not point.is_state and point.value != 0:
            self._refuse(node, f"a gradient is taken at a state, not at {point.kind.value}", "write grad(theta)")
        moved = self._affordable(node, self.budget.product(Size.of_word("H"), point.size))
        constants = frozenset({*Size.of_word("H", "theta0").monomials, *Size.of_word("g0").monomials})
        return Piece(gradient(point.value), Kind.STATE, replace(moved, monomials=moved.monomials | constants))

    def _affordable(self, node: ast.expr, size: Size | None) -> Size:
        if size is None:
            self._refuse(node, "too large when it is multiplied out", "write fewer factors or smaller powers")
        return size

    def _source(self, node: ast.expr) -> str:
        """The node as it was written."""
        return ast.get_source_segment(self.statement.expression, node) or self.statement.expression

    def _refuse(self, node: ast.expr | None, complaint: str, remedy: str) -> NoReturn:
        piece = self.statement.expression if node is None else self._source(node)
        refuse_piece(self.statement.place, piece, complaint, remedy)


def _larger(left: Piece, right: Piece) -> Kind:
    """What a sum or product of the two stands for: a state beats an operator beats a scalar."""
    return max(left.kind, right.kind, key=list(Kind).index)
