"""The command line: ``ntkflow verify``, ``spectrum``, ``compare``, ``predict``, ``derive``, ``reproduce``,
``doctor``.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from ._app import app, main
from ._derive import derive
from ._doctor import doctor
from ._experiments import figures, predict
from ._options import ACTIVATIONS, ALGORITHMS, GRAPHS, NORMALIZATIONS, WEIGHTS
from ._verify import compare, spectrum, verify

__all__ = ["ACTIVATIONS", "ALGORITHMS", "GRAPHS", "NORMALIZATIONS", "WEIGHTS", "app", "main"]

app.command(short_help="Say whether a set-up is stable and minimal, by the exit code too.")(verify)
app.command(short_help="List the modes of a set-up by their rate.")(spectrum)
app.command(short_help="Set algorithms, graphs and step sizes side by side.")(compare)
app.command()(predict)
app.command(short_help="Derive an algorithm's linear system from its update rule.")(derive)
app.add_typer(figures, name="reproduce")
app.command(short_help="Say what is installed and which devices are usable.")(doctor)
