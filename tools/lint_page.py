"""Lints the script of a report's page; `make lint`.

The page joins its files to one script, and so does this: a name that one file defines and another uses is neither
undefined nor unused. What the browser and Plotly give is named here, since Deno has no document.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

from rnnlab.report import page

FOLDER = Path(page.__file__).parent
DENO = Path(sys.executable).with_name("deno")
GIVEN = (
    "const { document, getComputedStyle, matchMedia, IntersectionObserver, Plotly, scrollX, scrollY, scrollTo }"
    " = globalThis;\n"
)


def main() -> None:
    """Print each complaint as `file:line:column: message`, and end with 1 where there is one."""
    texts = {name: (FOLDER / name).read_text(encoding="utf-8") for name in page._SCRIPTS}
    script = GIVEN + "".join(texts.values())
    done = subprocess.run(
        [DENO, "lint", "--json", "--ext=js", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "DENO_NO_UPDATE_CHECK": "1"},
        check=False,
    )
    if not done.stdout:
        sys.exit(done.stderr)
    result = json.loads(done.stdout)
    for one in result["diagnostics"]:
        start = one["range"]["start"]
        print(f"{place(start['line'], texts)}:{start['col'] + 1}: {one['message']} ({one['code']})")
    for error in result["errors"]:
        print(error["message"])
    sys.exit(done.returncode)


def place(line: int, texts: dict[str, str]) -> str:
    """A line of the joined script, from 1, as `file:line`."""
    ends = accumulate((len(text.splitlines()) for text in texts.values()), initial=1)
    begins = dict(zip(texts, ends, strict=False))
    name = max((name for name, begin in begins.items() if begin < line), key=begins.__getitem__, default="")
    return f"{FOLDER / name}:{line - begins[name]}" if name else f"{__file__}"


if __name__ == "__main__":
    main()
