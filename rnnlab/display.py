"""How objects show themselves in a notebook: what `rnnlab.report.notebook` writes, which is loaded when it is asked."""

from __future__ import annotations

from importlib import import_module


class InNotebook:
    """An object that a notebook shows as HTML with an SVG of its curve: no script, and nothing from elsewhere.

    >>> import rnnlab
    >>> rnnlab.Run("runs/lstm-T40-s0")._repr_html_().startswith("<div")
    True
    """

    def _repr_html_(self) -> str:
        # A path, so that what stands below reports imports none of them.
        html: str = import_module("rnnlab.report.notebook").html_of(self)
        return html
