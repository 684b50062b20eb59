"""TFMA's own extractors, told not to take a column for the model's input. The Evaluator finds this by its dotted path.

TFMA calls a signature with serialized rows only where no column is named like the signature's input: a column called
`examples` would be handed to `serving_default` in their place.
"""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.extractors import extractor
from tensorflow_model_analysis.extractors.predictions_extractor import PREDICTIONS_EXTRACTOR_STAGE_NAME

MODULE = __name__
_ASIDE = "taxiway_features"
"""Key of TFMA's extracts under which the columns wait while the model is called."""


def custom_extractors(
    eval_shared_model: Any, eval_config: tfma.EvalConfig, tensor_adapter_config: Any = None
) -> list[extractor.Extractor]:
    """The default extractors, with one change: the models see serialized rows and no columns. TFX calls it by name."""
    made = tfma.default_extractors(
        eval_shared_model=eval_shared_model,
        eval_config=eval_config,
        tensor_adapter_config=tensor_adapter_config,
    )
    return [_from_rows(each) if each.stage_name == PREDICTIONS_EXTRACTOR_STAGE_NAME else each for each in made]


def _from_rows(predictions: extractor.Extractor) -> extractor.Extractor:
    return predictions._replace(ptransform=_PredictFromRows(predictions.ptransform))


class _PredictFromRows(beam.PTransform):
    def __init__(self, predictions: beam.PTransform) -> None:
        super().__init__()
        self._predictions = predictions

    def expand(self, extracts: beam.PCollection) -> beam.PCollection:
        aside = extracts | "PutColumnsAside" >> beam.Map(rename_key, tfma.FEATURES_KEY, _ASIDE)
        return aside | self._predictions | "PutColumnsBack" >> beam.Map(rename_key, _ASIDE, tfma.FEATURES_KEY)


def rename_key(extracts: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """A copy with one key renamed, where it is there."""
    renamed = dict(extracts)
    if old in renamed:
        renamed[new] = renamed.pop(old)
    return renamed
