"""What a rule does before any data are seen: its modes, their stability, the largest step size on a graph."""
