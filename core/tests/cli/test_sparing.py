from __future__ import annotations

import subprocess
import sys


def printed(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_what_is_optional_is_left_out_and_can_be_had_afterwards() -> None:
    """Structlog does without rich, which a plugin may import all the same."""
    told = printed(
        "import sys\n"
        "from swarmgate.cli.sparing import without\n"
        "with without('rich'):\n    import structlog\n"
        "print(structlog.dev.rich, 'rich' in sys.modules)\n"
        "import rich\n"
        "print(rich.__name__)\n"
    )
    assert told == ["None", "False", "rich"]


def test_what_is_there_stays() -> None:
    """Whoever has imported it keeps it."""
    told = printed(
        "import rich, sys\n"
        "from swarmgate.cli.sparing import without\n"
        "with without('rich'):\n    import rich.text\n"
        "print(sys.modules['rich'] is rich)\n"
    )
    assert told == ["True"]
