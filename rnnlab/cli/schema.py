"""`rnnlab schema`."""

from __future__ import annotations

EXAMPLES = """\b
Example:
  rnnlab schema > schema.json

\b
Then, as the first line of a config beside it, for editors that speak it:
  # yaml-language-server: $schema=schema.json
"""


def schema() -> None:
    """Print the JSON Schema of a config, for editors.

    Draft 2020-12; an editor checks and completes a config by it.
    """
    import json

    from rnnlab.config import json_schema

    print(json.dumps(json_schema(), indent=2))
