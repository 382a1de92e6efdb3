"""What is wrong, and what to do: with a run, with this machine, with a namespace of a cluster.

Whatever is asked is gathered first, as plain documents; what it means is decided by pure functions over them.
"""
