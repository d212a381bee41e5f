"""The directive ``catalogue``: every algorithm with its rule, read off the rule itself."""

import importlib
import inspect

import sympy
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from sympy.printing.str import StrPrinter

from ntkflow import algorithms
from ntkflow.notation import W, average


class Catalogue(SphinxDirective):
    """One section an algorithm, so that a new file in ``algorithms/`` documents itself."""

    def run(self) -> list[nodes.Node]:
        """The sections, parsed as Markdown like the page they stand on."""
        sections = []
        for name in algorithms.names():
            section = nodes.section(ids=[nodes.make_id(f"algorithm-{name}")], names=[name])
            section += nodes.title(text=name)
            self.state.nested_parse(StringList(_lines(name), source=name), self.content_offset, section)
            sections.append(section)
        return sections


class _Printer(StrPrinter):
    """Sums as one writes them: mixing first, what is subtracted last."""

    def _print_Add(self, expr: sympy.Add, order: object = None) -> str:
        terms = sorted(expr.args, key=lambda term: (term.could_extract_minus_sign(), not term.has(W, average)))
        return " + ".join(self._print(term) for term in terms).replace("+ -", "- ")


def _lines(name: str) -> list[str]:
    """What there is to say about one rule."""
    rule, text = algorithms.get(name), _Printer().doprint
    rows = [("", f"{block}⁺ = {text(expr)}") for block, expr in rule.update.items()]
    rows += [("where", f"{block} = {text(expr)}") for block, expr in rule.lets.items()]
    rows += [("start", f"{block}₀ = {text(rule.start_of(block))}") for block in rule.blocks[1:]]
    rows += [("default", f"{name} = {value}") for name, value in {**rule.parameters, **rule.counts}.items()]
    lines = (inspect.getdoc(importlib.import_module(f"ntkflow.algorithms.{name}")) or "").splitlines()
    width = max(len(word) + 2 if word else 0 for word, _ in rows)
    lines += ["", "```text", *(f"{word:<{width}}{row}" for word, row in rows), "```", ""]
    known = [f"Also called {', '.join(f'`{s}`' for s in rule.synonyms)}."] if rule.synonyms else []
    return [*lines, " ".join([*known, f"Source: {rule.source}." if rule.source else ""])]


def setup(app: object) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("catalogue", Catalogue)
    return {"parallel_read_safe": True}
