r"""The pages of this folder as LaTeX: the Markdown that GitHub shows, with its mathematics left as it is.

>>> print(page("Let *x* be as in [T1](01_linear_system.md), $x \\ge 0$.", "03_stability.md"))
Let \emph{x} be as in \hyperref[sec:T1]{T1}, $x \ge 0$.
<BLANKLINE>
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from latex_tables import table
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from mdit_py_plugins.dollarmath import dollarmath_plugin

from ntkflow._tables import ESCAPES

HERE = Path(__file__).parent
PARSER = MarkdownIt("commonmark", {"typographer": True}).enable(["table", "smartquotes"])
PARSER.use(dollarmath_plugin, double_inline=True)
SIDES = {"text-align:center": "c", "text-align:right": "r"}
HEADINGS = {2: "subsection*", 3: "subsubsection*"}

SPECIAL = ESCAPES | {
    "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip
LETTERS = {
    "–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "…": r"\dots{}", "\N{NO-BREAK SPACE}": "~",
    "²": r"\texttwosuperior{}", "³": r"\textthreesuperior{}",
    "é": r"\'e", "è": r"\`e", "á": r"\'a", "ć": r"\'c", "ö": r"\"o", "ü": r"\"u", "ä": r"\"a",
}  # fmt: skip
MATHEMATICS = {
    "α": r"\alpha", "β": r"\beta", "η": r"\eta", "θ": r"\theta", "ϑ": r"\vartheta", "λ": r"\lambda", "μ": r"\mu",
    "π": r"\pi", "ρ": r"\rho", "τ": r"\tau", "Ψ": r"\Psi", "Σ": r"\Sigma", "Γ": r"\Gamma", "𝓦": r"\mathcal{W}",
    "W̃": r"\tilde{W}", "²": "^2", "³": "^3", "ᵀ": r"^{\top}", "⁺": "^{+}", "₀": "_0", "₁": "_1", "₂": "_2", "ₛ": "_s",
    "−": "-", "±": r"\pm", "×": r"\times", "·": r"\cdot", "⊗": r"\otimes", "√": r"\surd", "∞": r"\infty",
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "≪": r"\ll", "≫": r"\gg", "≻": r"\succ", "⪰": r"\succeq",
    "→": r"\to", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "∈": r"\in", "½": r"\tfrac12",
}  # fmt: skip
GLYPHS = {letter: f"${command}$" for letter, command in MATHEMATICS.items()} | SPECIAL | LETTERS
OPENING = re.compile(r"\\textbf|\\emph|\\begin|\(")  # of what is a paragraph by itself, even after a display
PIECE = re.compile("W̃|.", re.DOTALL)


class ConversionError(Exception):
    """What has no LaTeX here; the message names the page."""


def page(text: str, name: str) -> str:
    """A whole page."""
    return Page(name).of(SyntaxTreeNode(PARSER.parse(text))) + "\n"


def prose(text: str, name: str) -> str:
    r"""Words, every letter beyond ASCII mapped by the tables above or refused.

    >>> print(prose("5 % of A_r, θ₀ – W̃", "page.md"))
    5 \% of A\_r, $\theta_0$ -- $\tilde{W}$
    """
    return _mapped(text, GLYPHS, name).replace("$$", "")


def mathematics(source: str, name: str) -> str:
    r"""What stands between dollars, as it is but for letters beyond ASCII, which it may have in ``\text``."""
    return _mapped(source, LETTERS | {letter: rf"\ensuremath{{{c}}}" for letter, c in MATHEMATICS.items()}, name)


def _mapped(text: str, glyphs: dict[str, str], name: str) -> str:
    pieces = PIECE.findall(text)
    unknown = [piece for piece in pieces if piece not in glyphs and not piece.isascii()]
    if unknown:
        raise ConversionError(f"{name}: no LaTeX for {unknown[0]!r} in {text!r}; write it in another way or add it")
    return "".join(glyphs.get(piece, piece) for piece in pieces)


@dataclass(frozen=True)
class Page:
    """Converts the nodes of one page; a node of type ``x`` by the method ``on_x``."""

    name: str

    def of(self, node: SyntaxTreeNode) -> str:
        """The LaTeX of a node and all below it."""
        convert = getattr(self, f"on_{node.type}", None)
        if convert is None:
            raise ConversionError(f"{self.name}: no LaTeX for Markdown's {node.type!r}")
        return convert(node)

    def inside(self, node: SyntaxTreeNode) -> str:
        """What a node holds, without the node."""
        return "".join(map(self.of, node.children))

    def blocks(self, node: SyntaxTreeNode) -> str:
        """Paragraphs and the like; a display belongs to the sentence around it."""
        rendered = [(child.type == "math_block", self.of(child)) for child in node.children]
        result = "".join(block for _, block in rendered[:1])
        for (after_display, _), (display, block) in pairwise(rendered):
            joined = display or (after_display and not OPENING.match(block))
            result += ("\n" if joined else "\n\n") + block
        return result

    on_root, on_inline = blocks, inside

    def on_heading(self, node: SyntaxTreeNode) -> str:
        level, title = int(node.tag[1]), self.inside(node)
        numbered = re.fullmatch(r"T(\d+)\. (.*)", title)
        if level > 1:
            return f"\\{HEADINGS[level]}{{{title}}}"
        if numbered:
            n = int(numbered[1])
            return f"\\setcounter{{section}}{{{n - 1}}}\n\\section{{{numbered[2]}}}\\label{{sec:T{n}}}"
        label = f"\\label{{sec:{Path(self.name).stem}}}"
        return f"\\section*{{{title}}}{label}\\addcontentsline{{toc}}{{section}}{{{title}}}"

    def on_paragraph(self, node: SyntaxTreeNode) -> str:
        return re.sub(r"\s*\$\\square\$$", r"\\qed", self.inside(node))

    def on_bullet_list(self, node: SyntaxTreeNode) -> str:
        return f"\\begin{{itemize}}\n{self.inside(node)}\\end{{itemize}}"

    def on_ordered_list(self, node: SyntaxTreeNode) -> str:
        return f"\\begin{{enumerate}}\n{self.inside(node)}\\end{{enumerate}}"

    def on_list_item(self, node: SyntaxTreeNode) -> str:
        return f"\\item {self.blocks(node)}\n"

    def on_fence(self, node: SyntaxTreeNode) -> str:
        if not node.content.isascii():
            raise ConversionError(f"{self.name}: a fence with letters beyond ASCII, {node.content!r}")
        return f"\\begin{{verbatim}}\n{node.content}\\end{{verbatim}}"

    def on_math_block(self, node: SyntaxTreeNode) -> str:
        return f"\\[\n{mathematics(node.content.strip(), self.name)}\n\\]"

    on_math_inline_double = on_math_block  # a display in the middle of a paragraph

    def on_table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        sides = [SIDES.get(str(cell.attrs.get("style")), "l") for cell in rows[0].children]
        return table([[self.inside(cell) for cell in row.children] for row in rows], sides)

    def on_text(self, node: SyntaxTreeNode) -> str:
        if "$" in node.content:
            raise ConversionError(f"{self.name}: a dollar without its partner in {node.content!r}")
        return prose(node.content, self.name)

    def on_softbreak(self, _: SyntaxTreeNode) -> str:
        return "\n"

    def on_strong(self, node: SyntaxTreeNode) -> str:
        return f"\\textbf{{{self.inside(node)}}}"

    def on_em(self, node: SyntaxTreeNode) -> str:
        return f"\\emph{{{self.inside(node)}}}"

    def on_code_inline(self, node: SyntaxTreeNode) -> str:
        return code(node.content, self.name)

    def on_math_inline(self, node: SyntaxTreeNode) -> str:
        return f"${mathematics(node.content, self.name)}$"

    def on_link(self, node: SyntaxTreeNode) -> str:
        target, shown = str(node.attrs["href"]), self.inside(node)
        if target.startswith("https://"):
            address = re.sub("([%#])", r"\\\1", target)
            return f"\\href{{{address}}}{{{shown}}}"
        path = Path(target.partition("#")[0])
        if not (HERE / path).exists():
            raise ConversionError(f"{self.name}: links to {target}, which does not exist")
        if path.suffix != ".md":
            return code(path.name, self.name)
        numbered = re.match(r"(\d\d)_", path.name)
        label = f"T{int(numbered[1])}" if numbered else path.stem
        return f"\\hyperref[sec:{label}]{{{shown}}}"


def code(source: str, name: str) -> str:
    """A name of the program, which may be broken after a dot, an underscore or a slash."""
    typed = prose(source, name).replace("--", "-{}-").replace("'", r"\textquotesingle{}")
    broken = re.sub(r"(?<=\w)(\.|\\_|/)(?=\w)", r"\1\\allowbreak{}", typed)
    return f"\\texttt{{{broken}}}"
