"""The code of a page, run as it is printed: figures of the documentation come from what the reader sees."""

import re
from pathlib import Path

_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(page: str, count: int) -> None:
    """Run the first ``count`` Python fences of a page beside the one being built, as one program."""
    exec("\n".join(_FENCE.findall(Path(page).read_text("utf-8"))[:count]), {})
