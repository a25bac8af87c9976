"""The figures that people would give, beside the judge's own: a report and a calibration -> report.

For the run that the gold was drawn from, the labels correct its figures by post-stratification
(target: run), or by PPI++ (target: population) where gold and disagreements are there. For any
other run the judge's error rates are taken to hold, and Rogan-Gladen does (target: population).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judge.calibration import Calibration, DimensionCalibration
from judge.gold.model import GoldError, GoldLabel, RowKey, gold_sha256
from judge.gold.rows import rows_of
from judge.judged import OPEN, Frame, JudgedRow, frame_of, judges_of, texts_sha256
from judge.report.by_confusion import by_confusion
from judge.report.by_gold import by_ppi, by_strata
from judge.report.correction import Cell, Correction, corrected, mean_correction
from judge.report.model import CalibrationLine, Corrected, ModelReport, Report
from judge.report.shift import audit, not_needed
from judge.stats.estimate import Target
from judge.strata import Joined, join


@dataclass(frozen=True)
class CorrectOptions:
    """How figures are corrected.

    Args:
        target: null for the run where its own gold allows it, else the population.
        gold: the marks that the calibration was made with; only PPI++ needs them.
        suite: the dimensions that the overall figure averages.
    """

    target: Target | None = None
    gold: Sequence[GoldLabel] = ()
    suite: tuple[str, ...] = ()


def correct(
    report: Report,
    rows: Mapping[RowKey, JudgedRow],
    calibration: Calibration,
    options: CorrectOptions,
) -> Report:
    """The report with corrected figures beside its own.

    Args:
        report: of a run.
        rows: the run's rows.
        calibration: of the judge that judged them.
        options: what is wanted.

    Raises:
        GoldError: the gold isn't that which the calibration was made with.
        InputError: the calibration was made for another judge, rubric or dimension.
    """
    calibration.check(judges_of(rows.values()))
    _same_gold(calibration, options.gold)
    maker = _Maker(rows, calibration, options, report.confidence)
    names = [name for name in report.models if len(report.models) > 1]
    return report.model_copy(
        update={
            "models": {name: maker.model(name, found) for name, found in report.models.items()},
            "pooled": maker.pooled() if names else {},
            "calibration": CalibrationLine(
                judge=calibration.judge.name,
                created=calibration.created,
                gold_sha256={n: d.gold_sha256 for n, d in calibration.dimensions.items()},
            ),
        }
    )


def _same_gold(calibration: Calibration, gold: Sequence[GoldLabel]) -> None:
    for name in {mark.dimension for mark in gold} & set(calibration.dimensions):
        told = gold_sha256(mark for mark in gold if mark.dimension == name)
        if told != calibration.dimensions[name].gold_sha256:
            raise GoldError(
                f"the gold of {name} is not that which the calibration was made with",
                mend="calibrate again with this gold",
            )


class _Maker:
    """Makes each dimension's correction, for one model or for all."""

    def __init__(
        self,
        rows: Mapping[RowKey, JudgedRow],
        calibration: Calibration,
        options: CorrectOptions,
        confidence: float,
    ) -> None:
        self._calibration, self._options, self._confidence = calibration, options, confidence
        self._frame: Frame = frame_of(rows)
        self._texts: dict[str, str | None] = {}
        self._rows: dict[tuple[str, str | None], list[JudgedRow]] = {}
        for key, row in rows.items():
            self._rows.setdefault((key.dimension, key.model), []).append(row)
        self._gold: dict[tuple[str, str | None], list[Joined]] = {}
        for joined in join(rows_of(options.gold), rows) if options.gold else []:
            key = joined.row.key
            self._gold.setdefault((key.dimension, key.model), []).append(joined)

    def model(self, name: str, report: ModelReport) -> ModelReport:
        """A model's report with its corrected figures."""
        mine = {d: self._correction(d, name) for d in report.dimensions}
        dimensions = {
            d: part.model_copy(update={"corrected": corrected(mine[d], self._confidence)})
            for d, part in report.dimensions.items()
        }
        whole = mean_correction({d: mine.get(d) for d in self._options.suite})
        total = report.overall.model_copy(update={"corrected": corrected(whole, self._confidence)})
        return report.model_copy(update={"dimensions": dimensions, "overall": total})

    def pooled(self) -> dict[str, Corrected]:
        """Each dimension's correction over all models."""
        names = dict.fromkeys(dimension for dimension, _ in self._rows)
        found = {d: corrected(self._correction(d, None), self._confidence) for d in names}
        return {d: one for d, one in found.items() if one is not None}

    def _correction(self, dimension: str, model: str | None) -> Correction | None:
        """The correction of one model, or (null) of all."""
        known = self._calibration.dimensions.get(dimension)
        keys = [
            key
            for key in self._rows
            if key[0] == dimension and (model is None or (key[1] or "") == model)
        ]
        rows = [row for key in keys for row in self._rows[key]]
        if known is None or not any(row.category not in OPEN for row in rows):
            return None
        gold = [joined for key in keys for joined in self._gold.get(key, [])]
        models = {key[1] for key in keys}
        cell = Cell(known, rows, gold, models, self._confidence)
        own = self._own(dimension, known)
        found = not_needed() if own and cell.strata else audit(known.audit, cell.judged)
        return self._made(cell, own)._replace(draws=known.design.draws, audit=found)

    def _made(self, cell: Cell, own: bool) -> Correction:
        wanted = self._options.target
        if own and wanted != "population" and cell.strata:
            return by_strata(cell)
        if wanted == "run":
            why = "only the run that the gold was drawn from can be corrected as this very run"
            return cell.missing("run", "post-stratified", why)
        return (by_ppi(cell) if own and cell.gold else None) or by_confusion(cell)

    def _own(self, dimension: str, known: DimensionCalibration) -> bool:
        """Whether the gold was drawn from this very run: the same rows with the same texts."""
        design = known.design
        if not design.strata or design.frame_sha256 != self._frame.sha256:
            return False
        if dimension not in self._texts:
            rows = (row for key, mine in self._rows.items() if key[0] == dimension for row in mine)
            self._texts[dimension] = texts_sha256(rows)
        return design.texts_sha256 in {None, self._texts[dimension]}
