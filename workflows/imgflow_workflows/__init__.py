"""In which order the steps run, and where."""
