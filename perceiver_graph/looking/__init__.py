"""Attention as pictures: what latents read, laid over the picture, the film, the sound or the text."""
