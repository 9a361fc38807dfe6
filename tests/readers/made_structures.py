"""Made-up structure files: stretched backbones, as different programs write them."""

from collections.abc import Iterable, Mapping, Sequence

from biotite.structure.info import one_letter_code

SEQUENCE = "MKTAYIAKQRHISFVKSCFSRQLEERLGLIEVQ"
NAMES = "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL"
THREE = {one_letter_code(name): name for name in NAMES.split(" ")}
BACKBONE = (("N", -1.2), ("CA", 0.0), ("C", 1.3), ("O", 1.8))
"""Atoms, and how far along the chain each stands from its alpha carbon; C to N is 1.3 angstrom."""
PEPTIDE = 3.8


def residues(letters: str, first: int = 1) -> list[tuple[str, str]]:
    """Name and number of each residue."""
    return [(THREE[letter], str(first + i)) for i, letter in enumerate(letters)]


def pdb_lines(
    chain: Iterable[tuple[str, str]],
    name: str = "A",
    at: Sequence[float] | None = None,
    hetero: Iterable[str] = (),
    more: str = "  1.00 20.00           {element}",
) -> list[str]:
    """ATOM lines of a chain; `at`: the place of each residue, in residues, where one is missing.

    HETATM for the residue names in `hetero`; `more`: what follows the coordinates.
    """
    lines = []
    for i, (residue, number) in enumerate(chain):
        record = "HETATM" if residue in hetero else "ATOM"
        number = number if number[-1].isalpha() else f"{number} "
        for atom, along in BACKBONE:
            x = PEPTIDE * (at[i] if at is not None else i) + along
            lines.append(
                f"{record:<6}{len(lines) + 1:>5}  {atom:<3} {residue:>3} {name:1}{number:>5}   "
                f"{x:8.3f}{0:8.3f}{0:8.3f}{more.format(element=atom[0])}"
            )
    return lines


ROW = (
    "group_PDB ATOM id {id} type_symbol {element} label_atom_id {atom} label_alt_id . "
    "label_comp_id {residue} label_asym_id A label_entity_id 1 label_seq_id {place} "
    "pdbx_PDB_ins_code ? Cartn_x {x:.3f} Cartn_y 0.0 Cartn_z 0.0 occupancy 1.0 "
    "B_iso_or_equiv 20.0 auth_seq_id {number} auth_asym_id A pdbx_PDB_model_num 1"
)
"""Columns of mmCIF and their values."""


def mmcif(
    chain: Iterable[tuple[str, str]],
    leave_out: Iterable[str] = (),
    places: Sequence[int] | None = None,
    at: Sequence[float] | None = None,
    more: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """A data block with one chain; `places`: label_seq_id, `more`: further columns, by residue."""
    rows = []
    for i, (residue, number) in enumerate(chain):
        for atom, along in BACKBONE:
            words = ROW.format(
                id=len(rows) + 1,
                element=atom[0],
                atom=atom,
                residue=residue,
                place=places[i] if places else i + 1,
                x=PEPTIDE * (at[i] if at is not None else i) + along,
                number=number,
            ).split(" ")
            cells = dict(zip(words[::2], words[1::2], strict=True))
            cells |= {name: values[i] for name, values in (more or {}).items()}
            rows.append({name: cell for name, cell in cells.items() if name not in leave_out})
    columns = [f"_atom_site.{name}" for name in rows[0]]
    return "\n".join(
        ["data_x", "loop_", *columns, *(" ".join(row.values()) for row in rows), "#", ""]
    )
