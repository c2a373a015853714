"""What all tests share: compiled programs are kept beside pytest's own cache, not in the user's."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("CHAINRULE_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "chainrule"))
