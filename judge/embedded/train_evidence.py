"""Fit the hashed evidence heads and choose their cuts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from judge.embedded.fold import fold
from judge.embedded.hashing import BUCKETS, grams
from judge.embedded.heads import KINDS, PIECE_MARGIN, EvidenceHeads, readable
from judge.embedded.published import Text
from judge.embedded.spans import spans
from judge.embedded.spans import windows as windows_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from judge.embedded.stance import Array

C = 2.0  # inverse regularisation
FALSE_ALARMS = 0.01  # of a source's benign texts, whether the heads saw that source or not
LEAST_CUT = 0.0  # as a logit: more likely than not
FOLDS = 5
_IDF_UNIT = 20
# Texts that may or may not hold what a head looks for.
_UNCLEAR = {"abuse": frozenset({"unsafe", "porn"})}


class Asked:
    """All that the heads are asked about many texts, pieces too, and whose it is.

    `margin` is what a part's logits need above the cuts, shape (parts, 5).
    """

    def __init__(self, texts: Sequence[str]) -> None:
        import numpy as np

        folded = [fold(text).text for text in texts]
        parts = [
            (i, span)
            for i, text in enumerate(folded)
            for span in spans(text)
            if readable(text[span[0] : span[1]])
        ]
        self.texts = [folded[i][start:end] for i, (start, end, _) in parts]
        self.owner = np.array([i for i, _ in parts], dtype=np.int64)
        self.margin = np.outer([piece for _, (_, _, piece) in parts], PIECE_MARGIN)
        self.count = len(folded)


class Windows:
    """The windows of many texts, their hashed features and whose they are."""

    def __init__(self, texts: Sequence[str]) -> None:
        import numpy as np
        from scipy.sparse import csr_matrix

        folded = [fold(text).text for text in texts]
        parts = [(i, span) for i, text in enumerate(folded) for span in windows_of(len(text))]
        self.texts = [folded[i][start:end] for i, (start, end, _) in parts]
        self.owner = np.array([i for i, _ in parts])
        self.margin = np.zeros((len(parts), len(KINDS)))
        self.count = len(folded)
        pairs = grams(self.texts)
        ones = np.ones(len(pairs.row))
        self.features: Any = csr_matrix(
            (ones, (pairs.row, pairs.bucket)), shape=(len(parts), BUCKETS)
        )

    def of(self, owners: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The numbers of the windows whose texts are marked."""
        found: NDArray[np.int64] = owners[self.owner].nonzero()[0]
        return found


def train_evidence(texts: Sequence[Text]) -> EvidenceHeads:
    """The five heads, fitted on windows, with their cuts, chosen on all that is asked."""
    import numpy as np

    said = [text.text for text in texts]
    windows = Windows(said)
    heads = fit_heads(windows, texts, np.ones(len(texts), dtype=bool))
    unseen = unseen_scores(windows, texts, Asked(said))
    return with_cuts(heads, chosen_cuts((scores, benign) for _, scores, benign in unseen))


def chosen_cuts(unseen: Iterable[tuple[Array, NDArray[np.bool_]]]) -> Array:
    """The least cuts with at most 1 % false alarms on every source, in and out of training."""
    import numpy as np

    cuts = np.full(len(KINDS), LEAST_CUT)
    for scores, benign in unseen:
        at = np.quantile(scores[benign], 1 - FALSE_ALARMS, axis=0, method="higher")
        cuts = np.maximum(cuts, at)
    rounded: Array = np.ceil(cuts * 100) / 100
    return rounded


def with_cuts(heads: EvidenceHeads, cuts: Array) -> EvidenceHeads:
    """The same heads with other cuts."""
    return EvidenceHeads(heads.weights, heads.scale, heads.bias, heads.idf, cuts)


