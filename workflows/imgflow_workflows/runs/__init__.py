"""The runs that a store holds: looked up, told as they stand, and what became of one image in all of them."""
