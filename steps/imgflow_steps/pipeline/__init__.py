"""A pipeline as data, and one image on its way through it: no store, no run, no other process."""
