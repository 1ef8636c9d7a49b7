"""Protein sequences: alphabets, FASTA, alignments, structures."""