def unseen_scores(
    windows: Windows, texts: Sequence[Text], asked: Asked | None = None
) -> Iterator[tuple[str, Array, NDArray[np.bool_]]]:
    """Strongest logits of each text by heads that didn't see it, (name, (texts, 5), benign texts).

    The heads are fitted on windows, and asked about these or about `asked`. Once cross-fitted over
    all sources, and once for each source, with that source left out. Where a head would have
    nothing to look for without the source, only its benign texts are left out.
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold

    about = windows if asked is None else asked
    benign = np.array([text.kind == "safe" for text in texts])
    source = np.array([text.source for text in texts])
    kinds = np.array([text.kind for text in texts])
    crossed = np.zeros((len(texts), len(KINDS)))
    same = np.unique([fold(text.text).text for text in texts], return_inverse=True)[1]
    for inner, held in GroupKFold(FOLDS).split(crossed, groups=same):
        mask = np.zeros(len(texts), dtype=bool)
        mask[inner] = True
        crossed[held] = strongest(fit_heads(windows, texts, mask), about)[held]
    for name in sorted(set(source)):
        yield f"{name}, cross-fitted", crossed, benign & (source == name)
    for name in sorted(set(source)):
        own = source == name
        scores = strongest(fit_heads(windows, texts, ~(own & benign)), about)
        whole = [i for i, kind in enumerate(KINDS) if (kinds[~own] == kind).any()]
        without = fit_heads(windows, texts, ~own, [KINDS[i] for i in whole])
        scores[:, whole] = strongest(without, about)[:, whole]
        yield f"{name}, left out", scores, own & benign


def strongest(heads: EvidenceHeads, asked: Windows | Asked) -> Array:
    """The largest logit of each text's parts less its margin, shape (texts, 5)."""
    import numpy as np

    best = np.full((asked.count, len(KINDS)), -np.inf)
    for at in range(0, len(asked.texts), 4096):
        batch = slice(at, at + 4096)
        logits = heads.logits(asked.texts[batch]) - asked.margin[batch]
        np.maximum.at(best, asked.owner[batch], logits)
    return best


def fit_heads(
    windows: Windows,
    texts: Sequence[Text],
    use: NDArray[np.bool_],
    kinds: Sequence[str] = KINDS,
) -> EvidenceHeads:
    """One-against-rest logistic regressions over shared features, rounded to eight bits.

    Args:
        windows: the windows of the texts.
        texts: all texts.
        use: which texts to fit on, shape (texts,).
        kinds: the heads to fit; the others stay silent.
    """
    import numpy as np

    idf = _idf(windows.features[windows.of(use)])
    scaled = _unit_rows(windows.features.multiply(idf[None, :]).tocsr())
    classes = np.array([text.kind for text in texts])
    weights = np.zeros((len(KINDS), BUCKETS), dtype=np.int8)
    scale, bias = np.ones(len(KINDS)), np.zeros(len(KINDS))
    for number in (KINDS.index(kind) for kind in kinds):
        clear = use & ~np.isin(classes, list(_UNCLEAR.get(KINDS[number], ())))
        chosen = windows.of(clear)
        wanted = classes[windows.owner[chosen]] == KINDS[number]
        slope, bias[number] = _fit_one(scaled[chosen], wanted)
        scale[number] = np.abs(slope).max() / 127
        weights[number] = np.round(slope / scale[number])
    return EvidenceHeads(weights, scale, bias, idf.astype(np.uint8), np.zeros(len(KINDS)))


def _fit_one(features: Any, wanted: NDArray[np.bool_]) -> tuple[Array, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=C, solver="liblinear", random_state=0, max_iter=300)
    model.fit(features, wanted)
    return model.coef_[0], float(model.intercept_[0])


def _idf(features: Any) -> Array:
    """Smoothed inverse document frequency in twentieths, whole; 0 for what stands in one text."""
    import numpy as np

    seen = np.asarray(features.sum(axis=0)).ravel()
    idf = np.log((1 + features.shape[0]) / (1 + seen)) + 1
    return np.where(seen < 2, 0, np.clip(np.round(_IDF_UNIT * idf), 0, 255))


def _unit_rows(features: Any) -> Any:
    import numpy as np

    norm = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).ravel())
    norm[norm == 0] = 1
    features.data /= np.repeat(norm, np.diff(features.indptr))
    return features
