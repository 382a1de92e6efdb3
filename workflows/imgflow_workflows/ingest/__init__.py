"""Photographs from a folder, a list, an archive or a table into a municipality's dataset.

A source is looked through as a whole before anything is written: what is wrong with it leaves the store as it was.
"""
