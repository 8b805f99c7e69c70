"""A bundle: labctl, images and models in one tar file, for machines that reach neither index, registry nor model hub."""
