"""The transformer: equal to the run's own pooled features, and scikit-learn's estimator checks."""

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from interplm_nb.concepts.by_protein.pool import pool
from interplm_nb.pipeline.encoder import Encoder
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.pipeline.run import Run
from interplm_nb.plm.lengths import MAX_RESIDUES
from interplm_nb.proteins import LETTERS
from interplm_nb.questions import sequence_features
from interplm_nb.questions.sequence_features import SequenceFeatures
from interplm_nb.readers.report import InputError

# check_estimator runs nothing on an estimator that takes strings: each of its checks that calls fit
# or transform hands over an array of numbers. Those run on `OnRows`, which only adds the way from
# numbers to letters; those that need no input run on the estimator itself.
NOT_RUN = {"check_array_api_input": "the result is a scipy matrix, not an array of that API"}
"""The one check that is left, with the reason."""


class OnRows(SequenceFeatures):
    """Reads a row of numbers as a sequence, so that the checks, which pass arrays, apply."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return super().fit(self._written(validate_data(self, X, reset=True)), y)

    def transform(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().transform(self._written(validate_data(self, X, reset=False)))

    def _written(self, rows: np.ndarray) -> list[str]:
        codes = np.abs(np.nan_to_num(rows.astype(float)) * 7).astype(np.int64) % 20
        return ["".join(LETTERS[code] for code in row) for row in codes]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        tags.no_validation = False
        return tags


@pytest.fixture(scope="module")
def run(tiny_run: Run) -> Run:
    return tiny_run


@pytest.fixture(scope="module")
def features(run: Run) -> SequenceFeatures:
    return SequenceFeatures(str(run.folder), device="cpu").fit(["MKV"])


@pytest.fixture(scope="module")
def loaded(run: Run) -> Encoder:
    return Encoder(run, device="cpu")


@pytest.mark.parametrize("how", ["max", "mean", "share"])
def test_it_gives_the_runs_own_pooled_features(
    run: Run, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_features, "RESIDUES", 700)  # several calls of the PLM
    few = run.proteins().select(run.proteins().accessions[7::6])
    own = pool(run.scored("sae", "strict"), how, few.accessions)
    again = SequenceFeatures(str(run.folder), how=how, device="cpu").fit(few.sequences)
    found = again.pooled(few)
    assert (found.accessions, found.how, found.unit) == (own.accessions, how, "max")
    assert found.about == own.about and found.about["scale"]
    assert_allclose(found.values.toarray(), own.values.toarray(), atol=2e-3)
    assert_array_equal(again.transform(few.sequences).toarray(), found.values.toarray())


def test_it_is_a_step_of_a_pipeline(run: Run, features: SequenceFeatures) -> None:
    sequences = run.proteins().sequences[:12]
    steps = make_pipeline(clone(features), LogisticRegression())
    steps.fit(sequences, [0, 1] * 6)
    assert steps.predict(sequences[:3]).shape == (3,)
    assert steps[0].get_feature_names_out()[-1] == "sae_63"


def test_a_pickled_copy_loads_its_models_again(features: SequenceFeatures) -> None:
    packed = pickle.dumps(features)
    assert len(packed) < 100_000
    again = pickle.loads(packed)
    assert_array_equal(
        again.transform(["MKTAY"]).toarray(), features.transform(["MKTAY"]).toarray()
    )


def test_what_it_refuses(features: SequenceFeatures, tmp_path: Any) -> None:
    with pytest.raises(TypeError, match="not one string; pass a list of it"):
        features.transform("MKV")
    with pytest.raises(InputError, match="0"):
        features.transform(["M1V"])
    with pytest.raises(InputError, match=f"over {MAX_RESIDUES:,} residues"):
        features.transform(["M" * (MAX_RESIDUES + 1)])
    with pytest.raises(InputError, match="no sequence"):
        features.transform([])
    with pytest.raises(PipelineError, match="is not a run"):
        SequenceFeatures(tmp_path).fit(["MKV"])


def test_scikit_learn_knows_that_it_takes_strings(features: SequenceFeatures) -> None:
    tags = features.__sklearn_tags__().input_tags
    assert tags.string and not tags.two_d_array
    checks = [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_mixin_order,
    ]
    for check in checks:
        check("SequenceFeatures", SequenceFeatures(features.run))


def test_estimator_checks_on_rows_that_are_read_as_sequences(
    run: Run, loaded: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SequenceFeatures, "_loaded", lambda self: loaded)
    results = estimator_checks.check_estimator(
        OnRows(run, device="cpu"), on_skip=None, on_fail=None
    )
    assert {r["check_name"]: repr(r["exception"]) for r in results if r["status"] == "failed"} == {}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} == set(NOT_RUN)
    assert sum(r["status"] == "passed" for r in results) > 30
