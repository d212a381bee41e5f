r"""Writes the collected theory as LaTeX: `python theory/build.py`, or with ``--check`` says what is out of date.

``derivations/NAME.tex`` has the derivation of a rule of the catalogue, ``ntkflow-theory.tex`` the whole: the theorems
of this folder, the derivations, the references.  To read it: `pdflatex ntkflow-theory`, three times.
"""

import argparse
import importlib
import re
import sys
from pathlib import Path

from to_latex import code, page, prose

import ntkflow as nf
from ntkflow.derivation._document import PREAMBLE, notation_table

HERE = Path(__file__).parent
NORMALIZATION = "global"  # eqs. (7)-(12) of the paper
ORDER = (
    "gd", "dgd", "atc", "cta", "cdsgd", "icdsgd", "cdmsgd", "cdmsgd_nesterov", "cdmsgd_published", "fedavg", "extra",
    "exact_diffusion", "d2", "nids", "diging", "aug_dgm", "atc_tracking",
)  # fmt: skip

ADDITIONS = r"""
\usepackage{tabularx,tocloft,parskip}
\emergencystretch=3em
\setcounter{tocdepth}{1}
\setlength{\cftsecnumwidth}{2.8em}
\setlength{\cftbeforesecskip}{0pt}
\setlength{\cftbeforepartskip}{0.6em}
\renewcommand{\cftsecfont}{\normalfont}
\renewcommand{\cftsecpagefont}{\normalfont}
\renewcommand{\cftsecleader}{\cftdotfill{\cftdotsep}}
\numberwithin{equation}{section}
\renewcommand{\theHsection}{\thesection}
\renewcommand{\theHequation}{\theequation}
\newcommand{\qed}{{\unskip\nobreak\hfil\penalty50\hskip1em\null\nobreak\hfil$\square$%
  \parfillskip=0pt\finalhyphendemerits=0\par}}
\AtBeginDocument{\abovedisplayskip=8pt plus 2pt minus 4pt \belowdisplayskip=\abovedisplayskip}
\hypersetup{pdftitle={The theory of ntkflow}}
"""
ABSTRACT = r"""
Agents on a graph train one wide network together, each on its own data, by a decentralised algorithm. In the regime of
the neural tangent kernel the training follows a linear system. Part~\ref{part:theorems} states and proves what the
package \texttt{ntkflow} relies on: when such a system is stable, how large its step size may be, how many states it
needs, where it ends, and how far its prediction can be trusted. Part~\ref{part:derivations} derives the system of every
rule in the catalogue, step by step. Every theorem is checked by a script that bears its number, and every step of a
derivation in exact arithmetic, on small explicit networks. The method is that of~\cite{2409.15267}.
"""
DERIVATIONS = r"""
The derivations are written by the package itself, from a rule's update expressions alone. They are given for agents
with $D$ samples each and the gradient of the mean loss of all agents; theorem~\ref{sec:T2} has the other conventions.
The letters are these:
"""
PAPERS = {  # by arXiv number, in the order of the list
    "2409.15267": "S. Chaudhari, S. Pranav, E. Anand, J. M. F. Moura. "
    "Peer-to-peer learning dynamics of wide neural networks. ICASSP 2025",
    "1706.07880": "Z. Jiang, A. Balu, C. Hegde, S. Sarkar. "
    "Collaborative deep learning in fixed topology networks. NeurIPS 2017",
    "1805.12120": "Z. Jiang, A. Balu, C. Hegde, S. Sarkar. "
    "On consensus-optimality trade-offs in collaborative deep learning. 2018",
    "1602.05629": "H. B. McMahan, E. Moore, D. Ramage, S. Hampson, B. Agüera y Arcas. "
    "Communication-efficient learning of deep networks from decentralized data. AISTATS 2017",
    "1404.6264": "W. Shi, Q. Ling, G. Wu, W. Yin. "
    "EXTRA: an exact first-order algorithm for decentralized consensus optimization. SIAM J. Optim. 2015",
    "1702.05122": "K. Yuan, B. Ying, X. Zhao, A. H. Sayed. "
    "Exact diffusion for distributed optimization and learning, part I. IEEE Trans. Signal Process. 2019",
    "1803.07068": "H. Tang, X. Lian, M. Yan, C. Zhang, J. Liu. "
    "D²: decentralized training over decentralized data. ICML 2018",
    "1704.07807": "Z. Li, W. Shi, M. Yan. "
    "A decentralized proximal-gradient method with network independent step-sizes and separated convergence "
    "rates. IEEE Trans. Signal Process. 2019",
    "1607.03218": "A. Nedić, A. Olshevsky, W. Shi. "
    "Achieving geometric convergence for distributed optimization over time-varying graphs. SIAM J. Optim. 2017",
    "1602.00591": "P. Di Lorenzo, G. Scutari. "
    "NEXT: in-network nonconvex optimization. IEEE Trans. Signal Inf. Process. Netw. 2016",
}  # fmt: skip


