"""The directive ``command-help``: what a command of ntkflow says about itself."""

import os
import subprocess
import sys

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class CommandHelp(SphinxDirective):
    """The output of ``ntkflow ... --help`` as a literal block."""

    has_content = False
    optional_arguments = 3

    def run(self) -> list[nodes.Node]:
        """Ask the command."""
        words = [word for argument in self.arguments for word in argument.split()]
        code = "from ntkflow.cli import main; main()"
        environment = os.environ | {"COLUMNS": "88", "NO_COLOR": "1"}
        answer = subprocess.run(
            [sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True, env=environment
        )
        return [nodes.literal_block(text=answer.stdout.strip(), language="text")]


def setup(app: object) -> dict[str, bool]:
    """What Sphinx calls."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
