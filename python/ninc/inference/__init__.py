"""What a network says of pictures and how it runs: prediction, evaluation, class maps, plans."""
