"""What a run published: copied out, and compared with what another one did."""
