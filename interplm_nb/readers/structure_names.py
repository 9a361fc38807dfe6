"""How files of structures are named, by format."""

PDB_SUFFIXES, CIF_SUFFIXES, BINARY_SUFFIXES = (".pdb", ".ent"), (".cif", ".mmcif"), (".bcif",)
SUFFIXES = (*PDB_SUFFIXES, *CIF_SUFFIXES, *BINARY_SUFFIXES)
COMPRESSED = (".gz", ".zst")
