"""What a model holds beside its graph, how files store it, and weights taken over into others."""
