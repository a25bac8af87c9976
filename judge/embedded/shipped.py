"""The shipped files: two small arrays of weights and the model card beside them.

Arrays are loaded without pickle and checked against the card's hashes, so that a file that was
changed or damaged is refused and none can run code.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from judge.embedded.hashing import BUCKETS
from judge.embedded.heads import KINDS, EvidenceHeads
from judge.embedded.stance import Cuts, Linear, StanceHead
from judge.errors import JudgeUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

STANCE_FILE, EVIDENCE_FILE, CARD_FILE = "stance.npz", "evidence.npz", "card.json"
HEADS = {"head": 512, "opening": 512, "rest": 512, "stack": 10, "helps": 6}


@dataclass(frozen=True)
class Weights:
    """The loaded heads, the card's figures, and the hash that stands for all of them."""

    stance: StanceHead
    evidence: EvidenceHeads
    card: Mapping[str, Any]
    sha256: str


def folder() -> Traversable:
    """Where the shipped files lie."""
    return resources.files("judge.embedded") / "weights"


@cache
def shipped_weights() -> Weights:
    """The weights that come with the package.

    Raises:
        JudgeUnavailable: they are missing, damaged or not the ones that the card describes.
    """
    return load_weights(folder())


def load_weights(place: Traversable) -> Weights:
    """Load and check the three files of a folder.

    Raises:
        JudgeUnavailable: see `shipped_weights`.
    """
    try:
        card = json.loads((place / CARD_FILE).read_text(encoding="utf-8"))
        data = {name: (place / name).read_bytes() for name in (STANCE_FILE, EVIDENCE_FILE)}
        for name, content in data.items():
            _check_hash(name, content, card)
        stance = unpack_stance(read_arrays(data[STANCE_FILE]))
        evidence = unpack_evidence(read_arrays(data[EVIDENCE_FILE]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"the embedded scorer's weights can't be used: {error}"
        raise JudgeUnavailable(f"{problem} (install flames-judge again)") from None
    whole = hashlib.sha256(data[STANCE_FILE] + data[EVIDENCE_FILE]).hexdigest()
    return Weights(stance, evidence, card, whole)


def _check_hash(name: str, content: bytes, card: Mapping[str, Any]) -> None:
    if hashlib.sha256(content).hexdigest() != card["weights_sha256"][name]:
        raise ValueError(f"{name} is not the file that the card describes")


def read_arrays(content: bytes) -> Arrays:
    """The arrays of an .npz file.

    Raises:
        ValueError: it is no .npz file, or holds objects that would need pickle.
    """
    import zipfile

    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise ValueError(f"not an .npz file: {error}") from None


def pack_stance(head: StanceHead) -> dict[str, NDArray[np.float32]]:
    """The arrays of a stance head, as they are saved."""
    import numpy as np

    arrays = {}
    for name in HEADS:
        linear: Linear = getattr(head, name)
        arrays[name] = np.append(linear.weight, linear.bias).astype(np.float32)
    arrays["cuts"] = np.array(astuple(head.cuts), dtype=np.float32)
    return arrays


def unpack_stance(arrays: Arrays) -> StanceHead:
    """The stance head that the arrays hold.

    Raises:
        ValueError: a shape is wrong or a number isn't finite.
        KeyError: an array is missing.
    """
    import numpy as np

    linear = {}
    for name, size in HEADS.items():
        values = _checked(arrays, name, (size + 1,)).astype(np.float64)
        linear[name] = Linear(values[:-1], float(values[-1]))
    cuts = _checked(arrays, "cuts", (len(fields(Cuts)),))
    return StanceHead(**linear, cuts=Cuts(*(round(float(cut), 6) for cut in cuts)))


def pack_evidence(heads: EvidenceHeads) -> dict[str, NDArray[Any]]:
    """The arrays of the evidence heads, as they are saved."""
    import numpy as np

    small = {name: getattr(heads, name).astype(np.float32) for name in ("scale", "bias", "cuts")}
    return {"weights": heads.weights, "idf": heads.idf, **small}


def unpack_evidence(arrays: Arrays) -> EvidenceHeads:
    """The evidence heads that the arrays hold.

    Raises:
        ValueError: a shape is wrong or a number isn't finite.
        KeyError: an array is missing.
    """
    import numpy as np

    count = len(KINDS)
    small = {
        name: _checked(arrays, name, (count,)).astype(np.float64)
        for name in ("scale", "bias", "cuts")
    }
    weights = _checked(arrays, "weights", (count, BUCKETS)).astype(np.int8)
    idf = _checked(arrays, "idf", (BUCKETS,)).astype(np.uint8)
    return EvidenceHeads(weights=weights, idf=idf, **small)


def _checked(arrays: Arrays, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    array = arrays[name]
    if array.shape != shape or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"the array {name} is not what it should be")
    return array
