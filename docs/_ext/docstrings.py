"""What ntkflow's docstrings mean by a bar, a lone capital and a colon, where reStructuredText would read otherwise."""

import re

ABSOLUTE = re.compile(r"(`+[^`]+`+)|\|(?=\S)([^|`]*\S)\|")  # literals stay as they are
LETTER = re.compile(r"^(\s*)([A-Z]\.)$")


def read(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Change ``lines`` so that what follows reads them as they are meant."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            # |x| is an absolute value, not a substitution
            line = ABSOLUTE.sub(lambda found: found[1] or rf"\|{found[2]}\|", line)
            lines[i] = LETTER.sub(r"\1\\\2", line)  # "M." is a name, not the thirteenth item of a list
    if what in ("property", "attribute", "data"):
        # "The first state: zero ..." is a sentence, not a type and its description, which is what Napoleon makes
        # of the first line; an empty comment goes first.
        lines[:0] = ["..", ""]


def setup(app: object) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", read, priority=100)
    return {"parallel_read_safe": True}
