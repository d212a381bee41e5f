"""A rule's text as statements, a line each, every character accounted for before anything reads an expression."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from ..errors import RuleError, require

LONGEST = 10_000  # characters of a text
LINES = 50  # statements of a text
TOKENS = 400  # names, numbers, operators and brackets of one expression
DEPTH = 50  # brackets within brackets
NAME_LENGTH = NUMBER_LENGTH = 40
EXPONENT = 99  # of a number such as 1e-3

GREEK = str.maketrans(
    {"θ": "theta", "η": "eta", "μ": "mu", "\N{MICRO SIGN}": "mu", "β": "beta", "γ": "gamma", "ψ": "psi"}
)
PRIMES = ("'", "\N{PRIME}")
FOR_THE_STEP_SIZE = "for the step size write eta"
HEADS = "block' = ..., let name = ..., start block = ... or parameter name = number"
LETTER = "[A-Za-zθημ\u00b5βγψ]"
TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<name>{LETTER}[A-Za-z0-9_]*)"
    r"|(?P<sign>\*\*|[-+*/()])|(?P<blank>[ \t]+)"
)
NEXT = re.compile(rf"(?P<name>{LETTER}[A-Za-z0-9]*)(?:[_^]?\{{?k?\+1?\}}?|\u207a)")  # theta^+, theta_{k+1}
REMEDIES = {
    "^": "write ** for a power",
    "\N{NABLA}": "write grad(...)",
    "\N{GREEK SMALL LETTER ALPHA}": FOR_THE_STEP_SIZE,
    "=": "write one equation a line, or separate them by ;",
    ",": "grad(...) takes one state",
    **dict.fromkeys(PRIMES, "right-hand sides read old values; give a new value that others need a name with let"),
}


@dataclass(frozen=True)
class Statement:
    """One statement: its place, ``let``, ``start``, ``parameter`` or nothing, what it is about, and its expression."""

    place: str
    head: str
    name: str
    expression: str


def refuse_piece(place: str, piece: str, complaint: str, remedy: str) -> NoReturn:
    """Raise the one-line error of a piece of text, shown as it was written."""
    raise RuleError(f"{place}: {shown(piece)}: {complaint}; {remedy}")


def shown(piece: str) -> str:
    """The piece in one printable line of at most 60 characters."""
    cut = piece if len(piece) <= 60 else piece[:57] + "..."
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def statements(text: str) -> Iterator[Statement]:
    """The statements of a text, in its order; comments and blank lines are left out."""
    require(isinstance(text, str), "rule", "a text", type(text).__name__, "write theta' = ...", RuleError)
    require(len(text) <= LONGEST, "rule", f"at most {LONGEST} characters", len(text), "shorten it", RuleError)
    lines = text.replace("\r\n", "\n").replace("\N{MINUS SIGN}", "-").split("\n")
    filled = [found for n, line in enumerate(lines, 1) for found in _pieces(n, line.partition("#")[0])]
    require(len(filled) <= LINES, "rule", f"at most {LINES} statements", len(filled), "shorten it", RuleError)
    yield from (_statement(place, piece) for place, piece in filled)


def _pieces(number: int, line: str) -> list[tuple[str, str]]:
    """Every statement of a line with its place, which counts them where there are several."""
    found = [piece.strip(" \t") for piece in line.split(";") if piece.strip(" \t")]
    if len(found) == 1:
        return [(f"line {number}", found[0])]
    return [(f"line {number}, statement {k}", piece) for k, piece in enumerate(found, 1)]


def canonical(name: str) -> str:
    """A name in ASCII: θ is theta."""
    return name.translate(GREEK)


def check_characters(place: str, text: str) -> None:
    """Refuse what is neither name, number, operator nor bracket, and what is too long or too deep to be a rule."""
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            _refuse_character(place, text, text[position])
        if match.lastgroup != "blank":
            _check_token(place, match)
            tokens.append(match)
        position = match.end()
    _check_joints(place, text, tokens)
    _check_size(place, text, [token[0] for token in tokens])


def is_name(text: str) -> bool:
    """Whether the text is a name that a rule may use, and nothing else."""
    match = TOKEN.fullmatch(text)
    return match is not None and match["name"] is not None and _fault(text) is None


def _statement(place: str, piece: str) -> Statement:
    left, equals, right = piece.partition("=")
    words = [word for word in re.split(r"[ \t]+", left) if word]
    head = words[0] if len(words) == 2 and words[0] in ("let", "start", "parameter") else ""
    name = words[-1] if words else ""
    if equals and not head and (marked := NEXT.fullmatch("".join(words))):
        remedy = f"write {shown(marked['name'])}' = ... for its new value"
        refuse_piece(place, left.strip(" \t"), "a new value is marked by '", remedy)
    if len(words) != (2 if head else 1) or not (equals or head == "parameter"):
        refuse_piece(place, piece, "not a statement", f"write {HEADS}")
    if bool(head) == name.endswith(PRIMES):
        remedy = "leave the ' out" if head else f"write {shown(name)}' = ... for its new value"
        refuse_piece(place, piece, "the ' marks the new value of a block, and nothing else", remedy)
    if equals and not right.strip(" \t"):
        refuse_piece(place, piece, "nothing to the right", f"write {HEADS}")
    plain = name if head else name[:-1]
    check_characters(place, plain)
    if not is_name(plain):
        refuse_piece(place, piece, "not a name to the left", f"write {HEADS}")
    return Statement(place, head, canonical(plain), right.strip(" \t"))


def _refuse_character(place: str, text: str, character: str) -> NoReturn:
    code = "" if character.isascii() and character.isprintable() else f" (U+{ord(character):04X})"
    remedy = REMEDIES.get(character, "use names, numbers, + - * / ** ( ) and grad(...)")
    refuse_piece(place, text, f"{shown(character)}{code} has no meaning there", remedy)


def _fault(name: str) -> tuple[str, str] | None:
    """What is wrong with a name, and the remedy."""
    if len(name) > NAME_LENGTH:
        return "a name is too long", f"use at most {NAME_LENGTH} characters"
    if "__" in name:
        return "a name has two underscores in a row", "use single ones"
    if keyword.iskeyword(name):
        return "a word of Python cannot be a name", "choose another, such as lam for lambda"
    return None


def _check_token(place: str, token: re.Match[str]) -> None:
    fault = _fault(token["name"]) if token["name"] else None
    if fault:
        refuse_piece(place, token[0], *fault)
    if token["number"]:
        _, _, power = token[0].lower().partition("e")
        if len(token[0]) > NUMBER_LENGTH or abs(int(power or 0)) > EXPONENT:
            limits = f"use at most {NUMBER_LENGTH} characters and powers of ten up to {EXPONENT}"
            refuse_piece(place, token[0], "a number is too long or too large", limits)


def _check_joints(place: str, text: str, tokens: list[re.Match[str]]) -> None:
    """Two operands side by side: mathematics would multiply, Python would complain or call."""
    for before, after in pairwise(tokens):
        ends = before["number"] or before["name"] or before[0] == ")"
        begins = after["number"] or after["name"] or (after[0] == "(" and not before["name"])
        if ends and begins:
            refuse_piece(place, text, f"no operator between {before[0]} and {after[0]}", "write * for a product")


def _check_size(place: str, text: str, tokens: list[str]) -> None:
    depth = deepest = 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        deepest = max(deepest, depth)
        if depth < 0:
            break
    if depth:
        refuse_piece(place, text, "the brackets do not match", "count ( and )")
    if deepest > DEPTH or len(tokens) > TOKENS:
        limits = f"{TOKENS} names and operators, brackets {DEPTH} deep"
        refuse_piece(place, text, f"too long or too deep (at most {limits})", "split it up with let")
