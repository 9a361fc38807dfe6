"""The lesson `10_annotate` as a file; that it runs is tested next to the pipeline."""

import nbformat

from interplm_nb.pipeline.notebooks import lessons
from tests.notebooks.lesson_cells import assert_clean_lesson


def test_it_is_committed_clean_and_reads_as_a_lesson():
    assert_clean_lesson(nbformat.read(lessons() / "10_annotate.ipynb", as_version=4))
