"""What every container keeps: what a step is, what it is given and gives back, and how a container ends."""
