"""Lets the tests find the plugin where it is not installed; its own repository would install it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
