"""The command line that every domain has: the same verbs, built from typed functions."""