def files() -> dict[Path, str]:
    """Every file that is written, with its text."""
    derivations = {name: derivation(name) for name in rules()}
    fragments = {HERE / "derivations" / f"{name}.tex": text for name, text in derivations.items()}
    return {**fragments, HERE / "ntkflow-theory.tex": document("".join(derivations.values()))}


def rules() -> list[str]:
    """The catalogue in the order of `ORDER`, what is not in it last."""
    return sorted(nf.algorithms.names(), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def derivation(name: str) -> str:
    """A section on one rule: what it is, where it is from, its derivation."""
    module = importlib.import_module(f"ntkflow.algorithms.{name}")
    sentence = prose(" ".join(module.__doc__.split("\n\n")[0].split()), name)
    title = re.split("[:;,]", sentence)[0].removesuffix(".")
    return "\n".join([
        f"% Written by theory/build.py from the rule in ntkflow/algorithms/{name}.py",
        f"\\section{{{title} ({code(name, name)})}}\\label{{sec:{name}}}", "",
        f"{sentence} Source: {prose(module.RULE.source, name)}~\\cite{{{key(name)}}}.", "",
        nf.Derivation(name, normalization=NORMALIZATION).latex(),
    ])  # fmt: skip


def key(name: str) -> str:
    """Of a rule's source in the references: its arXiv number, or the rule where there is none."""
    number = re.search(r"arXiv (\d{4}\.\d{4,5})", nf.algorithms.get(name).source)
    return number[1] if number else name


def document(derivations: str) -> str:
    """The whole: theorems, derivations, step sizes where they have been tabulated, references."""
    steps = HERE / "step_sizes.md"
    return "\n".join([
        "% Written by theory/build.py", PREAMBLE.rstrip() + ADDITIONS,
        r"\begin{document}", r"\begin{center}\LARGE The theory of \texttt{ntkflow}\end{center}",
        rf"\begin{{abstract}}{ABSTRACT}\end{{abstract}}", r"\tableofcontents",
        part("Theorems", "theorems", "T"), *(page(path.read_text("utf-8"), path.name) for path in theorems()),
        part("Derivations", "derivations", "R"), DERIVATIONS.strip(), notation_table(derivations),
        *(f"\\input{{derivations/{name}}}" for name in rules()),
        *([part("Step sizes", "steps", "S"), page(steps.read_text("utf-8"), steps.name)] if steps.exists() else []),
        references(), r"\end{document}", "",
    ])  # fmt: skip


def theorems() -> list[Path]:
    """The pages, in the order of their numbers."""
    return sorted(HERE.glob("[0-9][0-9]_*.md"))


def part(title: str, label: str, letter: str) -> str:
    """A part whose sections are numbered after its letter."""
    section = rf"\setcounter{{section}}{{0}}\renewcommand{{\thesection}}{{{letter}\arabic{{section}}}}"
    return rf"\clearpage{section}\part{{{title}}}\label{{part:{label}}}"


def references() -> str:
    """The papers, and the sources of rules that are not among them."""
    papers = {number: f"{prose(paper, 'PAPERS')}. arXiv:{number}" for number, paper in PAPERS.items()}
    sources = {key(name): prose(nf.algorithms.get(name).source, name) for name in rules() if key(name) not in papers}
    items = [f"\\bibitem{{{label}}} {entry}." for label, entry in {**papers, **sources}.items()]
    return "\n".join([r"\begin{thebibliography}{99}", *items, r"\end{thebibliography}"])


def main() -> None:
    """Write the files, or say which of them differ from what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
    check = parser.parse_args().check
    wanted = files()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    superfluous = sorted(set((HERE / "derivations").glob("*.tex")) - set(wanted))
    if check and (stale or superfluous):
        names = ", ".join(str(path.relative_to(HERE)) for path in stale + superfluous)
        sys.exit(f"out of date in theory/: {names}; run python theory/build.py")
    if not check:
        (HERE / "derivations").mkdir(exist_ok=True)
        for path in superfluous:
            path.unlink()
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")


if __name__ == "__main__":
    main()
