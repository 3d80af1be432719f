"""A report as one HTML file that opens offline. It contains its scripts, its style and its data.

encoding    numbers in few bytes, curves with few points
run         one run on the page
probe_charts  what probes measured, on the page
payload     the texts and the data of a page
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from importlib.resources import files

from rnnlab.errors import UsageError
from rnnlab.report.channels import Asked
from rnnlab.report.findings import Findings
from rnnlab.report.page.run import Thinned

_SCRIPTS = ("unpack.js", "charts.js", "run.js", "groups.js", "probes.js", "page.js", "reload.js")
_PACKAGES = ("jinja2", "plotly")


def check_ready() -> None:
    """Raise UsageError with the command that installs them, where packages for a page are missing."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"a page is made with {' and '.join(missing)}: pip install 'rnnlab[report]'")


def page(
    findings: Findings,
    thinned: Thinned | None = None,
    asked: Asked | None = None,
    title: str | None = None,
    reload: int | None = None,
) -> str:
    """The page. It loads nothing from another host, and never treats text of a run as HTML or script.

    With `reload` it reads itself again after so many seconds, and keeps what is checked and chosen.

    The Content-Security-Policy allows the two scripts by their hashes, and nothing else that is active. The data are in
    a block that is not a script, with every `<` escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    from rnnlab.report.page.payload import payload

    own = "\n".join(_text(name) for name in _SCRIPTS)
    scripts = [Markup(get_plotlyjs()), Markup(own)]
    environment = Environment(
        loader=PackageLoader("rnnlab.report.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    data, texts = payload(findings, thinned, asked or Asked(), title)
    data["reload"] = reload
    return environment.get_template("page.html").render(
        policy=_policy(scripts), scripts=scripts, style=Markup(_text("page.css")), data=Markup(_in_block(data)), **texts
    )


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Plotly sets styles from its script; an inline style can load nothing.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _in_block(data: object) -> str:
    """JSON that cannot end the element that contains it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
