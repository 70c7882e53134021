"""Holds documents against the openai package's types, without any mercy: one to a line, events or responses.

python responses_types.py < LINES
"""

from __future__ import annotations

import json
import sys

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter


def main() -> None:
    """Print the type of each line as JSON; whatever does not fit raises."""
    event = TypeAdapter(ResponseStreamEvent)
    found: list[str] = []
    for line in sys.stdin:
        if "sequence_number" in json.loads(line):
            found.append(event.validate_json(line, strict=True).type)
        else:
            found.append(Response.model_validate_json(line, strict=True).object)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
