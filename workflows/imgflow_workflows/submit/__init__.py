"""From what somebody asks for to a run that has begun."""
