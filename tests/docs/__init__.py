"""The documents and examples hold what they say: they are run."""
