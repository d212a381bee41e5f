r"""Reads the LaTeX of derivations back, by a grammar of its own: what is on the page is what was checked.

`read` takes stacked expressions, 𝓦 and 𝓦̄ as operators; `read_agent` what agent q computes, where a sum over
neighbours must run from the index that stands before it to the one behind.
"""

import re

import sympy

from ntkflow.derivation import letters
from ntkflow.notation import W, average, beta, d, eta, gamma, gradient, h, m, mu, p, psi, theta, theta0, v, x_next, y, z

COMMON = {
    r"\eta": eta, r"\mu": mu, r"\beta": beta, r"\gamma": gamma, "Q": letters.Q, "D": letters.D,
    r"n_{\mathrm{out}}": letters.n_outputs, r"\psi": psi, "v": v, "y": y, "z": z, "d": d, "h": h, "m": m, "p": p,
}  # fmt: skip
STACKED = {
    **COMMON, r"\mathcal{W}": W, r"\overline{\mathcal{W}}": average, "I": sympy.S.One, r"\vartheta": theta,
    r"\vartheta_0": theta0, r"\hat{\vartheta}": x_next, r"\Psi_0": letters.Psi, "J_0": letters.J,
    r"J_0^{\top}": letters.JT, r"J(\vartheta)^{\top}": letters.JxT, r"f(\vartheta)": letters.f, "f_0": letters.f0,
    "e_0": letters.e0, r"\mathbf{y}": letters.Y, "c": letters.c,
    r"\lVert f(\vartheta) - \mathbf{y} \rVert^{2}": letters.square,
    r"\lVert f(\vartheta) - \mathbf{y} \rVert_{c}^{2}": letters.weighted_square,
}  # fmt: skip
BY_AGENT = {**COMMON, r"\theta": theta, r"\hat{\theta}": x_next, "W": W, "I": sympy.S.One,
            r"\tfrac{1}{Q} \mathbf{1} \mathbf{1}^{\top}": average}  # fmt: skip
INDEX = r"(?:l_\{\d+\}|[qjkl])"
SKIPPED = re.compile(r"\\[,!]|\\(?:left|right|bigl|bigr)(?![a-z])|\s")


class Reader:
    """Recursive descent: sums of products of factors; ``index`` is the agent's, None for stacked expressions."""

    def __init__(self, source, names, index=None):
        self.source, self.names, self.index, self.place = source, names, index, 0

    def take(self, pattern):
        """The match of a pattern at the place, which moves behind it; None where there is none."""
        while skipped := SKIPPED.match(self.source, self.place):
            self.place = skipped.end()
        match = re.compile(pattern).match(self.source, self.place)
        self.place = match.end() if match else self.place
        return match

    def whole(self):
        total = self.sum()
        assert self.take("$"), f"left over: {self.source[self.place :]}"
        return total

    def sum(self):
        total, sign = sympy.S.Zero, self.take("[-+]")
        while True:
            term = self.product()
            total += -term if sign and sign[0] == "-" else term
            if not (sign := self.take("[-+]")):
                return total

    def product(self):
        """Factors side by side; a sum over neighbours reaches to the end of the product."""
        outside, result = self.index, self.factor()
        while (factor := self.factor(False)) is not None:
            result *= factor
        self.index = outside
        return result

    def factor(self, needed=True):
        base = self.atom()
        assert base is not None or not needed, f"no factor: {self.source[self.place :]}"
        power = self.take(r"\^\{(\d+)\}")
        return base ** int(power[1]) if power else base

    def inside(self, closing):
        found = self.sum()
        assert self.take(closing), f"{closing} expected: {self.source[self.place :]}"
        return found

    def atom(self):
        for pattern, meaning in (
            (r"\\frac\{", lambda _: self.inside(r"\}\{") / self.inside(r"\}")),
            (r"\d+", lambda match: sympy.Integer(match[0])),
            (rf"\\sum_\{{({INDEX})\}}", self.neighbours),
            (rf"g(?:_\{{?({INDEX})\}}?)?(?:\\!)?(?:\\left)?\(", self.gradient),
            (r"\(", lambda _: self.inside(r"\)")),
            ("|".join(map(re.escape, sorted(self.names, key=len, reverse=True))), lambda match: self.names[match[0]]),
            (r"x_\{(\d+)(?=[,}])(?:\}|(?=,))", lambda match: sympy.Symbol(f"x_{match[1]}", commutative=False)),
        ):
            if match := self.take(pattern):
                found = meaning(match)
                block = isinstance(found, sympy.Symbol) and not found.is_commutative and found not in (W, average)
                if self.index and block:
                    self.own_index()
                return found
        return None

    def own_index(self):
        """A block's letter bears the index of the agent whose block it is."""
        match = self.take(rf"(?:_|,)\{{?({INDEX})\}}?")
        assert match, f"no index: {self.source[self.place :]}"
        assert match[1] == self.index, f"index {match[1]} where {self.index} is meant"

    def gradient(self, match):
        assert match[1] == self.index, f"gradient of agent {match[1]}, not {self.index}"
        return gradient(self.inside(r"\)"))

    def neighbours(self, match):
        """W, a power, or Q times the average, whose 1/Q stands before the sum."""
        before, self.index = self.index, match[1]
        assert before != self.index
        pair = re.escape(before + self.index)
        if self.take(rf"w_\{{{pair}\}}"):
            return W
        if self.take(r"\["):
            powers = Reader(self.source[self.place :], self.names)
            found = powers.inside(rf"\]_\{{{pair}\}}")
            self.place += powers.place
            return found
        return letters.Q * average


def read(source):
    """An expression in stacked operators."""
    return Reader(source, STACKED).whole()


def read_agent(source):
    """The expression that agent q computes, as one in stacked operators."""
    return Reader(source, BY_AGENT, "q").whole()


def read_equations(align):
    """The right sides of an ``align``, one a label: an expression, a matrix, or {(row, column): entry}."""
    for labelled in re.split(r"\\label\{[^}]*\}", align)[:-1]:
        rows = [row.replace(r"\notag", "").strip() for row in labelled.split("\\\\\n") if row.strip()]
        whole = re.split(r"(?:^|\n)([^&\n]+?) &(?:=|\\approx) ", "\n".join(row.replace(r"&\quad", "") for row in rows))
        sides = dict(zip(whole[1::2], whole[2::2], strict=True))
        yield matrix(next(iter(sides.values()))) if len(sides) == 1 else {left: read(r) for left, r in sides.items()}


def matrix(source):
    """A matrix where the source is one, else an expression."""
    found = re.fullmatch(r"\\begin\{bmatrix\}(.*)\\end\{bmatrix\}", source.strip(), re.DOTALL)
    if not found:
        return read(source)
    return sympy.Matrix([[read(entry) for entry in row.split("&")] for row in found[1].split(r"\\")])
