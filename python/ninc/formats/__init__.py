"""What is in a model beside its graph, as files store it, and weights taken over into others."""
