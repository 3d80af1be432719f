"""Findings of runs on disk, hostile texts, and the page's numbers read back."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np

from rnnlab.compare.collection import load_runs
from rnnlab.report.findings import Findings
from rnnlab.report.page.encoding import NOT_FINITE, NOT_RECORDED, UNDERFLOW, ZERO

NASTY = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://example.com")'


def findings(root: Path, *by: str, **options: Any) -> Findings:
    return Findings(load_runs(root).group_by(*by), **options)


def unpacked(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    codes = np.frombuffer(base64.b64decode(packed["codes"]), "<i2").reshape(packed["shape"])
    values = packed["low"] + (codes.astype(float) + 32000) * packed["step"]
    for code, value in ((NOT_RECORDED, np.nan), (ZERO, -np.inf), (UNDERFLOW, np.nan), (NOT_FINITE, np.inf)):
        values[codes == code] = value
    return values
