"""Small models that are trained with the emitted PyTorch module: data, training, and what they reach."""
