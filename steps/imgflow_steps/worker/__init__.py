"""How a container does its job: processes that compute, what outlives them, and what is said meanwhile."""
