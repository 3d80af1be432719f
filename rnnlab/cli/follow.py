"""A report that is written anew as runs end, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from rnnlab.cli.report_request import ReportRequest
from rnnlab.cli.streams import print_error
from rnnlab.errors import RnnlabError, UsageError

_SECONDS = 2.0
"""Between two looks at the runs."""
_RELOAD = 10
"""Seconds after which the page in a browser reads itself again."""
Ended = frozenset[tuple[str, str, str]]


def follow(request: ReportRequest, after_first: Callable[[], None] = lambda: None) -> None:
    """Write what was asked for whenever a run has ended; `after_first` is called once there is a page.

    A Ctrl-C ends it: the last page does not reload itself any more.
    """
    quiet = replace(request, quiet=True, reload=_RELOAD)
    seen: Ended | None = None
    said = ""
    try:
        while True:
            ended = ended_runs(request)
            if ended and ended != seen:
                message = _written(quiet, ended)
                if message != said and not request.quiet:
                    print_error(message)
                if seen is None:
                    after_first()
                seen, said = ended, message
            elif not ended and not said:
                said = "waiting for the first run to end"
                print_error(said)
            time.sleep(_SECONDS)
    except KeyboardInterrupt:
        if seen:
            replace(quiet, reload=None).write()
        raise


def ended_runs(request: ReportRequest) -> Ended:
    """The runs that have ended, with their status and when that was; a run that goes on and ends again is another."""
    try:
        runs = request.chosen()
    except RnnlabError:  # there is no folder yet, or none of its runs has the setting of a condition
        return frozenset()
    return frozenset((str(run.path), run.status, str(run.info.get("ended"))) for run in runs if run.status != "running")


def _written(request: ReportRequest, ended: Ended) -> str:
    """Write it; what is said of that. Runs that cannot be compared now may be later, with more of them."""
    count = f"{len(ended):,} run{'s' * (len(ended) != 1)}"
    try:
        request.write()
    except UsageError as error:
        return f"{count} ended; not written: {error}"
    return f"wrote {request.html}: {count} ended"
