"""Give numba a cache that changes whenever any kernel source changes; find the reference suite."""

import hashlib
import os
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_digest = hashlib.sha256()
for _source in sorted((_ROOT / "models" / "kernels").glob("*.py")):
    _digest.update(_source.read_bytes())
os.environ["NUMBA_CACHE_DIR"] = str(_ROOT / ".numba_cache" / _digest.hexdigest()[:16])
os.environ.setdefault("MPLBACKEND", "Agg")
