"""Videos: manifest, decoding, sampling, transforms."""
