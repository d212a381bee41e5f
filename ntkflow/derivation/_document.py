"""A derivation as a LaTeX document that compiles by itself."""

from __future__ import annotations

import re
import unicodedata

from .._tables import latex_text
from ..algorithms import Rule

PREAMBLE = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{lmodern,microtype}
\usepackage[margin=27mm]{geometry}
\usepackage{amsmath,amssymb,booktabs}
\usepackage[hidelinks]{hyperref}
\AddToHook{env/bmatrix/begin}{\renewcommand{\arraystretch}{1.4}} % fractions need room
\allowdisplaybreaks
"""

CHECKED = r"\providecommand{\checked}[1]{\noindent{\small\emph{Checked in exact arithmetic against} #1.}\par}"

NOTATION = (  # a letter's LaTeX, the pattern by which it is found in the text, its meaning
    (r"Q,\ q", r"Q|_q|q}", "number of agents; one of them"),
    (r"D", r"\bD\b", "samples of each agent"),
    (r"n_{\mathrm{out}}", r"n_\{", "outputs of the network"),
    (r"W = (w_{qj})", r"mathcal\{W\}|w_", "mixing matrix, every row sums to 1"),
    (r"\mathcal{W} = W \otimes I", r"mathcal\{W\}", "mixing of the stacked parameters"),
    (
        r"\overline{\mathcal{W}}",
        "overline",
        "the average over all agents, $(\\mathbf{1}\\mathbf{1}^{\\top}/Q) \\otimes I$",
    ),
    (r"\eta", r"\\eta", "step size"),
    (r"\mu", r"\\mu\b", "a number of the rule's own: in the catalogue its momentum"),
    (r"\theta_q,\ \vartheta", "vartheta", "parameters of agent $q$; of all agents, stacked"),
    (r"\vartheta_0", "vartheta_0", "where they start"),
    (r"f,\ f_0,\ \mathbf{y}", "f_0", "outputs on the agents' own data; at the start; targets"),
    (r"e_0 = f_0 - \mathbf{y}", "e_0", "residuals at the start"),
    (r"J_0", "J_0", "Jacobian of the outputs at the start, block-diagonal"),
    (r"c", r"\bc\b", "block-diagonal factors of the agents' gradients"),
    (r"\Psi_0", "Psi_0", "curvature of the loss"),
    (r"g_q,\ g", "g(", "gradient of the loss of agent $q$; of all agents, stacked"),
    (r"s,\ s_0", "s_0", "state: all blocks of the rule, stacked; at the start"),
    (r"M,\ b", r"M\\,s", "matrix and constant of the iteration, $s^{+} = M\\,s + b$"),
    (r"A,\ u", r"A\\,s", "matrix and constant input of the flow, $\\dot{s} = A\\,s + u$"),
    (r"x,\ u_x", "u_x", "state counted from where the parameters start; its constant input"),
    (r"B,\ C", r"C\\,x", "from residuals to the input of $x$; from $x$ to the outputs"),
    (r"k,\ t", "s(t)", "number of updates; time, counted in updates"),
)


FAR = 0x180  # beyond Latin letters pdflatex knows no character by itself


def document(title: str, body: str, references: list[str]) -> str:
    """The whole .tex file."""
    return "\n".join([
        PREAMBLE, rf"\title{{{title}}}", r"\author{}\date{}", r"\begin{document}", r"\maketitle", body,
        *([r"\begin{thebibliography}{9}", *references, r"\end{thebibliography}"] if references else []),
        r"\end{document}", "",
    ])  # fmt: skip


def notation_table(body: str) -> str:
    """The letters that the text uses, and what they mean."""
    rows = [rf"${letter}$ & {meaning} \\" for letter, pattern, meaning in NOTATION if _occurs(pattern, body)]
    return "\n".join(
        [r"\begin{center}\small\begin{tabular}{@{}ll@{}}\toprule", *rows, r"\bottomrule\end{tabular}\end{center}"]
    )


def references(rule: Rule) -> list[str]:
    """Where the rule is published, and the two papers that the method is from."""
    papers = [
        r"\bibitem{p2p} S. Chaudhari, S. Pranav, E. Anand, J. M. F. Moura. Peer-to-Peer Learning Dynamics of Wide "
        r"Neural Networks. ICASSP 2025. arXiv:2409.15267.",
    ]
    return [*papers, *([rf"\bibitem{{rule}} The rule: {escaped(rule.source)}."] if rule.source else [])]


def escaped(plain: str) -> str:
    """Text with the characters that LaTeX takes for commands made harmless, and without those that it cannot print."""
    composed = re.sub(r"(.)\u0303", r"\1~", unicodedata.normalize("NFC", plain))
    return "".join(map(_printable, composed))


def _printable(character: str) -> str:
    mapped = latex_text(character)
    if mapped != character or ord(character) < FAR:
        return mapped
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _occurs(pattern: str, body: str) -> bool:
    return bool(re.search(pattern if "\\" in pattern or "|" in pattern else re.escape(pattern), body))
