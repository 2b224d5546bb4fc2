"""The forms in which runtimes take an image, each made when one first asks."""
