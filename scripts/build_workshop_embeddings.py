"""Write interplm_nb/data/workshop/embeddings.safetensors: what workshop 1 looks at.

    python scripts/build_workshop_embeddings.py

Layer 1 of UniRep on four short proteins of the run that ships, and on one of them with a residue
changed; of two of them also that of the model with shuffled weights. float16 keeps three digits.
"""

import json

import numpy as np
from safetensors.numpy import save_file

from interplm_nb.pipeline.run import Run
from interplm_nb.plm import load
from interplm_nb.plm.protocol import PLM
from interplm_nb.proteins import Proteins
from interplm_nb.saving import atomic_path
from interplm_nb.workshop.embedding import CHANGED, FILE, LAYER, PLM_NAME, RELATIVES, SEQUENCES


def main() -> None:
    shipped = Run.shipped().proteins()
    sequences = {accession: shipped.sequence(accession) for accession in SEQUENCES}
    of, position, letter = CHANGED
    whole = sequences[of]
    sequences["changed"] = f"{whole[: position - 1]}{letter}{whole[position:]}"
    plm = load(PLM_NAME)
    proteins = Proteins.from_sequences(sequences)
    vectors = embedded(plm, proteins)
    related = Proteins.from_sequences({name: sequences[name] for name in RELATIVES})
    for name, values in embedded(plm.shuffled(), related).items():
        vectors[f"shuffled/{name}"] = values
    about = {"type": "WorkshopEmbeddings", "version": "1", "plm": plm.name, "layer": str(LAYER)}
    about |= {"plm_revision": plm.revision, "sequences": json.dumps(sequences)}
    with atomic_path(FILE) as draft:
        save_file(vectors, draft, metadata=about)
    print(f"{FILE}: {FILE.stat().st_size / 1e6:.1f} MB")


def embedded(plm: PLM, proteins: Proteins) -> dict[str, np.ndarray]:
    """Each protein's vectors, float16 [residues, width]."""
    values = np.zeros((proteins.n_residues, plm.widths[LAYER]), np.float16)
    for batch in plm.embed(proteins, [LAYER], progress=False):
        values[np.asarray(batch.rows)] = np.asarray(batch.layers[LAYER].float())
    return {name: values[proteins.rows(name)].copy() for name in proteins.accessions}


if __name__ == "__main__":
    main()
