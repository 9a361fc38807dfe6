"""Proteins as examples: features pooled over residues, ranked and fitted against your labels."""
