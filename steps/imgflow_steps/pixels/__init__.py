"""Arithmetic on the pixels of one picture; it knows no file format."""
