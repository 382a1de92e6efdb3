"""How good a finder is: what a run found, compared with what people say is there."""
