"""Molecules as SMILES: tokens, vocabularies, chemistry by rdkit."""
