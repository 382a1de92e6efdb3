"""What the store says of runs and of images, and how these documents are read together."""
