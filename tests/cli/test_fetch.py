"""`data fetch`: the list of accessions as programs write it."""

import gzip

import pytest

from interplm_nb.cli.describe import fetch_uniprot
from interplm_nb.pipeline.errors import PipelineError
from interplm_nb.readers.report import InputError


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_list_of_accessions_is_read_whatever_wrote_it(tmp_path, start, pack):
    path = tmp_path / "list.txt"
    path.write_bytes(pack(f"{start}P69905\r\nP68871\r\n".encode()))
    with pytest.raises(InputError, match=r"^2 accessions: not in the cache .* offline"):
        fetch_uniprot(None, path, tmp_path / "out.tsv", tmp_path / "cache", True, True)


def test_fasta_is_no_list_of_accessions(tmp_path):
    path = tmp_path / "mine.fasta"
    path.write_text("\n>sp|P69905|HBA_HUMAN\nMVLS\n")
    with pytest.raises(
        PipelineError, match=r"mine\.fasta: FASTA, where a list of accessions is wa"
    ):
        fetch_uniprot(None, path, tmp_path / "out.tsv", tmp_path / "cache", True, False)
